import KubeCore
import KubeTesting
import Testing

@testable import KubeRuntime

struct StreamingListTests {
    let cluster = InMemoryCluster()
    let clock = ManualClock()
    let support = StreamingSupport()

    func running(_ store: Store, _ body: () async throws -> Void) async throws {
        let reflector = Reflector(
            api: cluster, store: store, streaming: support, clock: AnyClock(clock),
            backoff: Backoff(first: .seconds(1), maximum: .seconds(8), jitter: 0), logger: quiet, random: { 0 })
        try await alongside({ await reflector.run() }, during: body)
    }

    @Test func `where it is served the first state comes over the watch, and no list is sent`() async throws {
        cluster.seed(.pods, pod("a", labels: ["app": "web"]))
        cluster.seed(.pods, pod("b"))
        let store = Store(scope: StoreScope(.pods, labels: LabelSelector(matchLabels: ["app": "web"])))
        try await running(store) {
            try await store.waitUntilSynced()
            #expect(store.list().map(\.name) == ["a"])
            _ = try await cluster.create(.pods, pod("c", labels: ["app": "web"]))
            #expect(await eventually { store.count == 2 })
            cluster.closeWatches()
            #expect(await eventually { cluster.watchCount == 1 })
            #expect(cluster.requests.filter { $0.verb != .create }.map(\.verb) == [.watch, .watch])
            #expect(cluster.requests.last?.query["sendInitialEvents"] == nil, "the second one resumes")
            #expect(
                cluster.requests.last?.query["resourceVersion"]
                    == store.get(namespace: "shop", name: "c")?.resourceVersion)
        }
    }

    @Test func `an empty collection is a complete state too`() async throws {
        let store = Store(scope: StoreScope(.pods))
        try await running(store) { try await store.waitUntilSynced() }
        #expect(cluster.requests.count == 1)
    }

    @Test func `a server that refuses it is listed, and not asked again`() async throws {
        cluster.setStreamingLists(.refused)
        cluster.seed(.pods, pod("a"))
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            try await store.waitUntilSynced()
            #expect(await eventually { cluster.watchCount == 1 })
            #expect(cluster.requests.map(\.verb) == [.watch, .list, .watch] && clock.now.offset == .zero)
            cluster.expireWatches()
            #expect(await eventually { cluster.watchCount == 1 && cluster.requests.count == 5 })
            #expect(cluster.requests.suffix(2).map(\.verb) == [.list, .watch])
        }
        let other = Store(scope: StoreScope(.services))
        try await running(other) { try await other.waitUntilSynced() }
        #expect(cluster.requests.filter { $0.query["sendInitialEvents"] != nil }.count == 1, "reflectors share it")
    }

    @Test func `a server that ignores it is noticed by its silence`() async throws {
        cluster.setStreamingLists(.ignored)
        cluster.seed(.pods, pod("a"))
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { clock.nextDeadline == .seconds(10) && cluster.watchCount == 1 })
            #expect(!store.hasSynced)
            clock.advance(by: .seconds(10))
            try await store.waitUntilSynced()
            #expect(store.count == 1 && !support.mayTry)
        }
    }

    @Test func `a server that ignores it is noticed at its first bookmark`() async throws {
        cluster.setStreamingLists(.ignored)
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { cluster.watchCount == 1 })
            cluster.sendBookmarks()
            try await store.waitUntilSynced()
            #expect(clock.now.offset == .zero && !support.mayTry)
        }
    }

    @Test func `a stream that breaks before its end shows nothing, and a list follows`() async throws {
        cluster.seed(.pods, pod("a"))
        cluster.setStreamingLists(.ignored)
        let store = Store(scope: StoreScope(.pods))
        try await running(store) {
            #expect(await eventually { cluster.watchCount == 1 })
            cluster.endWatches(with: APIError(code: 0, reason: "Unreachable", message: "lost"))
            #expect(await eventually { clock.nextDeadline == .seconds(1) })
            #expect(!store.hasSynced && store.count == 0 && support.mayTry)
            clock.advance(by: .seconds(1))
            try await store.waitUntilSynced()
            #expect(store.count == 1 && cluster.requests.map(\.verb).prefix(2) == [.watch, .list])
        }
    }

    @Test func `after 410 a new stream tells what was deleted meanwhile`() async throws {
        for name in ["a", "b"] { cluster.seed(.pods, pod(name)) }
        let store = Store(scope: StoreScope(.pods))
        let changes = Recorded<StoreChange>()
        try await running(store) {
            try await store.waitUntilSynced()
            #expect(await eventually { cluster.watchCount == 1 })
            let subscription = store.observe { changes.append($0) }
            defer { subscription.cancel() }
            cluster.endWatches(with: APIError(code: 410, reason: "Expired", message: "too old"))
            cluster.remove(.pods, namespace: "shop", name: "a")
            cluster.expireWatches()
            #expect(
                await eventually {
                    if clock.nextDeadline.map({ $0 <= clock.now.offset + .seconds(20) }) == true {
                        clock.advance(by: .seconds(20))
                    }
                    return changes.count == 1 && cluster.watchCount == 1
                })
            guard case .deleted(let gone)? = changes.all.first else { return #expect(Bool(false)) }
            #expect(gone.name == "a")
        }
    }
}
