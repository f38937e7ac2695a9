import KubeCore
import KubeRuntime
import KubeTesting
import Testing

@testable import HeddleServer

@Suite struct RootPublisherTests {
    private let cluster = InMemoryCluster()
    private let store = Store(scope: StoreScope(.configMaps))

    private func reconcile(_ roots: String, in namespace: String) async throws {
        store.replace(with: cluster.objects(.configMaps))
        let publisher = RootPublisher(
            keeper: AuthorityKeeper(api: cluster, namespace: "heddle-system"), store: store, roots: { roots })
        _ = try await publisher.reconcile(ObjectKey(namespace: namespace, name: "heddle-ca-root"))
    }

    private func published(in namespace: String) -> JSONValue? {
        cluster.object(.configMaps, namespace: namespace, name: "heddle-ca-root")?.json[path: "data", "root.pem"]
    }

    @Test func `published roots follow the authority, and what is right is not written`() async throws {
        let keeper = AuthorityKeeper(api: cluster, namespace: "heddle-system")
        try await keeper.publish("one", in: "shop")
        try await reconcile("one\ntwo", in: "shop")
        #expect(published(in: "shop") == "one\ntwo")
        cluster.clearLog()
        try await reconcile("one\ntwo", in: "shop")
        #expect(cluster.requests.isEmpty)
    }

    @Test func `a namespace without the roots, and an authority that is not known yet, change nothing`() async throws {
        try await reconcile("one", in: "other")
        #expect(published(in: "other") == nil)
        try await AuthorityKeeper(api: cluster, namespace: "heddle-system").publish("one", in: "shop")
        try await reconcile("", in: "shop")
        #expect(published(in: "shop") == "one")
    }
}
