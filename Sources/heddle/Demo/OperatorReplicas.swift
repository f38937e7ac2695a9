import Foundation
import HeddleAPI
import KubeCore
import KubeSandbox
import Synchronization

/// The operator's two replicas, each a process with an identity and an address of its own, and the endpoints of their
/// Service: whoever is alive and ready, as a kubelet's probes and the EndpointSlice controller would have it.
struct OperatorReplicas: Sendable {
    struct Replica: Sendable, Hashable {
        var identity: String
        var address: String
    }

    /// What a replica says of itself.
    struct State: Sendable {
        var replica: Replica
        var leads: Bool
        /// Proxies with an open stream to it, and those of them that have taken everything.
        var proxies: Int
        var synced: Int
        /// Workload certificates that it signed since its start.
        var certificates: Int
    }

    /// Beyond the addresses of pods.
    static let all = [
        Replica(identity: "heddle-operator-0", address: "10.244.255.1"),
        Replica(identity: "heddle-operator-1", address: "10.244.255.2"),
    ]
    /// By its Service, from inside the node.
    static let plainURL = "http://\(HeddleOperator.service).\(HeddleOperator.namespace).svc.cluster.local:8080"

    let cluster: DemoCluster

    func giveAddresses() async throws {
        for replica in Self.all {
            _ = try await cluster.run(["ip", "addr", "add", "\(replica.address)/32", "dev", NodeAddresses.interface])
        }
    }

    func start(_ replica: Replica) throws {
        let child = try cluster.start(
            [
                cluster.programs.operatorPath, "--proxy-image", "heddle-agent:demo", "--identity", replica.identity,
                "--address", replica.address, "--kubeconfig", cluster.sandbox.innerKubeconfig,
            ], log: replica.identity)
        cluster.replicas.withLock { $0[replica] = child }
    }

    /// Ends a replica without any warning.
    func kill(_ replica: Replica) { cluster.replicas.withLock { $0[replica] }?.signal(SIGKILL) }

    /// The replicas that answer.
    func states() async -> [State] {
        var states: [State] = []
        for replica in Self.all where isRunning(replica) {
            guard let answer = try? await cluster.get("http://\(replica.address):8080/metrics"), answer.status == 200
            else { continue }
            let lines = String(decoding: answer.body, as: UTF8.self).split(separator: "\n")
            func value(_ name: String) -> Int {
                lines.first { $0.hasPrefix(name + " ") }?.split(separator: " ").last.flatMap { Int($0) } ?? 0
            }
            states.append(
                State(
                    replica: replica, leads: value("heddle_leader") == 1, proxies: value("heddle_proxies_connected"),
                    synced: value("heddle_proxies_synced"), certificates: value("heddle_certificates_issued_total")))
        }
        return states
    }

    /// Who holds the Lease, and how often it changed hands.
    func lease() async throws -> (holder: String, transitions: Int) {
        let lease = try await cluster.api.get(
            .leases, namespace: HeddleOperator.namespace, name: HeddleOperator.service)
        return (
            lease.spec["holderIdentity"]?.string ?? "", lease.spec["leaseTransitions"]?.int ?? 0
        )
    }

    func isReady(_ replica: Replica) async -> Bool {
        guard isRunning(replica) else { return false }
        return (try? await cluster.get("http://\(replica.address):8080/readyz"))?.status == 200
    }

    private func isRunning(_ replica: Replica) -> Bool { cluster.replicas.withLock { $0[replica]?.isRunning ?? false } }

    /// Keeps the Service's endpoints to the replicas that are ready, until cancelled. A process that ended is taken out
    /// at once, as a container that ended is; one that lives and fails its probe after the third failure.
    func keepEndpoints() async {
        var published: [Replica: Bool] = [:]
        var failures: [Replica: Int] = [:]
        while !Task.isCancelled {
            var wanted: [Replica: Bool] = [:]
            for replica in Self.all {
                let passes = await isReady(replica)
                failures[replica] = passes ? 0 : failures[replica, default: 0] + 1
                let isExcused = isRunning(replica) && published[replica] == true && failures[replica, default: 0] < 3
                wanted[replica] = passes || isExcused
            }
            if wanted != published, (try? await publish(wanted)) != nil { published = wanted }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    /// A Service without a selector, as for anything outside of the cluster: its endpoints are written by hand.
    private func publish(_ ready: [Replica: Bool]) async throws {
        var slice = KubeObject(.endpointSlices, namespace: HeddleOperator.namespace, name: HeddleOperator.service)
        slice.labels = ["kubernetes.io/service-name": HeddleOperator.service]
        slice.json["addressType"] = "IPv4"
        slice.json["ports"] = .array(
            [("https-webhook", 9443), ("grpc-xds", 15012), ("http-metrics", 8080)].map {
                ["name": .string($0.0), "port": .int($0.1), "protocol": "TCP"]
            })
        slice.json["endpoints"] = .array(
            Self.all.map { replica in
                [
                    "addresses": [.string(replica.address)],
                    "conditions": ["ready": .bool(ready[replica] ?? false)],
                ]
            })
        try await cluster.api.apply(.endpointSlices, slice, fieldManager: "heddle-demo", force: true)
    }
}
