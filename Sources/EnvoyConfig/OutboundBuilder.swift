import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// What the workload's own calls go through.
///
/// All captured connections arrive at `virtualOutbound`, which hands each to the listener of the address that it was meant
/// for; what has none passes through unchanged.
struct OutboundBuilder {
    static let port = 15001
    /// Listeners for single pods of headless services, at most; further pods are reached without the mesh.
    static let maxHeadlessEndpoints = 100

    let context: ProxyContext

    func build(into draft: inout ConfigurationDraft) {
        draft.add(Self.passthrough(ResourceNames.passthroughCluster))
        draft.add(Self.blackHole)
        draft.add(
            virtualOutbound, sources: [],
            requires: [ResourceNames.passthroughCluster, ResourceNames.blackHoleCluster])
        defer { draft.takesClusters = true }
        for service in context.snapshot.services(callableBy: context.proxy) {
            draft.takesClusters = context.isCalled(service.id)
            for port in service.ports.sorted(by: { $0.number < $1.number }) { build(service, port, into: &draft) }
        }
    }

    private func build(_ service: MeshService, _ port: ServicePort, into draft: inout ConfigurationDraft) {
        let cluster = ClusterBuilder(context: context, service: service, port: port)
        cluster.build(into: &draft)
        if service.addresses.isEmpty { return buildHeadless(cluster, into: &draft) }
        for subset in context.policy(for: service.id).subsets {
            ClusterBuilder(context: context, service: service, port: port, subset: subset).build(into: &draft)
        }
        let metrics = RequestMetrics.outbound(principal: context.principal, service: service.id.description)
        var clusters: Set<String> = []
        let filter: Envoy_Config_Listener_V3_Filter
        var sources = ["Service \(service.id.namespace)/\(service.id.name)"]
        if port.protocol.isHTTP {
            let routes = RouteBuilder(context: context, service: service, port: port)
            routes.build(into: &draft)
            filter = NetworkFilters.filter(
                http(service, port, metrics) {
                    $0.rds.configSource = .aggregated
                    $0.rds.routeConfigName = routes.name
                })
        } else {
            filter = tcp(cluster, metrics, sources: &sources, clusters: &clusters, draft: &draft)
        }
        if port.protocol.isHTTP, let tracing = context.tracing { clusters.insert(tracing.clusterName) }
        for address in service.addresses {
            add(address, port.number, service, filter, sources: sources, requires: clusters, into: &draft)
        }
    }

    private func http(
        _ service: MeshService, _ port: ServicePort, _ metrics: RequestMetrics,
        _ route: (inout EnvoyConnectionManager) -> Void
    ) -> EnvoyConnectionManager {
        var manager = NetworkFilters.connectionManager(
            statPrefix: ResourceNames.outboundStatPrefix(service.id, port: port.number), metrics: metrics,
            tracing: context.tracing)
        manager.httpFilters = NetworkFilters.httpFilters(withFaults: true, onDemand: context.isOnDemand)
        route(&manager)
        return manager
    }

    /// Connections follow the first rule that does not look into requests.
    private func tcp(
        _ cluster: ClusterBuilder, _ metrics: RequestMetrics, sources: inout [String], clusters: inout Set<String>,
        draft: inout ConfigurationDraft
    ) -> Envoy_Config_Listener_V3_Filter {
        let service = cluster.service.id
        let statPrefix = ResourceNames.outboundStatPrefix(service, port: cluster.port.number)
        var proxy = NetworkFilters.tcpProxy(
            cluster: cluster.name, statPrefix: statPrefix, metrics: metrics, onDemand: context.isOnDemand)
        let object = context.route(for: service)
        let rule = object?.rules.first { rule in
            rule.matches.isEmpty
                || rule.matches.contains {
                    !$0.looksIntoRequests && $0.concerns(context.proxy, port: cluster.port.number)
                }
        }
        if let object, let rule {
            var resolver = DestinationResolver(
                context: context, called: service, port: cluster.port, source: object.source)
            let shares = resolver.shares(rule.destinations)
            resolver.flush(into: &draft, clusters: &clusters)
            sources.insert(object.source, at: 0)
            if shares.count == 1 {
                proxy.cluster = shares[0].cluster
            } else if shares.count > 1 {
                proxy.weightedClusters.clusters = shares.map { share in
                    .with {
                        $0.name = share.cluster
                        $0.weight = UInt32(clamping: share.weight)
                    }
                }
            }
        }
        if case .cluster(let name) = proxy.clusterSpecifier { clusters.insert(name) }
        return NetworkFilters.filter(proxy)
    }

    // MARK: Headless services

    /// Clients dial the pods themselves, so each pod is an address of its own. Not-ready pods are included: whoever dials
    /// one has chosen it. Routes do not apply.
    private func buildHeadless(_ cluster: ClusterBuilder, into draft: inout ConfigurationDraft) {
        let service = cluster.service
        let hops = context.hops(to: service.id, port: cluster.port).filter { $0.address != context.proxy.address }
        if hops.count > Self.maxHeadlessEndpoints {
            draft.note(
                cluster.sources.last ?? "",
                "has \(hops.count) endpoints on port \(cluster.port.number) and no cluster address: "
                    + "the first \(Self.maxHeadlessEndpoints) are reached through the mesh, the others in plaintext")
        }
        for hop in hops.prefix(Self.maxHeadlessEndpoints) {
            let target = hop.isMutualTLS ? cluster.name : cluster.plainName
            let metrics = RequestMetrics.outbound(
                principal: context.principal, service: service.id.description,
                security: hop.isMutualTLS ? "mutual_tls" : "none")
            let filter: Envoy_Config_Listener_V3_Filter
            var clusters: Set<String> = [target]
            if cluster.port.protocol.isHTTP {
                filter = NetworkFilters.filter(
                    http(service, cluster.port, metrics) { $0.routeConfig = direct(to: target, cluster) })
                if let tracing = context.tracing { clusters.insert(tracing.clusterName) }
            } else {
                filter = NetworkFilters.filter(
                    NetworkFilters.tcpProxy(
                        cluster: target,
                        statPrefix: ResourceNames.outboundStatPrefix(service.id, port: cluster.port.number),
                        metrics: metrics, onDemand: context.isOnDemand))
            }
            add(hop.address, hop.port, service, filter, sources: cluster.sources, requires: clusters, into: &draft)
        }
    }

    private func direct(to target: String, _ cluster: ClusterBuilder) -> EnvoyRoutes {
        let host = cluster.service.id.host(clusterDomain: context.settings.clusterDomain)
        return .with {
            // Inline routes are checked by default, and their cluster may come on demand.
            if context.isOnDemand { $0.validateClusters = .init(false) }
            $0.virtualHosts = [
                .with {
                    $0.name = "\(host):\(cluster.port.number)"
                    $0.domains = ["*"]
                    $0.routes = [
                        .with {
                            $0.name = "default"
                            $0.match.prefix = "/"
                            $0.decorator.operation = "\(host):\(cluster.port.number)/*"
                            $0.route.cluster = target
                            $0.route.timeout = .init(milliseconds: 0)
                            if let retries = RetryRules.envoyPolicy(nil) {
                                $0.route.retryPolicy = retries
                                // There is no other endpoint to go to.
                                $0.route.retryPolicy.retryHostPredicate = []
                                $0.route.retryPolicy.hostSelectionRetryMaxAttempts = 0
                            }
                        }
                    ]
                }
            ]
        }
    }

    // MARK: Listeners

    private func add(
        _ address: String, _ port: Int, _ service: MeshService, _ filter: Envoy_Config_Listener_V3_Filter,
        sources: [String], requires clusters: Set<String>, into draft: inout ConfigurationDraft
    ) {
        let name = ResourceNames.listener(address: address, port: port)
        guard !draft.hasListener(name) else {
            return draft.note(
                "Service \(service.id.namespace)/\(service.id.name)",
                "has the address \(address) port \(port), which another service has too: the other one's is used")
        }
        let listener = EnvoyListener.with {
            $0.name = name
            $0.address = .socket(address, port)
            $0.bindToPort = false
            $0.trafficDirection = .outbound
            $0.filterChains = [.with { $0.filters = [filter] }]
        }
        draft.add(listener, sources: sources, requires: clusters)
    }

    private var virtualOutbound: EnvoyListener {
        .with {
            $0.name = ResourceNames.virtualOutbound
            $0.address = .socket("0.0.0.0", Self.port)
            $0.trafficDirection = .outbound
            // Also adds the listener filter that recovers the address.
            $0.useOriginalDst = true
            // Connections made straight to the proxy's own ports would come back to it without end.
            $0.filterChains = [
                NetworkFilters.blackHole(port: Self.port), NetworkFilters.blackHole(port: InboundBuilder.port),
            ]
            $0.defaultFilterChain = .with {
                $0.name = "passthrough"
                $0.filters = [
                    NetworkFilters.filter(
                        NetworkFilters.tcpProxy(
                            cluster: ResourceNames.passthroughCluster, statPrefix: "outbound_passthrough"))
                ]
            }
        }
    }

    static func passthrough(_ name: String) -> EnvoyCluster {
        .with {
            $0.name = name
            $0.type = .originalDst
            $0.lbPolicy = .clusterProvided
            TrafficSettings(.init()).apply(to: &$0)
            // Where a connection goes outside the mesh takes its own time to answer.
            $0.connectTimeout = .init(milliseconds: 10_000)
        }
    }

    private static var blackHole: EnvoyCluster {
        .with {
            $0.name = ResourceNames.blackHoleCluster
            $0.type = .static
            $0.connectTimeout = .init(milliseconds: 1000)
        }
    }
}
