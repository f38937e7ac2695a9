import EnvoyAPI
import SwiftProtobuf

@testable import XDSServer

/// The resources of a mesh in little: `front` listens on one port and routes by name to one of several clusters, all of
/// which lead to `back`, a listener that answers by itself.
struct TinyMesh: Sendable {
    let frontPort: UInt32
    let backPort: UInt32
    /// The clusters that exist, and a setting of theirs whose change makes each a new one.
    var clusters: [String: UInt32]
    /// The cluster that all requests go to.
    var target: String
    /// Whether `/<name>` goes to the cluster of that name, which the proxy asks for when a request needs it.
    var isOnDemand = false
    /// Whether the route configuration has the same domain twice, which Envoy refuses.
    var isBroken = false

    func resources() throws -> ResourceSet {
        var set = ResourceSet()
        for (name, timeout) in clusters {
            set.insert(try XDSResource(name: name, message: cluster(name, timeout)))
            set.insert(try XDSResource(name: name, message: endpoints(name)))
        }
        set.insert(
            try XDSResource(
                name: "front",
                message: listener("front", frontPort) {
                    $0.rds.routeConfigName = "front"
                    $0.rds.configSource = Self.ads
                }))
        set.insert(
            try XDSResource(
                name: "back",
                message: listener("back", backPort) {
                    $0.routeConfig.virtualHosts = [
                        .with {
                            $0.name = "all"
                            $0.domains = ["*"]
                            $0.routes = [
                                .with {
                                    $0.match.safeRegex.regex = ".*/fail"
                                    $0.directResponse.status = 500
                                },
                                .with {
                                    $0.match.prefix = "/"
                                    $0.directResponse.status = 200
                                    $0.directResponse.body.inlineString = "hello"
                                },
                            ]
                        }
                    ]
                }))
        set.insert(try XDSResource(name: "front", message: routes(), requires: [target]))
        return set
    }

    private static let ads = Envoy_Config_Core_V3_ConfigSource.with {
        $0.ads = .init()
        $0.resourceApiVersion = .v3
    }

    private func cluster(_ name: String, _ timeout: UInt32) -> Envoy_Config_Cluster_V3_Cluster {
        .with {
            $0.name = name
            $0.type = .eds
            $0.edsClusterConfig.edsConfig = Self.ads
            $0.connectTimeout = .with { $0.seconds = Int64(timeout) }
        }
    }

    private func endpoints(_ name: String) -> Envoy_Config_Endpoint_V3_ClusterLoadAssignment {
        .with {
            $0.clusterName = name
            $0.endpoints = [
                .with {
                    $0.lbEndpoints = [.with { $0.endpoint.address = address(backPort) }]
                }
            ]
        }
    }

    private func address(_ port: UInt32) -> Envoy_Config_Core_V3_Address {
        .with {
            $0.socketAddress.address = "127.0.0.1"
            $0.socketAddress.portValue = port
        }
    }

    private func routes() -> Envoy_Config_Route_V3_RouteConfiguration {
        .with {
            $0.name = "front"
            $0.validateClusters = .init(false)
            let host = Envoy_Config_Route_V3_VirtualHost.with {
                $0.name = "all"
                $0.domains = ["*"]
                let named = isOnDemand ? clusters.keys.sorted() + ["absent"] : []
                $0.routes = named.map { name in
                    .with {
                        $0.match.prefix = "/\(name)"
                        $0.route.cluster = name
                    }
                }
                $0.routes.append(
                    .with {
                        $0.match.prefix = "/"
                        $0.route.cluster = target
                    })
            }
            $0.virtualHosts = isBroken ? [host, host] : [host]
        }
    }

    private typealias Manager = Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager

    private func listener(
        _ name: String, _ port: UInt32, configure: (inout Manager) -> Void
    ) throws -> Envoy_Config_Listener_V3_Listener {
        let discovery = Envoy_Extensions_Filters_Http_OnDemand_V3_OnDemand.with {
            $0.odcds.source = Self.ads
            $0.odcds.timeout.seconds = 5
        }
        let onDemand = try Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpFilter.with {
            $0.name = "envoy.filters.http.on_demand"
            $0.typedConfig = try Google_Protobuf_Any(message: discovery)
        }
        let router = try Google_Protobuf_Any(message: Envoy_Extensions_Filters_Http_Router_V3_Router())
        var manager = Manager.with {
            $0.statPrefix = name
            $0.httpFilters = [
                .with {
                    $0.name = "envoy.filters.http.router"
                    $0.typedConfig = router
                }
            ]
            if isOnDemand { $0.httpFilters.insert(onDemand, at: 0) }
        }
        configure(&manager)
        let filter = try Google_Protobuf_Any(message: manager)
        return .with {
            $0.name = name
            $0.address = address(port)
            $0.filterChains = [
                .with {
                    $0.filters = [
                        .with {
                            $0.name = "envoy.filters.network.http_connection_manager"
                            $0.typedConfig = filter
                        }
                    ]
                }
            ]
        }
    }
}
