import Foundation
import Synchronization

/// The node's addresses. They never leave the sandbox's network namespace, so they are the same everywhere.
package enum NodeAddresses {
    package static let nodeName = "sandbox-node"
    /// The node's own address: the API server, DNS, and whatever a person runs inside the namespace.
    package static let node = "10.244.0.1"
    package static let podRange = "10.244.0.0/16"
    package static let serviceRange = "10.96.0.0/12"
    /// The Service `kubernetes`: the first address that the API server gives out.
    package static let apiService = "10.96.0.1"
    /// The interface that has the node's address.
    package static let interface = "heddle0"
}

/// The node's network: each pod has a network namespace, a veth pair to the node, and a route to its own address there.
///
/// All traffic between pods is routed through the node, never bridged, so that the service rules see both directions.
final class NodeNetwork: Sendable {
    private let processes: ChildProcesses
    private let next = Mutex((number: 1, freed: [Int]()))

    init(processes: ChildProcesses) { self.processes = processes }

    /// Gives the node its address and routes; the namespace is empty before.
    func setUp() async throws {
        // Left over where several sandboxes follow each other in one namespace.
        _ = try await processes.run(["ip", "link", "del", NodeAddresses.interface])
        try await processes.require(
            ["ip", "-batch", "-"],
            input: """
                link set lo up
                link add \(NodeAddresses.interface) type bridge
                addr add \(NodeAddresses.node)/32 dev \(NodeAddresses.interface)
                link set \(NodeAddresses.interface) up
                route add \(NodeAddresses.podRange) dev \(NodeAddresses.interface) src \(NodeAddresses.node)
                route add \(NodeAddresses.serviceRange) dev \(NodeAddresses.interface) src \(NodeAddresses.node)

                """)
        for setting in ["ip_forward", "conf/all/send_redirects", "conf/default/send_redirects"] {
            let value = setting == "ip_forward" ? "1" : "0"
            try value.write(toFile: "/proc/sys/net/ipv4/\(setting)", atomically: false, encoding: .utf8)
        }
    }

    struct PodNetwork: Sendable {
        let address: String
        let namespace: String
        let interface: String
        fileprivate let number: Int
    }

    /// Makes a pod's network namespace, connected.
    func add() async throws -> PodNetwork {
        // 65000 pods at once; the addresses .0 and .255 are as good as any.
        let number = next.withLock { next in
            if next.freed.count > 64 { return next.freed.removeFirst() }
            next.number += 1
            return next.number
        }
        guard number < 65_000 else { throw SandboxError("the node has no free pod address") }
        let network = PodNetwork(
            address: "10.244.\(number / 256).\(number % 256)", namespace: "pod\(number)", interface: "veth\(number)",
            number: number)
        try await processes.require(["ip", "netns", "add", network.namespace])
        try await processes.require(
            ["ip", "-batch", "-"],
            input: """
                link add \(network.interface) type veth peer name eth0 netns \(network.namespace)
                link set \(network.interface) up
                route add \(network.address)/32 dev \(network.interface) src \(NodeAddresses.node)

                """)
        try await processes.require(
            ["ip", "-n", network.namespace, "-batch", "-"],
            input: """
                link set lo up
                link set eth0 up
                addr add \(network.address)/32 dev eth0
                route add \(NodeAddresses.node) dev eth0 scope link
                route add default via \(NodeAddresses.node) dev eth0 src \(network.address)

                """)
        return network
    }

    func path(of network: PodNetwork) -> String { "/run/netns/\(network.namespace)" }

    /// Removes a pod's namespace; its address is used again much later.
    func remove(_ network: PodNetwork) async {
        _ = try? await processes.run(["ip", "link", "del", network.interface])
        _ = try? await processes.run(["ip", "netns", "del", network.namespace])
        next.withLock { $0.freed.append(network.number) }
    }
}
