import MeshModel

/// The ports of a workload as its proxy treats them: what each speaks, whom it serves and what it accepts.
struct InboundPorts {
    struct Port {
        var number: Int
        var `protocol`: PortProtocol
        var mode: MTLSMode
        /// The service whose calls arrive here; the first by name when several do.
        var service: ServiceID?
        /// Which of the service's subsets the workload belongs to; empty for none.
        var subset: String
        var sources: [String]
    }

    let ports: [Port]
    /// For ports that nothing declares.
    let defaultMode: MTLSMode
    let policySources: [String]
    private(set) var problems: [ConfigurationProblem] = []

    /// Ports come from the workload, from services that have it as an endpoint, and from policies with modes for ports.
    init(context: ProxyContext) {
        let workload = context.proxy
        var served: [Int: [(service: ServiceID, protocol: PortProtocol)]] = [:]
        for (id, service) in context.snapshot.services {
            for endpoint in context.snapshot.endpoints[id] ?? [] where endpoint.address == workload.address {
                for port in service.ports {
                    guard let target = endpoint.targetPorts[port.number] else { continue }
                    served[target, default: []].append((id, port.protocol))
                }
            }
        }
        var protocols: [Int: PortProtocol] = [:]
        for port in workload.ports { protocols[port.number] = port.protocol }
        let policies = context.snapshot.peerPolicies.filter {
            $0.concerns(workload, root: context.settings.rootNamespace)
        }
        for policy in policies where policy.selector != nil {
            for number in policy.portModes.keys where protocols[number] == nil { protocols[number] = .tcp }
        }
        for (number, uses) in served {
            let sorted = uses.sorted { ($0.service, $0.protocol.rawValue) < ($1.service, $1.protocol.rawValue) }
            // What a service says counts, since its clients speak accordingly; of two answers, the one that sees more.
            let chosen = sorted.first { $0.protocol.isHTTP } ?? sorted[0]
            protocols[number] = chosen.protocol
            for use in sorted where use.protocol != chosen.protocol {
                problems.append(
                    .init(
                        source: "Service \(use.service.namespace)/\(use.service.name)",
                        message:
                            "calls port \(number) of \(workload.namespace)/\(workload.pod) \(use.protocol.rawValue), "
                            + "and \(chosen.service) calls it \(chosen.protocol.rawValue): the latter is used"))
            }
        }
        // The proxy's own ports are no business of the application's.
        let own: Set<Int> = [OutboundBuilder.port, InboundBuilder.port, 15000, 15020, 15021, 15090]
        ports = protocols.filter { !own.contains($0.key) }.sorted { $0.key < $1.key }.map { number, spoken in
            let service = served[number]?.map(\.service).min()
            let policy = service.map { context.policy(for: $0) }
            let subset = policy?.subsets.first { subset in
                !subset.labels.isEmpty && subset.labels.allSatisfy { workload.labels[$0.key] == $0.value }
            }
            return Port(
                number: number, protocol: spoken, mode: context.peerMode(of: workload, port: number), service: service,
                subset: subset?.name ?? "", sources: service.map { ["Service \($0.namespace)/\($0.name)"] } ?? [])
        }
        // No workload listens on port 0, so no policy has a mode for it: what is left is the workload's own mode.
        defaultMode = context.peerMode(of: workload, port: 0)
        policySources = policies.map(\.source).sorted()
    }
}

extension PeerPolicy {
    /// Whether it has a say about the workload: by its selector, for its namespace, or for the whole mesh.
    func concerns(_ workload: WorkloadInstance, root: String) -> Bool {
        guard let selector else { return namespace == workload.namespace || namespace == root }
        return namespace == workload.namespace && selector.allSatisfy { workload.labels[$0.key] == $0.value }
    }
}
