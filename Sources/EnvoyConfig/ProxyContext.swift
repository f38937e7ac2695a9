import MeshModel

/// The mesh's state as one proxy's builders need it: indexed by service, and with what is the proxy's own worked out.
struct ProxyContext {
    let proxy: WorkloadInstance
    let snapshot: MeshSnapshot
    /// The services whose clusters the proxy gets unasked; nil for all.
    let called: Set<ServiceID>?
    let files: SidecarFiles
    let tracing: TracingChoice?
    let problems: Set<ConfigurationProblem>
    private let policies: [ServiceID: ServicePolicy]
    private let routes: [ServiceID: TrafficRoute]

    init(proxy: WorkloadInstance, snapshot: MeshSnapshot, called: Set<ServiceID>? = nil, files: SidecarFiles) {
        self.proxy = proxy
        self.snapshot = snapshot
        self.called = called
        self.files = files
        tracing = TracingChoice(for: proxy, in: snapshot)
        var policies: [ServiceID: ServicePolicy] = [:]
        for policy in snapshot.policies { policies[policy.service, default: .init()].add(policy) }
        self.policies = policies
        var routes: [ServiceID: TrafficRoute] = [:]
        var problems: Set<ConfigurationProblem> = []
        for route in snapshot.routes {
            for service in Set(route.services) {
                guard let first = routes[service] else {
                    routes[service] = route
                    continue
                }
                problems.insert(
                    .init(
                        source: route.source,
                        message: "\(first.source) already routes \(service); this one has no effect there"))
            }
        }
        self.routes = routes
        self.problems = problems
    }

    var settings: MeshSettings { snapshot.settings }

    /// The proxy's own SPIFFE id.
    var principal: String { proxy.spiffeID(trustDomain: settings.trustDomain) }

    func policy(for service: ServiceID) -> ServicePolicy { policies[service] ?? .init() }
    func route(for service: ServiceID) -> TrafficRoute? { routes[service] }

    /// Whether the proxy asks for clusters when a request needs them.
    var isOnDemand: Bool { called != nil }

    /// Whether a service is called, or one that its requests are routed to.
    func isCalled(_ service: ServiceID) -> Bool {
        guard let called else { return true }
        return called.contains(service) || route(for: service)?.leads(toAnyOf: called) == true
    }

    func clusterName(_ service: ServiceID, port: Int, subset: String? = nil) -> String {
        ResourceNames.outboundCluster(service, port: port, subset: subset, clusterDomain: settings.clusterDomain)
    }

    func peerMode(of workload: WorkloadInstance, port: Int) -> MTLSMode {
        snapshot.peerPolicies.mode(for: workload, port: port, rootNamespace: settings.rootNamespace)
    }

    /// A service port's endpoints, ready or not, with how each is spoken to; of a subset when one is named.
    func hops(to service: ServiceID, port: ServicePort, subset: DestinationPolicy.Subset? = nil) -> [Hop] {
        let tls = traffic(to: service, subset: subset).tls
        var hops: [Hop] = []
        for endpoint in snapshot.endpoints[service] ?? [] {
            guard let target = endpoint.targetPorts[port.number] else { continue }
            if let subset {
                guard let labels = endpoint.workload?.labels, subset.labels.allSatisfy({ labels[$0.key] == $0.value })
                else { continue }
            }
            hops.append(
                Hop(
                    address: endpoint.address, port: target, isReady: endpoint.isReady, workload: endpoint.workload,
                    isMutualTLS: isMutualTLS(endpoint, port: target, asked: tls)))
        }
        return hops.sorted { ($0.address, $0.port) < ($1.address, $1.port) }
    }

    func traffic(to service: ServiceID, subset: DestinationPolicy.Subset?) -> TrafficPolicy {
        let base = policy(for: service).traffic
        return subset?.traffic.falling(backTo: base) ?? base
    }

    /// What the policy says; where it says nothing, mutual TLS to whoever has a sidecar that accepts it.
    private func isMutualTLS(_ endpoint: ServiceEndpoint, port: Int, asked: TrafficPolicy.ClientTLS?) -> Bool {
        switch asked {
        case .disable: return false
        case .istioMutual: return true
        case nil:
            guard let workload = endpoint.workload, workload.isMeshed else { return false }
            return peerMode(of: workload, port: port) != .disable
        }
    }
}

/// One endpoint as a client's proxy reaches it.
struct Hop: Hashable {
    var address: String
    var port: Int
    var isReady: Bool
    var workload: WorkloadInstance?
    var isMutualTLS: Bool
}

/// A service's policies as one. Several objects may speak about a service, a user's own and Heddle's: what an earlier
/// one leaves open comes from the next, subsets come from all, and of two subsets of one name the first counts.
struct ServicePolicy {
    var sources: [String] = []
    var traffic = TrafficPolicy()
    var subsets: [DestinationPolicy.Subset] = []

    mutating func add(_ policy: DestinationPolicy) {
        sources.append(policy.source)
        traffic = traffic.falling(backTo: policy.traffic)
        for subset in policy.subsets where !subsets.contains(where: { $0.name == subset.name }) {
            subsets.append(subset)
        }
    }

    func subset(_ name: String) -> DestinationPolicy.Subset? { subsets.first { $0.name == name } }
}
