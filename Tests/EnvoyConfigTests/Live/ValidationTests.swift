import EnvoyConfig
import Foundation
import MeshModel
import Testing

/// Envoy's own judgement of what is made, where Envoy is installed.
@Suite(.enabled(if: LiveHost.hasEnvoy && LiveHost.find("openssl") != nil, "needs Envoy; HEDDLE_ENVOY says where it is"))
struct ValidationTests {
    /// Everything that the configuration can contain.
    static var mesh: MeshSnapshot {
        var mesh = Shop.split(stable: 90, canary: 10)
        mesh.settings.tracing = TracingBackend(
            kind: .otlp, host: "127.0.0.1", port: 4318, path: "/v1/traces", samplingPercent: 1)
        mesh.telemetry = [TelemetryPolicy(source: "Telemetry shop/default", namespace: "shop", tags: ["team": "shop"])]
        mesh.endpoints[Shop.catalog]?.append(Shop.endpoint(LiveMesh.legacy))
        mesh.peerPolicies = [
            Shop.peerPolicy(.permissive),
            Shop.peerPolicy(.strict, ports: [9000: .disable, 9001: .disable], app: "catalog"),
        ]
        mesh.routes[0].rules.insert(
            RouteRule(
                matches: [
                    RequestMatch(
                        uri: .prefix("/v1"), ignoreURICase: true, method: .exact("GET"), authority: .prefix("catalog"),
                        headers: ["x-user": .regex("a.*"), "x-any": .prefix("")],
                        withoutHeaders: ["x-old": .present, "x-no": .exact("1")],
                        queryParameters: ["q": .present, "r": .exact("1")]),
                    RequestMatch(uri: .regex("/c/.*")), RequestMatch(uri: .exact("/exact")),
                ],
                destinations: mesh.routes[0].rules[0].destinations, timeoutSeconds: 2,
                retries: RetryPolicy(
                    attempts: 2, perTryTimeoutSeconds: 0.5, retryOn: ["5xx", "429"], backoffSeconds: 0.05),
                mirrors: [.init(destination: .init(service: Shop.catalog, subset: "canary"), percent: 5)],
                fault: Fault(delaySeconds: 0.1, delayPercent: 10, abortStatus: 503, abortPercent: 0.5),
                rewriteURI: "/v2",
                rewriteAuthority: "other", requestHeaders: .init(set: ["a": "b"], add: ["c": "d"], remove: ["e"]),
                responseHeaders: .init(set: ["a": "b"], remove: ["e"])), at: 0)
        mesh.policies[0].traffic = TrafficPolicy(
            loadBalancing: .roundRobin,
            connectionPool: ConnectionPool(
                maxConnections: 10, connectTimeoutSeconds: 1, maxPendingRequests: 10, maxRequests: 10,
                maxRequestsPerConnection: 10,
                maxRetries: 3),
            outlierDetection: OutlierDetection(
                consecutive5xxErrors: 3, consecutiveGatewayErrors: 2, intervalSeconds: 1, baseEjectionSeconds: 5,
                maxEjectionPercent: 50, minHealthPercent: 30))
        return mesh
    }

    enum Variant: String, CaseIterable { case otlp, zipkin, passthrough, strict }

    @Test(arguments: Variant.allCases, ["client", "server"])
    func `Envoy accepts the whole configuration`(variant: Variant, side: String) throws {
        var mesh = Self.mesh
        switch variant {
        case .otlp: break
        case .zipkin:
            mesh.settings.tracing?.kind = .zipkin
            mesh.settings.tracing?.path = "/api/v2/spans"
        case .passthrough:
            mesh.policies[0].traffic.loadBalancing = .passthrough
            mesh.policies[0].traffic.tls = .istioMutual
        case .strict: mesh.peerPolicies = [Shop.peerPolicy(.strict)]
        }
        let folder = NSTemporaryDirectory() + "heddle-validate-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let files = SidecarFiles(root: folder)
        for path in [files.certificates, folder + "/sds"] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try LiveAuthority(folder: folder + "/ca").issue(
            spiffeID: "spiffe://cluster.local/ns/shop/sa/x", into: files.certificates)
        try files.identitySecretDocument.text.write(toFile: files.identitySDS, atomically: true, encoding: .utf8)
        try files.trustSecretDocument.text.write(toFile: files.trustSDS, atomically: true, encoding: .utf8)

        let discovery = FileDiscovery(folder: folder + "/xds")
        let workload = side == "client" ? Shop.front : Shop.stable
        let made = ProxyConfiguration.make(for: workload, in: mesh, files: files)
        try discovery.write(made)
        let bootstrap = try #"{"node":{"id":"n","cluster":"c"},"static_resources":\#(discovery.staticResources(made))}"#
        try bootstrap.write(toFile: folder + "/envoy.json", atomically: true, encoding: .utf8)
        let (status, output) = try LiveHost.run([
            LiveHost.envoy, "--mode", "validate", "-c", folder + "/envoy.json", "--disable-hot-restart", "-l", "warn",
        ])
        #expect(status == 0, "\(output.suffix(2000))")
        #expect(!output.lowercased().contains("deprecated") && !output.contains("rejected"), "\(output.suffix(2000))")
    }
}
