import EnvoyConfig
import Foundation
import MeshModel
import Testing

/// Real Envoys, real interception, real certificates: what the configuration does, not what it says.
@Suite(.serialized, .enabled(if: LiveHost.canRunMesh, "needs root, Envoy and nftables"))
struct LiveMeshTests {
    private static let catalog = "http://10.96.0.10/"

    private func withMesh(_ mesh: MeshSnapshot, _ body: (LiveMesh) throws -> Void) throws {
        let live = try LiveMesh()
        defer { live.end() }
        for pod in [Shop.front, Shop.stable, Shop.canary, LiveMesh.legacy] { try live.addPod(pod) }
        for pod in [Shop.front, Shop.stable, Shop.canary] { try live.addSidecar(pod, mesh) }
        try body(live)
        for pod in [Shop.front, Shop.stable, Shop.canary] {
            for statistic in ["listener_manager.lds.update_rejected", "cluster_manager.cds.update_rejected"] {
                #expect(try live.statistic(statistic, of: pod) ?? 0 == 0)
            }
            let complaints = live.log(of: pod).split(separator: "\n").filter {
                $0.contains("[error]") || $0.contains("[critical]") || $0.contains("rejected")
            }
            #expect(complaints.isEmpty, "\(complaints)")
        }
    }

    /// The sum of a metric's series that have all of the labels.
    private func sum(_ metrics: String, _ name: String, _ labels: [String]) -> Int {
        metrics.split(separator: "\n").filter { line in
            line.hasPrefix(name + "{") && labels.allSatisfy { line.contains($0) }
        }.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0) { $0 + Int($1) }
    }

    @Test func `Requests are split by weight, encrypted, and counted on both sides`() throws {
        var mesh = Shop.split(stable: 90, canary: 10)
        mesh.peerPolicies = [Shop.peerPolicy(.permissive)]
        try withMesh(mesh) { live in
            let bodies = try live.curl(from: Shop.front, [Self.catalog + "?[1-1000]"]).output.split(separator: "\n")
            let stable = bodies.filter { $0.hasPrefix("catalog-1 ") }.count
            let canary = bodies.filter { $0.hasPrefix("catalog-2 ") }.count
            #expect(stable + canary == 1000)
            // Five standard deviations.
            #expect((53...147).contains(canary), "canary got \(canary) of 1000")
            #expect(bodies.allSatisfy { $0.contains("URI=spiffe://cluster.local/ns/shop/sa/front") })

            let direct = try live.curl(
                from: LiveMesh.legacy, ["-H", "x-forwarded-client-cert: forged", "http://10.77.0.20:8080/?[1-20]"]
            ).output
            #expect(direct == String(repeating: "catalog-1 -\n", count: 20))

            try LiveHost.wait("statistics", seconds: 5) {
                // Histograms follow at the next flush.
                let metrics = try live.metrics(of: Shop.front)
                return ["envoy_heddle_requests_total", "envoy_heddle_request_duration_milliseconds_count"]
                    .allSatisfy { self.sum(metrics, $0, []) == 1000 }
            }
            let client = try live.metrics(of: Shop.front)
            let server = try live.metrics(of: Shop.stable)
            if let folder = ProcessInfo.processInfo.environment["HEDDLE_KEEP_METRICS"] {
                try client.write(toFile: folder + "/client.prom", atomically: true, encoding: .utf8)
                try server.write(toFile: folder + "/server.prom", atomically: true, encoding: .utf8)
            }
            let common = [
                #"reporter="source""#, #"source_principal="spiffe://cluster.local/ns/shop/sa/front""#,
                #"destination_service="catalog.shop""#, #"response_code="200""#, #"response_flags="-""#,
                #"connection_security_policy="mutual_tls""#,
            ]
            #expect(sum(client, "envoy_heddle_requests_total", common + [#"destination_subset="stable""#]) == stable)
            #expect(sum(client, "envoy_heddle_requests_total", common + [#"destination_subset="canary""#]) == canary)
            #expect(
                sum(client, "envoy_heddle_request_duration_milliseconds_count", [#"destination_subset="canary""#])
                    == canary)
            let arrived = [
                #"reporter="destination""#, #"destination_service="catalog.shop""#, #"destination_subset="stable""#,
            ]
            #expect(
                sum(
                    server, "envoy_heddle_requests_total",
                    arrived + [
                        #"connection_security_policy="mutual_tls""#,
                        #"source_principal="spiffe://cluster.local/ns/shop/sa/front""#,
                    ]) == stable)
            #expect(
                sum(
                    server, "envoy_heddle_requests_total",
                    arrived + [
                        #"connection_security_policy="none""#, #"source_ip="10.77.0.40""#,
                        #"destination_port="8080""#,
                    ]) == 20)
            #expect(try live.statistic("http.inbound_plain_8080.downstream_rq_total", of: Shop.stable) == 20)
            #expect(try live.statistic("http.inbound_mtls_8080.downstream_rq_total", of: Shop.stable) == stable)
        }
    }

    @Test func `A strict port refuses plaintext, and the change fails no request`() throws {
        var mesh = Shop.split(stable: 100, canary: 0)
        mesh.peerPolicies = [Shop.peerPolicy(.permissive)]
        try withMesh(mesh) { live in
            #expect(try live.curl(from: LiveMesh.legacy, ["http://10.77.0.20:8080/"]).status == 0)
            mesh.peerPolicies = [Shop.peerPolicy(.strict)]
            try live.configure(Shop.stable, mesh)
            let codes = try live.curl(
                from: Shop.front, ["-o", "/dev/null", "-w", "%{http_code}\n", Self.catalog + "?[1-300]"]
            ).output
            #expect(codes == String(repeating: "200\n", count: 300))
            try LiveHost.wait("the strict port", seconds: 10) {
                try live.curl(from: LiveMesh.legacy, ["http://10.77.0.20:8080/"]).status != 0
            }
            let refused = try live.curl(from: LiveMesh.legacy, ["http://10.77.0.20:8080/"])
            #expect(refused.status == 56 || refused.status == 52, "curl: \(refused.status)")
            #expect(try live.statistic("listener.0.0.0.0_15006.no_filter_chain_match", of: Shop.stable) ?? 0 > 0)
            #expect(try live.curl(from: Shop.front, [Self.catalog]).output.hasPrefix("catalog-1 "))
        }
    }

    @Test func `Meshed and plain pods of one service are each spoken to in their way`() throws {
        var mesh = Shop.snapshot()
        mesh.endpoints[Shop.catalog] = [Shop.endpoint(Shop.stable), Shop.endpoint(LiveMesh.legacy)]
        try withMesh(mesh) { live in
            let bodies = try live.curl(from: Shop.front, [Self.catalog + "?[1-200]"]).output.split(separator: "\n")
            let meshed = bodies.filter { $0.hasPrefix("catalog-1 ") && $0.contains("URI=spiffe") }.count
            let plain = bodies.filter { $0 == "legacy-1 -" }.count
            #expect(meshed + plain == 200 && meshed > 20 && plain > 20, "\(meshed) and \(plain)")
            try LiveHost.wait("statistics", seconds: 5) {
                self.sum(try live.metrics(of: Shop.front), "envoy_heddle_requests_total", []) == 200
            }
            let metrics = try live.metrics(of: Shop.front)
            #expect(
                sum(metrics, "envoy_heddle_requests_total", [#"connection_security_policy="mutual_tls""#]) == meshed)
            #expect(sum(metrics, "envoy_heddle_requests_total", [#"connection_security_policy="none""#]) == plain)
        }
    }

    @Test func `TCP, headless and unknown destinations are reached`() throws {
        var mesh = Shop.snapshot()
        mesh.endpoints[Shop.peers] = [
            Shop.endpoint(Shop.stable, [7000: 7000]), Shop.endpoint(LiveMesh.legacy, [7000: 7000]),
        ]
        try withMesh(mesh) { live in
            #expect(try live.greeting(from: Shop.front, host: "10.96.0.11", port: 5000) == "welcome to catalog-1\n")
            #expect(
                try live.greeting(from: LiveMesh.legacy, host: "10.77.0.20", port: 9000) == "welcome to catalog-1\n")
            #expect(try live.statistic("tcp.inbound_mtls_9000.downstream_cx_total", of: Shop.stable) == 1)
            #expect(try live.statistic("tcp.inbound_plain_9000.downstream_cx_total", of: Shop.stable) == 1)
            // A headless service's pods, dialled by address.
            #expect(try live.curl(from: Shop.front, ["http://10.77.0.20:7000/"]).output.contains("URI=spiffe"))
            #expect(try live.curl(from: Shop.front, ["http://10.77.0.40:7000/"]).output == "legacy-1 -\n")
            // Nobody's address.
            #expect(try live.curl(from: Shop.front, ["http://10.77.0.40:8080/"]).output == "legacy-1 -\n")
            // A pod that calls a service and is its own endpoint.
            let own = try live.curl(from: Shop.stable, [Self.catalog + "?[1-20]"]).output.split(separator: "\n")
            #expect(own.count == 20 && own.allSatisfy { $0.contains("URI=spiffe://cluster.local/ns/shop/sa/catalog") })
            // Straight to the proxy's own ports: closed, not looped.
            #expect(try live.curl(from: LiveMesh.legacy, ["http://10.77.0.20:15006/"]).status != 0)
            #expect(try live.curl(from: LiveMesh.legacy, ["http://10.77.0.20:15001/"]).status != 0)
        }
    }

    @Test func `No request fails while the mesh changes under it`() throws {
        let mixed = { (mesh: inout MeshSnapshot) -> Void in
            mesh.endpoints[Shop.catalog]?.append(Shop.endpoint(LiveMesh.legacy))
        }
        let changes: [(inout MeshSnapshot) -> Void] = [
            mixed,
            { $0.endpoints = Shop.snapshot().endpoints },
            { $0.policies = [] },
            { $0.routes = [] },
            { $0 = Shop.split(stable: 50, canary: 50) },
            { $0.peerPolicies = [Shop.peerPolicy(.strict)] },
            { $0.routes = Shop.split(stable: 100, canary: 0).routes },
            { $0.endpoints[Shop.catalog]?[1].isReady = false },
        ]
        var mesh = Shop.split(stable: 90, canary: 10)
        try withMesh(mesh) { live in
            let load = try live.startCurl(
                from: Shop.front,
                ["--rate", "200/s", "-o", "/dev/null", "-w", "%{http_code}\n", Self.catalog + "?[1-2400]"])
            for change in changes {
                usleep(1_000_000)
                change(&mesh)
                for pod in [Shop.stable, Shop.canary, Shop.front] { try live.configure(pod, mesh) }
            }
            load.process.waitUntilExit()
            let codes = try String(contentsOfFile: load.output, encoding: .utf8).split(separator: "\n")
            #expect(codes.count == 2400)
            let failures = codes.filter { $0 != "200" }
            let counted = try live.metrics(of: Shop.front).split(separator: "\n").filter {
                $0.hasPrefix("envoy_heddle_requests_total") && !$0.contains(#"response_code="200""#)
            }
            #expect(failures.isEmpty, "\(failures.count): \(counted)")
        }
    }

    @Test func `Both sides of a call send their spans of one trace`() throws {
        var mesh = Shop.snapshot()
        mesh.settings.tracing = TracingBackend(
            kind: .otlp, host: LiveMesh.legacy.address, port: 4318, path: "/v1/traces", samplingPercent: 100)
        try withMesh(mesh) { live in
            let trace = "0af7651916cd43dd8448eb211c80319c"
            _ = try live.curl(from: Shop.front, ["-H", "traceparent: 00-\(trace)-b7ad6b7169203331-01", Self.catalog])
            let id = Data([
                0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c,
            ])
            try LiveHost.wait("spans of both sides", seconds: 15) {
                let spans = live.collected(by: LiveMesh.legacy)
                return ["front.shop", "catalog.shop"].allSatisfy { spans.range(of: Data($0.utf8)) != nil }
                    && spans.range(of: id) != nil
            }
        }
    }
}
