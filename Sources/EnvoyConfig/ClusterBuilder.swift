import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// A service port, or one subset of it, as a cluster and its endpoints.
struct ClusterBuilder {
    /// Endpoint metadata by which Envoy picks the TLS socket.
    static let transportSocketMatch = "envoy.transport_socket_match"
    /// Our own metadata, on clusters and endpoints; request metrics read it.
    static let metadata = "heddle"

    let context: ProxyContext
    let service: MeshService
    let port: ServicePort
    var subset: DestinationPolicy.Subset?

    var name: String { context.clusterName(service.id, port: port.number, subset: subset?.name) }

    private var traffic: TrafficPolicy { context.traffic(to: service.id, subset: subset) }

    /// Policies first, since they are what a refused cluster is most likely about.
    var sources: [String] {
        context.policy(for: service.id).sources + ["Service \(service.id.namespace)/\(service.id.name)"]
    }

    func build(into draft: inout ConfigurationDraft) {
        guard draft.takesClusters, !draft.hasCluster(name) else { return }
        let hops = context.hops(to: service.id, port: port, subset: subset)
        if service.addresses.isEmpty {
            for cluster in headless(hops) { draft.add(cluster, sources: sources) }
        } else if traffic.loadBalancing == .passthrough {
            draft.add(passthrough(name, security(of: hops)), sources: sources)
        } else {
            draft.add(balanced(hops), sources: sources)
            draft.add(endpoints(hops), sources: ["Service \(service.id.namespace)/\(service.id.name)"])
        }
    }

    // MARK: Security

    /// Whether all endpoints, none or some are spoken to with mutual TLS, and who they may be.
    ///
    /// Endpoints that are not ready count: a cluster so changes its shape before the first endpoint of a new kind gets
    /// traffic, and after the last one of the old kind has gone.
    private func security(of hops: [Hop]) -> Security {
        let meshed = hops.filter(\.isMutualTLS)
        let identities = Set(meshed.compactMap { $0.workload?.spiffeID(trustDomain: context.settings.trustDomain) })
        let asked = traffic.tls == .istioMutual
        let shape: Security.Shape =
            if meshed.isEmpty { asked ? .mutualTLS : .plaintext } else {
                meshed.count == hops.count ? .mutualTLS : .mixed
            }
        return Security(shape: shape, identities: identities.sorted())
    }

    private struct Security {
        enum Shape { case plaintext, mixed, mutualTLS }
        var shape: Shape
        var identities: [String]
    }

    // MARK: Clusters

    private func balanced(_ hops: [Hop]) -> EnvoyCluster {
        var cluster = base(name, security(of: hops))
        cluster.type = .eds
        cluster.edsClusterConfig.edsConfig = .aggregated
        cluster.lbPolicy =
            switch traffic.loadBalancing {
            case .roundRobin: .roundRobin
            case .random: .random
            case .leastRequest, .passthrough, nil: .leastRequest
            }
        TrafficSettings(traffic).apply(to: &cluster)
        return cluster
    }

    /// Goes to the address that the client dialled.
    private func passthrough(_ name: String, _ security: Security) -> EnvoyCluster {
        var cluster = base(name, security)
        cluster.type = .originalDst
        cluster.lbPolicy = .clusterProvided
        TrafficSettings(traffic).apply(to: &cluster)
        return cluster
    }

    /// Clients of a headless service choose the pod themselves. Its meshed pods are reached through the first cluster,
    /// the others through the second.
    private func headless(_ hops: [Hop]) -> [EnvoyCluster] {
        var security = security(of: hops)
        security.shape = .mutualTLS
        let plain = Security(shape: .plaintext, identities: [])
        return [passthrough(name, security), passthrough(plainName, plain)]
    }

    /// Of a headless service's pods without a sidecar.
    var plainName: String { context.clusterName(service.id, port: port.number, subset: "~plaintext") }

    private func base(_ name: String, _ security: Security) -> EnvoyCluster {
        EnvoyCluster.with {
            $0.name = name
            $0.metadata.filterMetadata[Self.metadata] = .init(strings: [
                "service": service.id.description, "subset": subset?.name ?? "",
            ])
            if let options = protocolOptions(security.shape) {
                $0.typedExtensionProtocolOptions[TrafficSettings.protocolOptionsName] = .packing(options)
            }
            switch security.shape {
            case .plaintext: break
            case .mutualTLS: $0.transportSocket = tls(security, isMixed: false)
            case .mixed:
                $0.transportSocketMatches = [
                    .with {
                        $0.name = "heddle"
                        $0.match = .init(strings: ["tlsMode": "heddle"])
                        $0.transportSocket = tls(security, isMixed: true)
                    }
                ]
            }
        }
    }

    private func tls(_ security: Security, isMixed: Bool) -> Envoy_Config_Core_V3_TransportSocket {
        let payload: TLSContexts.Payload =
            if !port.protocol.isHTTP { .bytes } else { speaksHTTP2(isMixed ? .mixed : .mutualTLS) ? .http2 : .http1 }
        return TLSContexts(trustDomain: context.settings.trustDomain, files: context.files).upstream(
            sni: service.id.host(clusterDomain: context.settings.clusterDomain), identities: security.identities,
            namespace: service.id.namespace, payload: payload)
    }

    /// HTTP/2 between proxies, so that requests share a connection. One cluster has one protocol for all its endpoints
    /// (Envoy refuses to negotiate where one socket is plaintext), so a mixed one falls back to the application's.
    private func speaksHTTP2(_ shape: Security.Shape) -> Bool { shape == .mutualTLS || port.protocol != .http }

    private func protocolOptions(_ shape: Security.Shape) -> Envoy_Extensions_Upstreams_Http_V3_HttpProtocolOptions? {
        guard port.protocol.isHTTP else { return nil }
        return .with {
            if let limit = traffic.connectionPool?.maxRequestsPerConnection, limit > 0 {
                $0.commonHTTPProtocolOptions.maxRequestsPerConnection = .init(clamping: limit)
            }
            if speaksHTTP2(shape) {
                $0.explicitHTTPConfig.http2ProtocolOptions = .with {
                    // WebSockets travel as extended CONNECT.
                    $0.allowConnect = true
                    // A pod that vanished without a word is noticed within 20 s.
                    $0.connectionKeepalive.interval = .init(milliseconds: 15_000)
                    $0.connectionKeepalive.timeout = .init(milliseconds: 5000)
                }
            } else {
                $0.explicitHTTPConfig.httpProtocolOptions = .init()
            }
        }
    }

    // MARK: Endpoints

    private func endpoints(_ hops: [Hop]) -> EnvoyEndpoints {
        let ready = hops.filter(\.isReady)
        return .with {
            $0.clusterName = name
            guard !ready.isEmpty else { return }
            $0.endpoints = [
                .with {
                    $0.lbEndpoints = ready.map { hop in
                        .with {
                            $0.endpoint.address = .socket(hop.address, hop.port)
                            $0.metadata.filterMetadata[Self.metadata] = .init(strings: [
                                "security": hop.isMutualTLS ? "mutual_tls" : "none"
                            ])
                            if hop.isMutualTLS {
                                $0.metadata.filterMetadata[Self.transportSocketMatch] = .init(
                                    strings: ["tlsMode": "heddle"])
                            }
                        }
                    }
                }
            ]
        }
    }
}
