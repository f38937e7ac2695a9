import EnvoyConfig
import Foundation
import Logging
import MeshIdentity
import NIOHTTP1
import ServiceLifecycle
import Testing

@testable import heddle_agent

@Suite struct BootstrapTests {
    static func bootstrap(root: String = "/run/heddle", adminPort: Int = 15000, statsPort: Int = 15090)
        -> SidecarBootstrap
    {
        SidecarBootstrap(
            namespace: "shop", podName: "cart-6f-x", podIP: "10.1.2.3", nodeName: "node-1", serviceAccount: "cart-sa",
            labels: ["app": "cart", "pod-template-hash": "6f"],
            discovery: .init(host: "heddle-operator.heddle-system.svc", port: 15012), files: SidecarFiles(root: root),
            adminPort: adminPort, statsPort: statsPort)
    }

    @Test func theBootstrapIsAsReviewed() throws {
        try Golden.expect(Self.bootstrap().json, matches: "bootstrap.json")
    }

    @Test func theNodeNamesThePod() {
        #expect(Self.bootstrap().nodeID == "sidecar~10.1.2.3~cart-6f-x.shop")
        #expect(Self.bootstrap().nodeCluster == "cart.shop")
    }

    @Test(.enabled(if: RealEnvoy.isAvailable)) func envoyAcceptsTheBootstrap() async throws {
        let directory = try TemporaryDirectory()
        let bootstrap = Self.bootstrap(root: directory.path)
        try CertificateFiles(files: bootstrap.files).prepare()
        try bootstrap.json.write(toFile: bootstrap.files.bootstrap, atomically: true, encoding: .utf8)
        let envoy = try #require(RealEnvoy.path)
        let result = try await ChildProcess.run(
            envoy, ["--mode", "validate", "-c", bootstrap.files.bootstrap, "-l", "warn"], input: "")
        #expect(result.status == .exited(0), "\(result.errors)")
        #expect(!result.errors.contains("[warning]"), "\(result.errors)")
    }
}

@Suite(.enabled(if: RealEnvoy.isAvailable)) struct LiveEnvoyTests {
    private func freePorts(_ count: Int) throws -> [Int] {
        try (0..<count).map { _ in try FreePort.any() }
    }

    @Test func requestMetricsComeOutUnderTheAgreedNamesAndTheProbeSpeaksGRPC() async throws {
        let ports = try freePorts(3)
        let directory = try TemporaryDirectory()
        let bootstrap = BootstrapTests.bootstrap(root: directory.path, adminPort: ports[0], statsPort: ports[1])
        try await TestApp.run { app in
            try CertificateFiles(files: bootstrap.files).prepare()
            let text = StandaloneBootstrap(base: bootstrap, port: ports[2], application: app).text
            try text.write(toFile: bootstrap.files.bootstrap, atomically: true, encoding: .utf8)
            let envoy = try ChildProcess.spawn(
                try #require(RealEnvoy.path),
                ["-c", bootstrap.files.bootstrap, "--concurrency", "1", "--disable-hot-restart", "-l", "error"])
            await exercise(ports: ports)
            envoy.send(SIGTERM)
            #expect(await envoy.wait() == .exited(0))
        }
    }

    private func exercise(ports: [Int]) async {
        let admin = EnvoyAdmin(port: ports[0])
        #expect(await eventually { await admin.isReady() })
        for _ in 0..<3 {
            let answer = try? await LocalHTTPClient.send(.init(port: ports[2], path: "/ok"))
            #expect(answer?.status == 200)
        }
        let probe = AppProber(
            probes: ["/p": AppProbe(check: .grpc(port: ports[2], service: "shop.Cart"))], podIP: "127.0.0.1")
        #expect(await probe.answer(path: "/p", userAgent: nil) == .init(status: 200, body: "serving\n"))

        let wanted = [
            #"envoy_heddle_requests_total{response_code="200",destination_service="cart.shop"} 4"#,
            #"envoy_heddle_request_duration_milliseconds_bucket{le="10000"} 4"#,
            #"envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="inbound_mtls_8080"} 4"#,
            #"envoy_cluster_upstream_rq_total{envoy_cluster_name="outbound|80||cart.shop.svc.cluster.local"} 4"#,
        ]
        var page = ""
        _ = await eventually {
            let response = try? await LocalHTTPClient.send(.init(port: ports[1], path: "/stats/prometheus"))
            page = response?.body ?? ""
            return wanted.allSatisfy { page.contains($0) }
        }
        for line in wanted { #expect(page.contains(line), "\(line)\n\(page)") }
        let other = try? await LocalHTTPClient.send(.init(port: ports[1], path: "/quitquitquit"))
        #expect(other?.status == 404)
    }

    /// Without a control plane Envoy starts but is not ready; told to end, the supervisor takes it along.
    @Test func theSupervisorStartsEnvoyWithItsFirstCertificateAndEndsIt() async throws {
        let ports = try freePorts(2)
        let directory = try TemporaryDirectory()
        let bootstrap = BootstrapTests.bootstrap(root: directory.path, adminPort: ports[0], statsPort: ports[1])
        let signer = try IdentityServiceTests.TestSigner()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let (certified, installed) = AsyncStream.makeStream(of: Void.self)
        let identity = IdentityService(
            identity: try .init(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart"),
            signer: signer,
            files: CertificateFiles(files: bootstrap.files), ttl: .seconds(3600), logger: logger,
            onInstalled: { _ in installed.yield() })
        let supervisor = EnvoySupervisor(
            bootstrap: bootstrap, executable: try #require(RealEnvoy.path), drain: .seconds(1), logLevel: "error",
            certified: certified, logger: logger)
        let services: [any Service] = [identity, supervisor]
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0, successTerminationBehavior: .ignore) }, logger: logger))
        let admin = EnvoyAdmin(port: ports[0])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            #expect(await eventually { await admin.activity() != nil })
            #expect(await admin.isReady() == false)
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        #expect(await admin.activity() == nil)
    }
}

@Suite struct SupervisorTests {
    @Test func anEnvoyThatKeepsDyingEndsTheAgent() async throws {
        let directory = try TemporaryDirectory()
        let script = directory.path + "/envoy"
        try "#!/bin/sh\necho run >> \(directory.path)/runs\nexit 3\n".write(
            toFile: script, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        let (certified, installed) = AsyncStream.makeStream(of: Void.self)
        installed.yield()
        var restarts = RestartPolicy()
        restarts.firstDelay = .milliseconds(1)
        restarts.limit = 2
        let supervisor = EnvoySupervisor(
            bootstrap: BootstrapTests.bootstrap(root: directory.path), executable: script, drain: .seconds(1),
            logLevel: "error",
            certified: certified, restarts: restarts,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let error = await #expect(throws: EnvoySupervisor.GaveUp.self) { try await supervisor.run() }
        #expect(error?.description.contains("exit status 3") == true)
        let runs = try String(contentsOfFile: directory.path + "/runs", encoding: .utf8)
        #expect(runs == "run\nrun\nrun\n")
    }
}

/// Asks again and again, for ten seconds at most.
func eventually(_ condition: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(50))
    }
    return false
}
