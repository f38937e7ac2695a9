import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// What others' calls to the workload go through: one listener, with chains per port.
///
/// | peer mode  | mutual TLS offered by a mesh client | TLS of the application's own | plaintext |
/// |---|---|---|---|
/// | PERMISSIVE | terminated | passed to the application | taken |
/// | STRICT     | terminated | no chain: reset           | no chain: reset |
/// | DISABLE    | passed to the application | passed to the application | taken |
///
/// What is not mutual TLS counts under its own statistics prefix, exactly, per port.
struct InboundBuilder {
    static let port = 15006
    /// How long a connection may stay silent before it is taken for plaintext. Only servers that speak first make a client
    /// wait so long, and only in plaintext; where mutual TLS is disabled nobody waits.
    static let inspectionMilliseconds = 1000
    /// Marks a connection to the application, which the capture rules leave alone.
    static let sourceAddress = "127.0.0.6"

    let context: ProxyContext

    func build(into draft: inout ConfigurationDraft) {
        let facts = InboundPorts(context: context)
        for problem in facts.problems { draft.note(problem.source, problem.message) }
        for port in facts.ports { draft.add(cluster(port), sources: port.sources) }
        draft.add(passthrough(facts))
        var clusters = Set(facts.ports.map { ResourceNames.inboundCluster(port: $0.number) })
        clusters.formUnion([ResourceNames.inboundPassthroughCluster, ResourceNames.blackHoleCluster])
        if let tracing = context.tracing { clusters.insert(tracing.clusterName) }
        draft.add(
            listener(facts), sources: facts.policySources + (context.tracing?.sources ?? []), requires: clusters)
    }

    // MARK: Listener

    private func listener(_ facts: InboundPorts) -> EnvoyListener {
        var chains = [NetworkFilters.blackHole(port: Self.port)]
        for port in facts.ports { chains += self.chains(port.number, isHTTP: port.protocol.isHTTP, mode: port.mode) }
        chains += self.chains(nil, isHTTP: false, mode: facts.defaultMode)
        return .with {
            $0.name = ResourceNames.virtualInbound
            $0.address = .socket("0.0.0.0", Self.port)
            $0.trafficDirection = .inbound
            $0.listenerFilters = listenerFilters(facts)
            $0.listenerFiltersTimeout = .init(milliseconds: Self.inspectionMilliseconds)
            $0.continueOnListenerFiltersTimeout = true
            $0.filterChains = chains
        }
    }

    /// The destination first, then a look at the first bytes; not where mutual TLS is disabled, since nothing there
    /// depends on them.
    private func listenerFilters(_ facts: InboundPorts) -> [Envoy_Config_Listener_V3_ListenerFilter] {
        let uninspected = facts.ports.filter { $0.mode == .disable && !$0.protocol.isHTTP }.map(\.number)
        return [
            .with {
                $0.name = "envoy.filters.listener.original_dst"
                $0.typedConfig = .packing(Envoy_Extensions_Filters_Listener_OriginalDst_V3_OriginalDst())
            },
            .with {
                $0.name = "envoy.filters.listener.tls_inspector"
                $0.typedConfig = .packing(Envoy_Extensions_Filters_Listener_TlsInspector_V3_TlsInspector())
                let rules = uninspected.map(Self.predicate)
                if rules.count == 1 { $0.filterDisabled = rules[0] }
                if rules.count > 1 { $0.filterDisabled.orMatch.rules = rules }
            },
        ]
    }

    private static func predicate(_ port: Int) -> Envoy_Config_Listener_V3_ListenerFilterChainMatchPredicate {
        .with {
            $0.destinationPortRange.start = Int32(clamping: port)
            $0.destinationPortRange.end = Int32(clamping: port + 1)
        }
    }

    // MARK: Chains

    /// - Parameter port: nil for every port without chains of its own.
    private func chains(_ port: Int?, isHTTP: Bool, mode: MTLSMode) -> [EnvoyFilterChain] {
        var chains: [EnvoyFilterChain] = []
        if mode != .disable {
            var chain = self.chain(port, isHTTP: isHTTP, isMutualTLS: true)
            chain.filterChainMatch.transportProtocol = "tls"
            chain.filterChainMatch.applicationProtocols = [TLSContexts.meshProtocol]
            chain.transportSocket = TLSContexts(trustDomain: context.settings.trustDomain, files: context.files)
                .downstream(isHTTP: isHTTP)
            chains.append(chain)
        }
        guard mode != .strict else { return chains }
        guard isHTTP || mode != .disable else {
            return [chain(port, isHTTP: false, isMutualTLS: false)]
        }
        // Envoy does not fall back from a chain for one transport to a chain for any, so each transport has its own.
        var plain = chain(port, isHTTP: isHTTP, isMutualTLS: false)
        plain.filterChainMatch.transportProtocol = "raw_buffer"
        var foreign = chain(port, isHTTP: false, isMutualTLS: false)
        foreign.name += "-tls"
        foreign.filterChainMatch.transportProtocol = "tls"
        return chains + [plain, foreign]
    }

    private func chain(_ port: Int?, isHTTP: Bool, isMutualTLS: Bool) -> EnvoyFilterChain {
        let cluster = port.map(ResourceNames.inboundCluster) ?? ResourceNames.inboundPassthroughCluster
        let prefix = ResourceNames.inboundStatPrefix(port: port, isMutualTLS: isMutualTLS)
        let metrics = RequestMetrics.inbound(isMutualTLS: isMutualTLS, port: port)
        return .with {
            $0.name = prefix
            if let port { $0.filterChainMatch.destinationPort = .init(clamping: port) }
            $0.filters = [
                isHTTP
                    ? NetworkFilters.filter(manager(cluster, prefix, metrics, isMutualTLS: isMutualTLS))
                    : NetworkFilters.filter(
                        NetworkFilters.tcpProxy(cluster: cluster, statPrefix: prefix, metrics: metrics))
            ]
        }
    }

    private func manager(_ cluster: String, _ statPrefix: String, _ metrics: RequestMetrics, isMutualTLS: Bool)
        -> EnvoyConnectionManager
    {
        var manager = NetworkFilters.connectionManager(
            statPrefix: statPrefix, metrics: metrics, tracing: context.tracing)
        manager.httpFilters = NetworkFilters.httpFilters(withFaults: false)
        // The application learns who calls from the certificate, never from what the caller claims.
        manager.forwardClientCertDetails = isMutualTLS ? .sanitizeSet : .sanitize
        if isMutualTLS {
            manager.setCurrentClientCertDetails.subject = true
            manager.setCurrentClientCertDetails.dns = true
            manager.setCurrentClientCertDetails.uri = true
        }
        manager.routeConfig = .with {
            $0.name = cluster
            $0.virtualHosts = [
                .with {
                    $0.name = cluster
                    $0.domains = ["*"]
                    $0.routes = [
                        .with {
                            $0.name = "default"
                            $0.match.prefix = "/"
                            $0.decorator.operation = "\(context.proxy.applicationName).\(context.proxy.namespace)/*"
                            $0.route.cluster = cluster
                            $0.route.timeout = .init(milliseconds: 0)
                            $0.route.retryPolicy = RetryRules.inbound
                        }
                    ]
                }
            ]
        }
        return manager
    }

    // MARK: Clusters

    private func cluster(_ port: InboundPorts.Port) -> EnvoyCluster {
        var cluster = OutboundBuilder.passthrough(ResourceNames.inboundCluster(port: port.number))
        toApplication(&cluster, service: port.service?.description ?? "unknown", subset: port.subset)
        if port.protocol.isHTTP {
            // By the port's protocol, never by the client's: proxies speak HTTP/2 to each other for any application.
            cluster.typedExtensionProtocolOptions[TrafficSettings.protocolOptionsName] = .packing(
                Envoy_Extensions_Upstreams_Http_V3_HttpProtocolOptions.with {
                    if port.protocol == .http {
                        $0.explicitHTTPConfig.httpProtocolOptions = .init()
                    } else {
                        $0.explicitHTTPConfig.http2ProtocolOptions.allowConnect = true
                    }
                })
        }
        return cluster
    }

    private func passthrough(_ facts: InboundPorts) -> EnvoyCluster {
        var cluster = OutboundBuilder.passthrough(ResourceNames.inboundPassthroughCluster)
        toApplication(&cluster, service: "unknown", subset: "")
        return cluster
    }

    private func toApplication(_ cluster: inout EnvoyCluster, service: String, subset: String) {
        cluster.upstreamBindConfig.sourceAddress = .with {
            $0.address = Self.sourceAddress
            $0.portValue = 0
        }
        cluster.metadata.filterMetadata[ClusterBuilder.metadata] = .init(strings: [
            "service": service, "subset": subset,
        ])
    }
}
