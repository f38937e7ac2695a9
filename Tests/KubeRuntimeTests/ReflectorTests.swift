import KubeCore
import KubeTesting
import Testing

@testable import KubeRuntime

struct ReflectorTests {
    let cluster = InMemoryCluster()
    let clock = ManualClock()

    func reflector(_ store: Store, _ whenNotServed: Reflector.WhenNotServed = .wait) -> Reflector {
        Reflector(
            api: cluster, store: store, whenNotServed: whenNotServed, streaming: StreamingSupport(mayTry: false),
            clock: AnyClock(clock), backoff: Backoff(first: .seconds(1), maximum: .seconds(8), jitter: 0),
            logger: quiet, random: { 0 })
    }

    func running(_ store: Store, _ body: () async throws -> Void) async throws {
        let reflector = reflector(store)
        try await alongside({ await reflector.run() }, during: body)
    }

    @Test func `a store follows the cluster`() async throws {
        cluster.seed(.pods, pod("a"))
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            try await store.waitUntilSynced()
            #expect(store.list().map(\.name) == ["a"])
            _ = try await cluster.create(.pods, pod("b"))
            _ = try await cluster.patch(.pods, namespace: "shop", name: "a", ["metadata": ["labels": ["x": "1"]]])
            #expect(
                await eventually { store.count == 2 && store.get(namespace: "shop", name: "a")?.labels == ["x": "1"] })
            try await cluster.delete(.pods, namespace: "shop", name: "a")
            #expect(await eventually { store.list().map(\.name) == ["b"] })
        }
    }

    @Test func `a scope sees only its namespace, labels and fields`() async throws {
        cluster.seed(.pods, pod("a", labels: ["app": "web"]))
        cluster.seed(.pods, pod("b", labels: ["app": "web"]))
        cluster.seed(.pods, pod("a", namespace: "other", labels: ["app": "web"]))
        let scope = StoreScope(
            .pods, namespace: "shop", labels: LabelSelector(matchLabels: ["app": "web"]), fields: "metadata.name=a")
        let store = Store(scope: scope)
        try await running(store) {
            try await store.waitUntilSynced()
            #expect(store.list().map(\.key) == [ObjectKey(namespace: "shop", name: "a")])
            #expect(await eventually { cluster.watchCount == 1 })
            _ = try await cluster.create(.pods, pod("c", labels: ["app": "web"]))
            _ = try await cluster.patch(.pods, namespace: "shop", name: "a", ["metadata": ["labels": ["app": "no"]]])
            #expect(await eventually { store.count == 0 })
        }
    }

    @Test func `at rest a store sends nothing but the renewal of its watch`() async throws {
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { cluster.watchCount == 1 && clock.sleeperCount == 1 })
            #expect(cluster.requests.map(\.verb) == [.list, .watch])
            // The server ends a watch at the time that it was asked to.
            for hour in 1...12 {
                #expect(cluster.requests.last?.query["timeoutSeconds"] == "300")
                clock.advance(by: .seconds(300))
                cluster.closeWatches()
                #expect(await eventually { cluster.watchCount == 1 && clock.sleeperCount == 1 })
                #expect(cluster.requests.count == 2 + hour)
            }
            #expect(cluster.requests.dropFirst().allSatisfy { $0.verb == .watch })
        }
    }

    @Test func `a watch whose connection died without a word is given up and resumed`() async throws {
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { cluster.watchCount == 1 && clock.nextDeadline == .seconds(330) })
            clock.advance(by: .seconds(329))
            #expect(cluster.requests.count == 2)
            clock.advance(by: .seconds(1))
            #expect(await eventually { cluster.requests.count == 3 && cluster.watchCount == 1 })
            cluster.seed(.pods, pod("a"))
            #expect(await eventually { store.count == 1 })
        }
    }

    @Test func `a watch that ends is resumed from the last version without a list`() async throws {
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { cluster.watchCount == 1 })
            let made = try await cluster.create(.pods, pod("a"))
            #expect(await eventually { store.count == 1 })
            cluster.closeWatches()
            #expect(await eventually { cluster.watchCount == 1 })
            #expect(cluster.requests.filter { $0.verb == .list }.count == 1)
            #expect(cluster.requests.last { $0.verb == .watch }?.query["resourceVersion"] == made.resourceVersion)
        }
    }

    @Test func `bookmarks move the version that a watch resumes from`() async throws {
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { cluster.watchCount == 1 })
            let other = cluster.seed(.services, KubeObject(.services, namespace: "shop", name: "s"))
            cluster.sendBookmarks()
            cluster.closeWatches()
            #expect(await eventually { cluster.watchCount == 1 })
            #expect(cluster.requests.last { $0.verb == .watch }?.query["resourceVersion"] == other.resourceVersion)
        }
    }

    @Test func `after 410 the new list tells what was deleted meanwhile`() async throws {
        for name in ["a", "b", "c"] { cluster.seed(.pods, pod(name)) }
        let store = Store(scope: StoreScope(.pods))
        let changes = Recorded<StoreChange>()
        try await running(store) {
            try await store.waitUntilSynced()
            #expect(await eventually { cluster.watchCount == 1 })
            let subscription = store.observe { changes.append($0) }
            defer { subscription.cancel() }
            cluster.endWatches(with: APIError(code: 0, reason: "Unreachable", message: "lost"))
            cluster.remove(.pods, namespace: "shop", name: "a")
            cluster.remove(.pods, namespace: "shop", name: "b")
            cluster.seed(.pods, pod("b"))
            cluster.expireWatches()
            #expect(
                await eventually {
                    if clock.sleeperCount > 0 { clock.advance(by: .seconds(10)) }
                    return store.list().map(\.name) == ["b", "c"] && changes.count == 3
                })
            let deleted = changes.all.compactMap { if case .deleted(let object) = $0 { object.name } else { nil } }
            #expect(Set(deleted) == ["a", "b"])
        }
    }

    @Test func `failures wait longer and longer`() async throws {
        cluster.injectFaults { _, _ in .refuse(APIError(code: 500, reason: "InternalError", message: "no")) }
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            var now = Duration.zero
            for delay in [1, 2, 4, 8, 8] {
                let deadline = now + .seconds(delay)
                #expect(await eventually { clock.nextDeadline == deadline })
                clock.advance(by: .seconds(delay))
                now = deadline
            }
            cluster.injectFaults(nil)
            #expect(await eventually { clock.nextDeadline != nil || store.hasSynced })
            clock.advance(by: .seconds(8))
            #expect(await eventually { store.hasSynced })
        }
    }

    @Test func `a kind that is not served counts as empty when optional, and appears with its CRD`() async throws {
        cluster.serveOnly([.pods])
        let store = Store(scope: StoreScope(.virtualServices))
        let reflector = reflector(store, .countAsEmpty)
        try await alongside {
            await reflector.run()
        } during: {
            try await store.waitUntilSynced()
            #expect(!store.isServed && store.list().isEmpty)
            cluster.serveOnly(nil)
            cluster.seed(.virtualServices, KubeObject(.virtualServices, namespace: "shop", name: "web"))
            #expect(await eventually { clock.nextDeadline != nil })
            clock.advance(by: .seconds(30))
            #expect(await eventually { store.count == 1 && store.isServed })
        }
    }

    @Test func `a server that ends watches at once is not asked without pause`() async throws {
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { cluster.watchCount == 1 })
            cluster.closeWatches()
            #expect(await eventually { clock.nextDeadline == .seconds(1) })
            #expect(cluster.requests.filter { $0.verb == .watch }.count == 1)
            clock.advance(by: .seconds(2))
            #expect(await eventually { cluster.watchCount == 1 })
        }
    }

    @Test func `the server's wish to wait outranks the backoff`() async throws {
        cluster.injectFaults { _, _ in
            .refuse(APIError(code: 429, reason: "TooManyRequests", message: "no", retryAfterSeconds: 17))
        }
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { clock.nextDeadline == .seconds(17) })
            cluster.injectFaults(nil)
            clock.advance(by: .seconds(17))
            #expect(await eventually { store.hasSynced })
        }
    }

    @Test func `a list whose pages expire half-way is begun again and is of one moment`() async throws {
        for number in 0..<1200 { cluster.seed(.pods, pod("p\(10_000 + number)")) }
        let expired = Recorded<Bool>()
        cluster.injectFaults { [cluster] request, _ in
            guard request.query["continue"] != nil, expired.count == 0 else { return nil }
            expired.append(true)
            return .hold {
                cluster.expireContinueTokens()
                cluster.remove(.pods, namespace: "shop", name: "p10000")
                cluster.seed(.pods, pod("q"))
            }
        }
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            try await store.waitUntilSynced()
            #expect(store.list() == cluster.objects(.pods))
            #expect(expired.count == 1 && store.count == 1200)
            #expect(await eventually { cluster.watchCount == 1 })
            cluster.remove(.pods, namespace: "shop", name: "q")
            #expect(await eventually { store.count == 1199 })
        }
    }

    @Test func `readers have the old state until the new one is complete`() async throws {
        for number in 0..<600 { cluster.seed(.pods, pod("p\(1000 + number)")) }
        let store = Store(scope: StoreScope(.pods))
        store.addIndex("app") { $0.labels["app"].map { [$0] } ?? [] }
        let halfWay = Signal()
        let goOn = Signal()
        try await running(store) {
            try await store.waitUntilSynced()
            #expect(await eventually { cluster.watchCount == 1 })
            let isSeeded = Signal()
            cluster.injectFaults { request, _ in
                guard request.verb == .list else { return nil }
                let isFirst = request.query["continue"] == nil
                return .hold {
                    if isFirst { return await isSeeded.wait() }
                    halfWay.raise()
                    await goOn.wait()
                }
            }
            cluster.expireWatches()
            for number in 0..<600 { cluster.seed(.pods, pod("q\(1000 + number)", labels: ["app": "q"])) }
            for number in 0..<600 { cluster.remove(.pods, namespace: "shop", name: "p\(1000 + number)") }
            isSeeded.raise()
            await halfWay.wait()
            #expect(store.count == 600 && store.get(namespace: "shop", name: "p1000") != nil)
            #expect(store.list(index: "app", "q").isEmpty)
            cluster.injectFaults(nil)
            let states = Recorded<Bool>()
            let subscription = store.observe { [store] _ in
                states.append(
                    store.get(namespace: "shop", name: "p1599") == nil
                        && store.get(namespace: "shop", name: "q1599") != nil)
            }
            defer { subscription.cancel() }
            goOn.raise()
            #expect(await eventually { states.count == 1200 })
            #expect(store.list(index: "app", "q").count == 600 && store.count == 600)
            #expect(Set(states.all) == [true], "nobody saw half of it")
        }
    }
}
