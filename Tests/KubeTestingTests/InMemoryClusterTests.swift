import KubeCore
import KubeTesting
import Testing

struct InMemoryClusterTests {
    let cluster = InMemoryCluster()

    func deployment(_ name: String = "web", replicas: Int = 2) -> KubeObject {
        var object = KubeObject(.deployments, namespace: "shop", name: name)
        object.spec = ["replicas": .int(replicas)]
        return object
    }

    @Test func `a created object gets its identity and loses the status that it came with`() async throws {
        var object = deployment()
        object.status = ["replicas": 9]
        let created = try await cluster.create(.deployments, object)
        #expect(!created.uid.isEmpty && created.generation == 1 && created.json["status"] == nil)
        await #expect(throws: APIError.self) { try await cluster.create(.deployments, object) }
    }

    @Test func `an update with an old resource version conflicts`() async throws {
        let first = try await cluster.create(.deployments, deployment())
        var changed = first
        changed.spec["replicas"] = 3
        let second = try await cluster.update(.deployments, changed)
        #expect(second.generation == 2)
        await #expect { try await cluster.update(.deployments, changed) } throws: {
            ($0 as? APIError)?.isConflict == true
        }
    }

    @Test func `a write that changes nothing keeps the version and is logged as such`() async throws {
        let first = try await cluster.create(.deployments, deployment())
        let again = try await cluster.patch(
            .deployments, namespace: "shop", name: "web", ["spec": ["replicas": 2]])
        #expect(first.resourceVersion == again.resourceVersion)
        #expect(cluster.writes.map(\.changed) == [true, false])
    }

    @Test func `status and spec are written apart`() async throws {
        _ = try await cluster.create(.deployments, deployment())
        let body: JSONValue = ["spec": ["replicas": 7], "status": ["replicas": 1]]
        let status = try await cluster.patch(.deployments, namespace: "shop", name: "web", subresource: "status", body)
        #expect(status.spec["replicas"] == 2 && status.status["replicas"] == 1 && status.generation == 1)
        let spec = try await cluster.patch(
            .deployments, namespace: "shop", name: "web", ["spec": ["replicas": 7], "status": ["replicas": 5]])
        #expect(spec.spec["replicas"] == 7 && spec.status["replicas"] == 1 && spec.generation == 2)
    }

    @Test func `applying fewer fields removes those that the manager dropped`() async throws {
        var object = deployment()
        object.annotations = ["a": "1", "b": "2"]
        try await cluster.apply(.deployments, object, fieldManager: "heddle")
        object.annotations = ["a": "1"]
        let applied = try await cluster.apply(.deployments, object, fieldManager: "heddle")
        #expect(applied.annotations == ["a": "1"] && applied.spec["replicas"] == 2)
        let version = applied.resourceVersion
        #expect(try await cluster.apply(.deployments, object, fieldManager: "heddle").resourceVersion == version)
    }

    @Test func `applying over another owner conflicts, names the field, and takes it with force`() async throws {
        _ = try await cluster.create(.deployments, deployment())
        let wanted = deployment(replicas: 5)
        await #expect {
            try await cluster.apply(.deployments, wanted, fieldManager: "heddle")
        } throws: { ($0 as? APIError)?.causes.first?.path == ".spec.replicas" }
        let forced = try await cluster.apply(.deployments, wanted, fieldManager: "heddle", force: true)
        #expect(forced.spec["replicas"] == 5)
    }

    @Test func `lists with keys merge by element when applied`() async throws {
        var object = deployment()
        object.spec = ["template": ["spec": ["containers": [["name": "app", "image": "a:1"]]]]]
        _ = try await cluster.create(.deployments, object)
        object.spec = ["template": ["spec": ["containers": [["name": "sidecar", "image": "s:1"]]]]]
        let both = try await cluster.apply(.deployments, object, fieldManager: "heddle")
        #expect(
            both.spec[path: "template", "spec", "containers"]?.array?.compactMap { $0["name"]?.string } == [
                "app", "sidecar",
            ])
        object.spec = [:]
        let one = try await cluster.apply(.deployments, object, fieldManager: "heddle")
        #expect(one.spec[path: "template", "spec", "containers"]?.array?.count == 1)
    }

    @Test func `finalizers hold a deletion until the last one goes`() async throws {
        var object = deployment()
        object.finalizers = ["heddle.dev/x"]
        _ = try await cluster.create(.deployments, object)
        try await cluster.delete(.deployments, namespace: "shop", name: "web")
        #expect(cluster.object(.deployments, namespace: "shop", name: "web")?.isBeingDeleted == true)
        _ = try await cluster.patch(.deployments, namespace: "shop", name: "web", ["metadata": ["finalizers": .null]])
        #expect(cluster.object(.deployments, namespace: "shop", name: "web") == nil)
    }

    @Test func `what an object owned goes with it`() async throws {
        let owner = try await cluster.create(.deployments, deployment())
        var set = KubeObject(.replicaSets, namespace: "shop", name: "web-1")
        set.ownerReferences = [owner.asController]
        _ = try await cluster.create(.replicaSets, set)
        try await cluster.delete(.deployments, namespace: "shop", name: "web")
        #expect(cluster.objects(.replicaSets).isEmpty)
    }

    @Test func `a watch resumes from a version, and sees objects leave its selection`() async throws {
        let first = try await cluster.create(.deployments, deployment())
        _ = try await cluster.patch(
            .deployments, namespace: "shop", name: "web", ["metadata": ["labels": ["app": "web"]]])
        let request = APIRequest(
            .watch, .deployments, query: ["resourceVersion": first.resourceVersion, "labelSelector": "app=web"])
        var events = try await cluster.watch(request).makeAsyncIterator()
        #expect(try await events.next()?.kind == .added)
        _ = try await cluster.patch(
            .deployments, namespace: "shop", name: "web", ["metadata": ["labels": ["app": "no"]]])
        #expect(try await events.next()?.kind == .deleted)
        cluster.closeWatches()
        #expect(try await events.next() == nil)
    }

    @Test func `after expiry a watch from an old version answers 410`() async throws {
        let first = try await cluster.create(.deployments, deployment())
        cluster.expireWatches()
        let request = APIRequest(.watch, .deployments, query: ["resourceVersion": first.resourceVersion])
        await #expect { _ = try await cluster.watch(request) } throws: { ($0 as? APIError)?.isExpired == true }
    }

    @Test func `faults refuse a write, or do it and lose the answer`() async throws {
        let down = APIError(code: 503, reason: "ServiceUnavailable", message: "down")
        cluster.injectFaults { _, number in number == 1 ? .refuse(down) : number == 2 ? .loseAnswer(down) : nil }
        await #expect(throws: down) { try await cluster.create(.deployments, deployment("a")) }
        await #expect(throws: down) { try await cluster.create(.deployments, deployment("b")) }
        #expect(cluster.objects(.deployments).map(\.name) == ["b"])
    }

    @Test func `kinds that are not served answer 404`() async throws {
        cluster.serveOnly([.deployments])
        await #expect { _ = try await cluster.list(.virtualServices) } throws: { ($0 as? APIError)?.isNotFound == true }
    }

    @Test func `pages are of one moment, and one that comes too late is refused with a token for the rest`()
        async throws
    {
        for number in 0..<5 { cluster.seed(.deployments, deployment("d\(number)")) }
        func page(_ token: String?) async throws -> JSONValue {
            var query = ["limit": "2"]
            query["continue"] = token
            return try await cluster.perform(APIRequest(.list, .deployments, query: query))
        }
        let first = try await page(nil)
        let token = try #require(first[path: "metadata", "continue"]?.string)
        #expect(first["items"]?.array?.count == 2 && first[path: "metadata", "remainingItemCount"] == 3)
        cluster.remove(.deployments, namespace: "shop", name: "d3")
        let second = try await page(token)
        #expect(second["items"]?.array?.compactMap { $0[path: "metadata", "name"]?.string } == ["d2", "d3"])
        #expect(second[path: "metadata", "resourceVersion"] == first[path: "metadata", "resourceVersion"])
        cluster.expireContinueTokens()
        let refusal = await #expect(throws: APIError.self) { _ = try await page(token) }
        #expect(refusal?.isExpired == true)
        let rest = try await page(refusal?.continueToken)
        #expect(rest["items"]?.array?.compactMap { $0[path: "metadata", "name"]?.string } == ["d2", "d4"])
    }

    @Test func `a streamed list ends with its bookmark and goes on as a watch`() async throws {
        cluster.seed(.deployments, deployment("a"))
        let request = APIRequest.watch(.deployments, from: .initialEvents)
        var events = try await cluster.watch(request).makeAsyncIterator()
        #expect(try await events.next()?.kind == .added)
        #expect(try await events.next()?.endsInitialEvents == true)
        cluster.seed(.deployments, deployment("b"))
        #expect(try await events.next()?.object.name == "b")
        cluster.setStreamingLists(.refused)
        let refusal = await #expect(throws: APIError.self) { _ = try await cluster.watch(request) }
        #expect(refusal?.refusesInitialEvents == true)
    }
}

struct ManualClockTests {
    @Test func `sleepers wake when their time has come and not before`() async throws {
        let clock = ManualClock()
        async let slept: Void = clock.sleep(for: .seconds(5))
        #expect(await eventually { clock.sleeperCount == 1 })
        clock.advance(by: .seconds(4))
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .seconds(1))
        try await slept
    }

    @Test func `a cancelled sleeper ends at once`() async {
        let clock = ManualClock()
        let task = Task { try await clock.sleep(for: .seconds(5)) }
        #expect(await eventually { clock.sleeperCount == 1 })
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func `a clock that is held wakes nobody until it goes on`() async throws {
        let clock = ManualClock()
        let sleeper = Task { try await clock.sleep(for: .seconds(1)) }
        #expect(await eventually { clock.sleeperCount == 1 })
        clock.hold()
        clock.advance(by: .seconds(5))
        #expect(clock.now.offset == .seconds(5) && clock.sleeperCount == 1)
        clock.goOn()
        try await sleeper.value
    }
}
