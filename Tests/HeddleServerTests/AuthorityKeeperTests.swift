import FoundationEssentials
import KubeCore
import KubeTesting
import MeshIdentity
import Synchronization
import Testing

@testable import HeddleServer

struct AuthorityKeeperTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)
    private let cluster = InMemoryCluster()
    private var keeper: AuthorityKeeper { AuthorityKeeper(api: cluster, namespace: "heddle-system") }

    private func load() async throws -> CertificateAuthority {
        try await keeper.load(trustDomain: "cluster.local", now: now)
    }

    @Test func `replicas that start at once agree on one authority`() async throws {
        // Both have looked, and found no Secret, before either creates one.
        let waiting = Mutex(0)
        cluster.injectFaults { request, _ in
            guard request.verb == .create else { return nil }
            return .hold {
                waiting.withLock { $0 += 1 }
                _ = await eventually { waiting.withLock { $0 } == 2 }
            }
        }
        async let first = load()
        async let second = load()
        let pems = try await [first.certificatePEM, second.certificatePEM]
        #expect(waiting.withLock { $0 } == 2)
        #expect(pems[0] == pems[1])
        #expect(cluster.objects(.secrets).count == 1)
        cluster.injectFaults(nil)
        let later = try await load()
        #expect(try later.certificatePEM == pems[0], "and so does one that comes later")
    }

    @Test func `the root is published where pods read it, once`() async throws {
        let authority = try await load()
        try await keeper.publishRoot(of: authority, in: "shop")
        let map = try #require(cluster.object(.configMaps, namespace: "shop", name: "heddle-ca-root"))
        #expect(try map.json[path: "data", "root.pem"]?.string == authority.trustBundle.pem)
        cluster.clearLog()
        try await keeper.publishRoot(of: authority, in: "shop")
        #expect(cluster.writes.isEmpty)
        // Somebody spoils it.
        var spoiled = map
        spoiled.json["data"] = ["root.pem": "x"]
        cluster.seed(.configMaps, spoiled)
        try await keeper.publishRoot(of: authority, in: "shop")
        #expect(
            cluster.object(.configMaps, namespace: "shop", name: "heddle-ca-root")?.json["data"] == map.json["data"])
    }
}
