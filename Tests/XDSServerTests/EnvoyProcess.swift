import Foundation
import MeshIdentity

#if canImport(Glibc)
    import Glibc
#endif

/// A real Envoy that takes its configuration from a discovery server on 127.0.0.1.
final class EnvoyProcess: Sendable {
    static let binary =
        ProcessInfo.processInfo.environment["HEDDLE_ENVOY"]
        ?? NSHomeDirectory() + "/.cache/heddle/envoy/envoy"
    static var isAvailable: Bool { FileManager.default.isExecutableFile(atPath: binary) }

    private let process = Process()
    private let directory: URL

    init(discoveryPort: Int, authority: CertificateAuthority, identity: SPIFFEIdentity) throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "heddle-envoy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let request = try CertificateRequest(identity: identity)
        let issued = try authority.sign(csrPEM: request.csrPEM, identity: identity, now: Date())
        for (name, text) in [
            ("cert.pem", issued.chainPEM), ("key.pem", request.privateKey.pem),
            ("root.pem", try authority.trustBundle.pem),
        ] { try text.write(to: directory.appending(path: name), atomically: true, encoding: .utf8) }
        let bootstrap = directory.appending(path: "bootstrap.json")
        try Self.bootstrap(port: discoveryPort, identity: identity, directory: directory.path)
            .write(to: bootstrap, atomically: true, encoding: .utf8)

        process.executableURL = URL(fileURLWithPath: Self.binary)
        process.arguments = [
            "-c", bootstrap.path, "--concurrency", "1", "--disable-hot-restart", "-l", "warn", "--log-path",
            directory.appending(path: "log").path,
        ]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
    }

    var log: String { (try? String(contentsOf: directory.appending(path: "log"), encoding: .utf8)) ?? "" }

    func stop() {
        if process.isRunning {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        try? FileManager.default.removeItem(at: directory)
    }

    private static func bootstrap(port: Int, identity: SPIFFEIdentity, directory: String) -> String {
        """
        {"node": {"id": "cart-1.shop", "cluster": "cart.shop",
          "metadata": {"NAMESPACE": "\(identity.namespace)", "SERVICE_ACCOUNT": "\(identity.serviceAccount)"}},
         "dynamic_resources": {
          "ads_config": {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": true,
            "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]},
          "cds_config": {"ads": {}, "resource_api_version": "V3"}, "lds_config": {"ads": {}, "resource_api_version": "V3"}},
         "cluster_manager": {"enable_deferred_cluster_creation": true, "load_stats_config": {"api_type": "GRPC",
          "transport_api_version": "V3", "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]}},
         "layered_runtime": {"layers": [{"name": "static",
          "static_layer": {"envoy.reloadable_features.report_load_for_non_zero_stats": true}}]},
         "static_resources": {"clusters": [{
          "name": "xds", "type": "STATIC", "connect_timeout": "1s",
          "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [{"endpoint":
            {"address": {"socket_address": {"address": "127.0.0.1", "port_value": \(port)}}}}]}]},
          "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {"connection_keepalive": {"interval": "1s", "timeout": "5s"}}}}},
          "transport_socket": {"name": "tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": "heddle-operator.heddle-system.svc",
            "common_tls_context": {
              "alpn_protocols": ["h2"],
              "tls_certificates": [{"certificate_chain": {"filename": "\(directory)/cert.pem"},
                "private_key": {"filename": "\(directory)/key.pem"}}],
              "validation_context": {"trusted_ca": {"filename": "\(directory)/root.pem"},
                "match_typed_subject_alt_names": [{"san_type": "DNS",
                  "matcher": {"exact": "heddle-operator.heddle-system.svc"}}]}}}}}]}}
        """
    }
}
