import EnvoyAPI
import EnvoyConfig
import Foundation
import SwiftProtobuf

/// Envoy's resources as JSON, with what is packed inside them readable.
enum Rendering {
    private static let registration: Void = {
        let types: [any Message.Type] = [
            EnvoyCluster.self, EnvoyEndpoints.self, EnvoyListener.self, EnvoyRoutes.self,
            Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager.self,
            Envoy_Extensions_Filters_Network_TcpProxy_V3_TcpProxy.self,
            Envoy_Extensions_Filters_Http_Router_V3_Router.self,
            Envoy_Extensions_Filters_Http_Fault_V3_HTTPFault.self,
            Envoy_Extensions_Filters_Listener_OriginalDst_V3_OriginalDst.self,
            Envoy_Extensions_Filters_Listener_TlsInspector_V3_TlsInspector.self,
            Envoy_Extensions_TransportSockets_Tls_V3_UpstreamTlsContext.self,
            Envoy_Extensions_TransportSockets_Tls_V3_DownstreamTlsContext.self,
            Envoy_Extensions_Upstreams_Http_V3_HttpProtocolOptions.self,
            Envoy_Extensions_AccessLoggers_Stats_V3_Config.self,
            Envoy_Extensions_Retry_Host_PreviousHosts_V3_PreviousHostsPredicate.self,
            Envoy_Config_Trace_V3_OpenTelemetryConfig.self, Envoy_Config_Trace_V3_ZipkinConfig.self,
        ]
        for type in types { Google_Protobuf_Any.register(messageType: type) }
    }()

    static func json(_ message: any Message) throws -> String {
        _ = registration
        var options = JSONEncodingOptions()
        options.useDeterministicOrdering = true
        options.preserveProtoFieldNames = true
        return try message.jsonString(options: options)
    }

    /// A list as one indented document with sorted keys.
    static func document(_ messages: [any Message]) throws -> String {
        let objects = try messages.map { try JSONSerialization.jsonObject(with: Data(json($0).utf8)) }
        let data = try JSONSerialization.data(
            withJSONObject: objects, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
        return String(decoding: data, as: UTF8.self) + "\n"
    }
}

extension ProxyConfiguration {
    func cluster(_ name: String) -> EnvoyCluster? { clusters.first { $0.name == name } }
    func endpoints(_ name: String) -> EnvoyEndpoints? { endpoints.first { $0.clusterName == name } }
    func listener(_ name: String) -> EnvoyListener? { listeners.first { $0.name == name } }
    func routes(_ name: String) -> [Envoy_Config_Route_V3_Route] {
        routes.first { $0.name == name }?.virtualHosts.first?.routes ?? []
    }
}

extension EnvoyEndpoints {
    var addresses: [String] {
        endpoints.flatMap(\.lbEndpoints).map {
            "\($0.endpoint.address.socketAddress.address):\($0.endpoint.address.socketAddress.portValue)"
        }
    }
}
