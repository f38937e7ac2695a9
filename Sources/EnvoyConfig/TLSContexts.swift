import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// Mutual TLS, as both of its ends speak it.
///
/// Which ALPN is offered decides much. A client's proxy offers `mesh` first, by which the server's proxy picks the filter
/// chain, and then what the two will speak; the server never selects `mesh` itself, since Envoy would take it for
/// HTTP/1.1 on the negotiated connection.
struct TLSContexts {
    static let meshProtocol = "mesh"

    let trustDomain: String
    let files: SidecarFiles

    /// What a client's connection will carry.
    enum Payload { case http1, http2, bytes }

    /// For a cluster.
    /// - Parameters:
    ///   - identities: SPIFFE ids of which the server must show one.
    ///   - namespace: where there are none, any identity of this namespace will do.
    func upstream(sni: String, identities: [String], namespace: String, payload: Payload)
        -> Envoy_Config_Core_V3_TransportSocket
    {
        let accepted: [Envoy_Type_Matcher_V3_StringMatcher] =
            identities.isEmpty
            ? [.with { $0.prefix = "spiffe://\(trustDomain)/ns/\(namespace)/sa/" }]
            : identities.map { identity in .with { $0.exact = identity } }
        let context = Envoy_Extensions_TransportSockets_Tls_V3_UpstreamTlsContext.with {
            $0.sni = sni
            $0.commonTlsContext = common(accepted: accepted)
            $0.commonTlsContext.alpnProtocols =
                switch payload {
                case .http1: [Self.meshProtocol, "http/1.1"]
                case .http2: [Self.meshProtocol, "h2"]
                case .bytes: [Self.meshProtocol]
                }
        }
        return socket(context)
    }

    /// For a filter chain: the client must show a certificate of the trust domain.
    func downstream(isHTTP: Bool) -> Envoy_Config_Core_V3_TransportSocket {
        let context = Envoy_Extensions_TransportSockets_Tls_V3_DownstreamTlsContext.with {
            $0.requireClientCertificate = true
            $0.commonTlsContext = common(accepted: [.with { $0.prefix = "spiffe://\(trustDomain)/" }])
            if isHTTP { $0.commonTlsContext.alpnProtocols = ["h2", "http/1.1"] }
        }
        return socket(context)
    }

    private func common(accepted: [Envoy_Type_Matcher_V3_StringMatcher])
        -> Envoy_Extensions_TransportSockets_Tls_V3_CommonTlsContext
    {
        .with {
            $0.tlsParams.tlsMinimumProtocolVersion = .tlsv12
            $0.tlsParams.tlsMaximumProtocolVersion = .tlsv13
            $0.tlsCertificateSdsSecretConfigs = [secret(SidecarFiles.identitySecret, files.identitySDS)]
            $0.combinedValidationContext = .with {
                $0.defaultValidationContext.matchTypedSubjectAltNames = accepted.map { matcher in
                    .with {
                        $0.sanType = .uri
                        $0.matcher = matcher
                    }
                }
                $0.validationContextSdsSecretConfig = secret(SidecarFiles.trustSecret, files.trustSDS)
            }
        }
    }

    private func secret(_ name: String, _ path: String) -> Envoy_Extensions_TransportSockets_Tls_V3_SdsSecretConfig {
        .with {
            $0.name = name
            $0.sdsConfig = .with {
                $0.pathConfigSource.path = path
                $0.resourceApiVersion = .v3
            }
        }
    }

    private func socket(_ context: some Message) -> Envoy_Config_Core_V3_TransportSocket {
        .with {
            $0.name = "envoy.transport_sockets.tls"
            $0.typedConfig = .packing(context)
        }
    }
}
