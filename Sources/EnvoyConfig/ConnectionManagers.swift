import EnvoyAPI
import SwiftProtobuf

/// The network filters of a chain: HTTP connection managers and TCP proxies, with what all of them have in common.
enum NetworkFilters {
    static func filter(_ manager: EnvoyConnectionManager) -> Envoy_Config_Listener_V3_Filter {
        .with {
            $0.name = "envoy.filters.network.http_connection_manager"
            $0.typedConfig = .packing(manager)
        }
    }

    static func filter(_ proxy: Envoy_Extensions_Filters_Network_TcpProxy_V3_TcpProxy)
        -> Envoy_Config_Listener_V3_Filter
    {
        .with {
            $0.name = "envoy.filters.network.tcp_proxy"
            $0.typedConfig = .packing(proxy)
        }
    }

    /// A connection manager that changes nothing of what passes but what the mesh is for.
    static func connectionManager(statPrefix: String, metrics: RequestMetrics, tracing: TracingChoice?)
        -> EnvoyConnectionManager
    {
        .with {
            $0.codecType = .auto
            $0.statPrefix = statPrefix
            $0.accessLog = [metrics.httpLog]
            // A sidecar is no edge: it neither trusts nor extends X-Forwarded-For.
            $0.useRemoteAddress = false
            $0.internalAddressConfig = .init()
            $0.skipXffAppend = true
            $0.preserveExternalRequestID = true
            $0.serverHeaderTransformation = .passThrough
            $0.normalizePath = true
            $0.http2ProtocolOptions.allowConnect = true
            $0.upgradeConfigs = [.with { $0.upgradeType = "websocket" }]
            // Envoy's five minutes would end idle streams that the application wants open.
            $0.streamIdleTimeout = .init(milliseconds: 0)
            if let tracing { $0.tracing = tracing.managerTracing }
        }
    }

    /// How long a request waits for a cluster that it is the first to need.
    static let onDemandPatienceMilliseconds = 5000

    /// A chain of HTTP filters that ends with the router.
    ///
    /// - Parameter onDemand: Whether a request whose cluster the proxy does not have waits until it has it.
    static func httpFilters(withFaults: Bool, onDemand: Bool = false)
        -> [Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpFilter]
    {
        let router = Envoy_Extensions_Filters_Http_Router_V3_Router.with { $0.suppressEnvoyHeaders = true }
        var filters: [Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpFilter] = []
        if onDemand {
            let discovery = Envoy_Extensions_Filters_Http_OnDemand_V3_OnDemand.with {
                $0.odcds.source = .aggregated
                $0.odcds.timeout = .init(milliseconds: onDemandPatienceMilliseconds)
            }
            filters.append(
                .with {
                    $0.name = "envoy.filters.http.on_demand"
                    $0.typedConfig = .packing(discovery)
                })
        }
        if withFaults {
            // Always there, so that a route that gains a fault changes no listener.
            filters.append(
                .with {
                    $0.name = FaultInjection.filterName
                    $0.typedConfig = .packing(Envoy_Extensions_Filters_Http_Fault_V3_HTTPFault())
                })
        }
        filters.append(
            .with {
                $0.name = "envoy.filters.http.router"
                $0.typedConfig = .packing(router)
            })
        return filters
    }

    static func tcpProxy(
        cluster: String, statPrefix: String, metrics: RequestMetrics? = nil, onDemand: Bool = false
    ) -> Envoy_Extensions_Filters_Network_TcpProxy_V3_TcpProxy {
        .with {
            $0.statPrefix = statPrefix
            $0.cluster = cluster
            if let metrics { $0.accessLog = [metrics.tcpLog] }
            if onDemand {
                $0.onDemand.odcdsConfig = .aggregated
                $0.onDemand.timeout = .init(milliseconds: onDemandPatienceMilliseconds)
            }
        }
    }

    /// Closes what arrives.
    static func blackHole(port: Int) -> EnvoyFilterChain {
        .with {
            $0.name = "black-hole-\(port)"
            $0.filterChainMatch.destinationPort = .init(clamping: port)
            $0.filters = [
                filter(tcpProxy(cluster: ResourceNames.blackHoleCluster, statPrefix: "black_hole"))
            ]
        }
    }
}
