/// Everything the mesh knows at one moment: from it every proxy's configuration is computed.
package struct MeshSnapshot: Sendable, Hashable {
    package var settings: MeshSettings
    package var services: [ServiceID: MeshService]
    /// Endpoints by service, ready or not.
    package var endpoints: [ServiceID: [ServiceEndpoint]]
    package var routes: [TrafficRoute]
    package var policies: [DestinationPolicy]
    package var peerPolicies: [PeerPolicy]
    package var telemetry: [TelemetryPolicy]
    package var scopes: [EgressScope]

    package init(
        settings: MeshSettings = .init(), services: [ServiceID: MeshService] = [:],
        endpoints: [ServiceID: [ServiceEndpoint]] = [:], routes: [TrafficRoute] = [],
        policies: [DestinationPolicy] = [],
        peerPolicies: [PeerPolicy] = [], telemetry: [TelemetryPolicy] = [], scopes: [EgressScope] = []
    ) {
        self.settings = settings
        self.services = services
        self.endpoints = endpoints
        self.routes = routes
        self.policies = policies
        self.peerPolicies = peerPolicies
        self.telemetry = telemetry
        self.scopes = scopes
    }

    /// The egress scope that holds for a workload: the one that selects it, else its namespace's, else the mesh's.
    package func scope(of workload: WorkloadInstance) -> EgressScope? {
        scopes.first { scope in
            scope.namespace == workload.namespace
                && scope.selector?.allSatisfy { workload.labels[$0.key] == $0.value } == true
        } ?? scopes.first { $0.namespace == workload.namespace && $0.selector == nil }
            ?? scopes.first { $0.namespace == settings.rootNamespace && $0.selector == nil }
    }

    /// The services that a workload may call through its proxy: as its egress scope says, else all. Sorted.
    package func services(callableBy workload: WorkloadInstance) -> [MeshService] {
        let all = services.values.sorted { $0.id < $1.id }
        guard let scope = scope(of: workload) else { return all }
        return all.filter { scope.includes($0.id, from: workload.namespace) }
    }
}

/// What holds for the whole mesh.
package struct MeshSettings: Sendable, Hashable {
    package var trustDomain: String
    package var rootNamespace: String
    package var clusterDomain: String
    package var tracing: TracingBackend?

    package init(
        trustDomain: String = "cluster.local", rootNamespace: String = "heddle-system",
        clusterDomain: String = "cluster.local",
        tracing: TracingBackend? = nil
    ) {
        self.trustDomain = trustDomain
        self.rootNamespace = rootNamespace
        self.clusterDomain = clusterDomain
        self.tracing = tracing
    }
}

/// Where spans go.
package struct TracingBackend: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable {
        case otlp = "OTLP"
        case zipkin = "Zipkin"
    }
    package var kind: Kind
    /// Host name or IP.
    package var host: String
    package var port: Int
    package var path: String
    /// 0 to 100; a Telemetry of the workload's namespace overrides it.
    package var samplingPercent: Double

    package init(kind: Kind, host: String, port: Int, path: String, samplingPercent: Double) {
        self.kind = kind
        self.host = host
        self.port = port
        self.path = path
        self.samplingPercent = samplingPercent
    }
}

/// The meaning of a Telemetry's tracing part.
package struct TelemetryPolicy: Sendable, Hashable {
    package var source: String
    package var namespace: String
    package var selector: [String: String]?
    /// 0 to 100.
    package var samplingPercent: Double?
    package var disablesTracing: Bool
    /// Literal tags by name.
    package var tags: [String: String]

    package init(
        source: String, namespace: String, selector: [String: String]? = nil, samplingPercent: Double? = nil,
        disablesTracing: Bool = false, tags: [String: String] = [:]
    ) {
        self.source = source
        self.namespace = namespace
        self.selector = selector
        self.samplingPercent = samplingPercent
        self.disablesTracing = disablesTracing
        self.tags = tags
    }
}

/// Which services a workload's proxy knows: the meaning of a Sidecar's egress.
package struct EgressScope: Sendable, Hashable {
    package var source: String
    package var namespace: String
    package var selector: [String: String]?
    /// `namespace/host`, with `.` (own), `*` (any) and `~` (none) as namespaces and `*` as host.
    package var hosts: [String]

    package init(source: String, namespace: String, selector: [String: String]? = nil, hosts: [String]) {
        self.source = source
        self.namespace = namespace
        self.selector = selector
        self.hosts = hosts
    }

    package func includes(_ service: ServiceID, from namespace: String) -> Bool {
        hosts.contains { host in
            let parts = host.split(separator: "/", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { return false }
            let isNamespace =
                parts[0] == "*" || parts[0] == service.namespace || (parts[0] == "." && namespace == service.namespace)
            return isNamespace && (parts[1] == "*" || ServiceID(host: parts[1], in: service.namespace) == service)
        }
    }
}
