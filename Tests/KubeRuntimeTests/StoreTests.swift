import KubeCore
import Testing

@testable import KubeRuntime

struct StoreTests {
    let store = Store(scope: StoreScope(.pods))

    func versioned(_ object: KubeObject, _ version: String, uid: String = "u") -> KubeObject {
        var object = object
        object.resourceVersion = version
        object.json[path: "metadata", "uid"] = .string(uid + object.name)
        return object
    }

    @Test func `indexes follow changes, also when added late`() {
        store.replace(with: [
            versioned(pod("a", labels: ["app": "web"]), "1"), versioned(pod("b", labels: ["app": "db"]), "1"),
        ])
        store.addIndex("app") { $0.labels["app"].map { [$0] } ?? [] }
        #expect(store.list(index: "app", "web").map(\.name) == ["a"])
        store.apply(WatchEvent(.modified, versioned(pod("a", labels: ["app": "db"]), "2")))
        #expect(store.list(index: "app", "web").isEmpty)
        #expect(store.list(index: "app", "db").map(\.name) == ["a", "b"])
        store.apply(WatchEvent(.deleted, versioned(pod("a"), "3")))
        #expect(store.list(index: "app", "db").map(\.name) == ["b"])
        #expect(store.list(index: "none", "x").isEmpty)
    }

    @Test func `objects are listed by namespace`() {
        store.replace(with: [versioned(pod("a"), "1"), versioned(pod("b", namespace: "other"), "1")])
        #expect(store.list(namespace: "other").map(\.name) == ["b"])
        #expect(store.list().map(\.name) == ["b", "a"], "by namespace, then name")
    }

    @Test func `the same version twice is no change`() {
        let changes = Recorded<StoreChange>()
        let subscription = store.observe { changes.append($0) }
        let object = versioned(pod("a"), "1")
        store.replace(with: [object])
        store.replace(with: [object])
        store.apply(WatchEvent(.modified, object))
        #expect(changes.count == 1)
        subscription.cancel()
        store.replace(with: [])
        #expect(changes.count == 1)
    }

    @Test func `an object deleted and made anew between two lists is told as both`() {
        store.replace(with: [versioned(pod("a"), "1", uid: "one")])
        let changes = Recorded<StoreChange>()
        let subscription = store.observe { changes.append($0) }
        defer { subscription.cancel() }
        let new = versioned(pod("a"), "5", uid: "two")
        store.replace(with: [new])
        #expect(changes.all == [.deleted(versioned(pod("a"), "1", uid: "one")), .added(new)])
    }

    @Test func `managed fields are not kept`() {
        var object = versioned(pod("a"), "1")
        object.json[path: "metadata", "managedFields"] = [["manager": "x"]]
        store.replace(with: [object])
        #expect(store.list().first?.json[path: "metadata", "managedFields"] == nil)
    }

    @Test func `a transform drops what nobody reads`() {
        let store = Store(scope: StoreScope(.secrets), transform: .dropping(["data"]))
        var object = versioned(KubeObject(.secrets, namespace: "shop", name: "s"), "1")
        object.json["data"] = ["password": "c2VjcmV0"]
        store.replace(with: [object])
        #expect(store.list().first?.json["data"] == nil)
    }

    @Test func `a selection holds for whatever comes, also from an API that keeps more`() {
        let store = Store(scope: StoreScope(.pods), transform: .keeping(.only(["spec.nodeName"])))
        var object = versioned(pod("a"), "1")
        object.json["spec"] = ["nodeName": "n", "volumes": [1]]
        object.json["status"] = ["phase": "Running"]
        store.replace(with: [object])
        #expect(store.list().first?.spec == ["nodeName": "n"])
        object.resourceVersion = "2"
        store.apply(WatchEvent(.modified, object))
        #expect(store.list().first?.json["status"] == nil)
        #expect(store.list().first?.name == "a")
    }

    @Test func `pulses join while the consumer is busy`() async {
        var pulses = store.pulses().makeAsyncIterator()
        #expect(await pulses.next() != nil)
        for version in 1...10 { store.apply(WatchEvent(.modified, versioned(pod("a"), String(version)))) }
        #expect(await pulses.next() != nil)
        let late = Task { [store] in
            try await Task.sleep(for: .milliseconds(20))
            store.apply(WatchEvent(.modified, versioned(pod("a"), "11")))
        }
        #expect(await pulses.next() != nil)
        #expect(store.get(namespace: "shop", name: "a")?.resourceVersion == "11", "the ten changes were one pulse")
        _ = await late.result
    }

    @Test func `waiting for the first list ends by cancellation too`() async {
        let waiting = Task { [store] in try await store.waitUntilSynced() }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
    }
}
