import KubeCore
import KubeTesting
import Testing

@testable import KubeRuntime

struct OwnedObjectsTests {
    let cluster = InMemoryCluster()

    func deployment(_ name: String, namespace: String = "shop") -> KubeObject {
        cluster.seed(.deployments, KubeObject(.deployments, namespace: namespace, name: name))
    }

    @Test func `an owner is set once and its dependents go with it`() async throws {
        let owner = deployment("web")
        var object = pod("web-1")
        try object.setController(owner)
        try object.setController(owner)
        #expect(object.ownerReferences == [owner.asController] && object.isControlled(by: owner))
        cluster.seed(.pods, object)
        try await cluster.delete(.deployments, namespace: "shop", name: "web")
        #expect(cluster.objects(.pods).isEmpty)
    }

    @Test func `what the garbage collector would not honour is refused`() throws {
        var object = pod("web-1")
        #expect(throws: OwnershipError.ownerNotStored(ObjectKey(namespace: "shop", name: "new"))) {
            try object.setController(KubeObject(.deployments, namespace: "shop", name: "new"))
        }
        #expect(throws: OwnershipError.self) { try object.setController(deployment("web", namespace: "other")) }
        var namespace = KubeObject(.namespaces, name: "shop")
        #expect(throws: OwnershipError.self) { try namespace.setController(deployment("web")) }
        try object.setController(cluster.seed(.namespaces, KubeObject(.namespaces, name: "default")))
        #expect(throws: OwnershipError.self) { try object.setController(deployment("web")) }
        #expect(object.controllerReference?.name == "default", "a cluster-scoped owner may own anything")
    }

    @Test func `what is not wanted any more is deleted, and only the very object that was seen`() async throws {
        let owner = deployment("web")
        let store = Store(scope: StoreScope(.pods))
        let owned = OwnedObjects(store, api: cluster)
        for name in ["keep", "drop", "changed"] {
            var object = pod(name)
            try object.setController(owner)
            cluster.seed(.pods, object)
        }
        cluster.seed(.pods, pod("foreign"))
        store.replace(with: cluster.objects(.pods))
        #expect(owned.of(owner).map(\.name) == ["changed", "drop", "keep"])
        let keep = Set(["keep", "changed"].map { ObjectKey(namespace: "shop", name: $0) })
        #expect(try await owned.prune(of: owner, keeping: keep) == 1)
        #expect(cluster.objects(.pods).map(\.name) == ["changed", "foreign", "keep"])
        _ = try await cluster.patch(.pods, namespace: "shop", name: "changed", ["metadata": ["labels": ["x": "1"]]])
        store.apply(WatchEvent(.deleted, pod("drop")))
        await #expect {
            try await owned.prune(of: owner, keeping: [ObjectKey(namespace: "shop", name: "keep")])
        } throws: {
            ($0 as? APIError)?.isConflict == true
        }
        store.replace(with: cluster.objects(.pods))
        cluster.clearLog()
        #expect(try await owned.prune(of: owner, keeping: keep) == 0 && cluster.requests.isEmpty)
    }
}
