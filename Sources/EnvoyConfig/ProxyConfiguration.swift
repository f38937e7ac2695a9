import EnvoyAPI
package import MeshModel
import SwiftProtobuf

/// Everything that one proxy should have: a pure function of the mesh's state.
///
/// Equal input gives equal output, byte by byte: lists are sorted and maps are encoded in a stable order, so that a
/// content hash changes only with the meaning. Secrets are not part of it; a proxy reads its own from files.
package struct ProxyConfiguration: Sendable {
    /// Sorted by name, as the other lists.
    package var clusters: [EnvoyCluster] = []
    package var endpoints: [EnvoyEndpoints] = []
    package var listeners: [EnvoyListener] = []
    package var routes: [EnvoyRoutes] = []
    /// The objects that each resource was made of, such as `VirtualService shop/catalog`, most specific first: a proxy's
    /// refusal is reported on the first.
    package var sources: [ResourceKey: [String]] = [:]
    /// Clusters that a listener or a set of routes names.
    package var requiredClusters: [ResourceKey: Set<String>] = [:]
    /// What could not be done as an object says, and what was done instead.
    package var problems: [ConfigurationProblem] = []

    init() {}

    /// Computes a workload's configuration. Cost: linear in the services that it may call, and in the endpoints of those
    /// that it calls.
    ///
    /// - Parameter called: The services that the workload is known to call: it gets the clusters of these alone, and
    ///   asks for another's when a request needs it. Nil gives all that it may call, as does an egress scope of its own
    ///   (a Sidecar), which says what it calls.
    package static func make(
        for workload: WorkloadInstance, in snapshot: MeshSnapshot, calling called: Set<ServiceID>? = nil,
        files: SidecarFiles = .standard
    ) -> ProxyConfiguration {
        let context = ProxyContext(
            proxy: workload, snapshot: snapshot, called: snapshot.scope(of: workload) == nil ? called : nil,
            files: files)
        var draft = ConfigurationDraft(problems: context.problems)
        OutboundBuilder(context: context).build(into: &draft)
        InboundBuilder(context: context).build(into: &draft)
        if let tracing = context.tracing { draft.add(tracing.cluster, sources: tracing.sources) }
        return draft.finished()
    }
}

/// Kind and name of a resource: a cluster and its endpoints share a name.
package struct ResourceKey: Sendable, Hashable, Comparable {
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case cluster, endpoints, listener, routes

        /// As on the wire.
        package var typeURL: String {
            switch self {
            case .cluster: "type.googleapis.com/\(EnvoyCluster.protoMessageName)"
            case .endpoints: "type.googleapis.com/\(EnvoyEndpoints.protoMessageName)"
            case .listener: "type.googleapis.com/\(EnvoyListener.protoMessageName)"
            case .routes: "type.googleapis.com/\(EnvoyRoutes.protoMessageName)"
            }
        }
    }

    package var kind: Kind
    package var name: String

    package init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    /// The key of a resource by its wire type; nil for a type that is not configured here.
    package init?(typeURL: String, name: String) {
        guard let kind = Kind.allCases.first(where: { $0.typeURL == typeURL }) else { return nil }
        self.init(kind, name)
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.kind.rawValue, left.name) < (right.kind.rawValue, right.name)
    }
}

/// Something that an object asks for and the mesh cannot do as asked.
package struct ConfigurationProblem: Sendable, Hashable, Comparable {
    /// `VirtualService shop/catalog`
    package var source: String
    /// What is wrong and what happens instead.
    package var message: String

    package init(source: String, message: String) {
        self.source = source
        self.message = message
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.source, left.message) < (right.source, right.message)
    }
}

/// A configuration under construction: each name once, the first resource of a name counts.
struct ConfigurationDraft {
    private var clusters: [String: EnvoyCluster] = [:]
    private var endpoints: [String: EnvoyEndpoints] = [:]
    private var listeners: [String: EnvoyListener] = [:]
    private var routes: [String: EnvoyRoutes] = [:]
    private var sources: [ResourceKey: [String]] = [:]
    private var requiredClusters: [ResourceKey: Set<String>] = [:]
    private var problems: Set<ConfigurationProblem>

    /// Whether clusters and endpoints are taken in; those of a service that is not called are left out.
    var takesClusters = true

    init(problems: Set<ConfigurationProblem> = []) { self.problems = problems }

    func hasCluster(_ name: String) -> Bool { clusters[name] != nil }
    func hasListener(_ name: String) -> Bool { listeners[name] != nil }

    mutating func add(_ cluster: EnvoyCluster, sources: [String] = []) {
        guard clusters[cluster.name] == nil else { return }
        clusters[cluster.name] = cluster
        self.sources[.init(.cluster, cluster.name)] = sources
    }

    mutating func add(_ assignment: EnvoyEndpoints, sources: [String]) {
        guard endpoints[assignment.clusterName] == nil else { return }
        endpoints[assignment.clusterName] = assignment
        self.sources[.init(.endpoints, assignment.clusterName)] = sources
    }

    mutating func add(_ listener: EnvoyListener, sources: [String], requires clusters: Set<String>) {
        guard listeners[listener.name] == nil else { return }
        listeners[listener.name] = listener
        let key = ResourceKey(.listener, listener.name)
        self.sources[key] = sources
        requiredClusters[key] = clusters
    }

    mutating func add(_ configuration: EnvoyRoutes, sources: [String], requires clusters: Set<String>) {
        guard routes[configuration.name] == nil else { return }
        routes[configuration.name] = configuration
        let key = ResourceKey(.routes, configuration.name)
        self.sources[key] = sources
        requiredClusters[key] = clusters
    }

    mutating func note(_ source: String, _ message: String) {
        problems.insert(.init(source: source, message: message))
    }

    func finished() -> ProxyConfiguration {
        var result = ProxyConfiguration()
        result.clusters = clusters.values.sorted { $0.name < $1.name }
        result.endpoints = endpoints.values.sorted { $0.clusterName < $1.clusterName }
        result.listeners = listeners.values.sorted { $0.name < $1.name }
        result.routes = routes.values.sorted { $0.name < $1.name }
        result.sources = sources
        result.requiredClusters = requiredClusters
        result.problems = problems.sorted()
        return result
    }
}
