import EnvoyConfig
import Foundation
import MeshModel
import SwiftProtobuf
import Testing

struct DeterminismTests {
    /// `count` services with three pods each, every second one routed.
    private func mesh(_ count: Int, shuffled: Bool = false) -> MeshSnapshot {
        var mesh = MeshSnapshot()
        for index in 0..<count {
            let id = ServiceID(namespace: "load", name: "service-\(index)")
            mesh.services[id] = MeshService(
                id: id, addresses: ["10.97.\(index / 250).\(index % 250 + 1)"],
                ports: [.init(name: "http", number: 80, protocol: .http)])
            let pods = (0..<3).map { replica in
                Shop.endpoint(
                    Shop.pod(
                        "s-\(index)-\(replica)", "10.\(100 + replica).\(index / 250).\(index % 250 + 1)",
                        account: "s\(index)"))
            }
            mesh.endpoints[id] = shuffled ? pods.reversed() : pods
            mesh.policies.append(
                DestinationPolicy(
                    source: "DestinationRule load/\(index)", service: id,
                    subsets: [.init(name: "stable", labels: ["pod-template-hash": "aaa", "app": "s\(index)"])]))
        }
        return mesh
    }

    private func bytes(_ configuration: ProxyConfiguration) throws -> [Data] {
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        let messages: [any Message] =
            configuration.clusters + configuration.endpoints + configuration.listeners + configuration.routes
        return try messages.map { try $0.serializedBytes(options: options) }
    }

    @Test func `Equal meshes give equal bytes, however they are ordered`() throws {
        let one = try bytes(ProxyConfiguration.make(for: Shop.front, in: mesh(40)))
        for _ in 0..<5 {
            let other = try bytes(ProxyConfiguration.make(for: Shop.front, in: mesh(40, shuffled: true)))
            #expect(one == other)
        }
    }

    @Test func `A hundred services take no noticeable time`() {
        let mesh = mesh(100)
        let elapsed = ContinuousClock().measure { _ = ProxyConfiguration.make(for: Shop.front, in: mesh) }
        // Unoptimised and on a busy machine; a quadratic algorithm would take many times as long.
        #expect(elapsed < .seconds(2), "took \(elapsed)")
    }
}
