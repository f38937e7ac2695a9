import ArgumentParser
import EnvoyConfig
import FoundationEssentials
import Logging
import NIOHTTP1
import ServiceLifecycle
import UnixSignals

/// `heddle-agent proxy`
struct ProxyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "Get the workload certified, run its Envoy, and answer its probes.",
        discussion: """
            Reads POD_NAME, POD_NAMESPACE, POD_IP, SERVICE_ACCOUNT, NODE_NAME, HEDDLE_DISCOVERY_ADDRESS,
            HEDDLE_CA_ADDRESS, HEDDLE_TRUST_DOMAIN, HEDDLE_POD_LABELS, HEDDLE_APP_PROBES, HEDDLE_LOG_LEVEL,
            HEDDLE_DRAIN_SECONDS and HEDDLE_CERTIFICATE_SECONDS from the environment; the injector sets them.
            """)

    @Option(help: "Certificate authority, host:port (default: HEDDLE_CA_ADDRESS).") var caAddress: String?
    @Option(help: "xDS server, host:port (default: HEDDLE_DISCOVERY_ADDRESS).") var discoveryAddress: String?
    @Option(help: "Envoy's program (default: HEDDLE_ENVOY, else envoy in PATH).") var envoy: String?
    @Option(help: "Directory for certificates and the bootstrap.") var runDirectory = SidecarFiles.standard.root
    @Option(help: "The pod's projected token.") var tokenFile = "/var/run/secrets/heddle.dev/token/token"
    @Option(help: "Root certificates that the authority is verified by.")
    var rootFile = "/var/run/secrets/heddle.dev/ca/root.pem"
    @Option(help: "Seconds to wait for open requests at the end (default: HEDDLE_DRAIN_SECONDS, else 5).")
    var drainSeconds: Int?
    @Option(help: "Port of the rewritten probes.") var probePort = 15020
    @Option(help: "Port of /healthz/ready.") var readyPort = 15021
    @Option(help: "Port of Envoy's admin interface, on 127.0.0.1.") var adminPort = 15000
    @Option(help: "Port of Envoy's /stats/prometheus.") var statsPort = 15090

    func run() async throws {
        var settings: ProxySettings
        let identity: IdentityService
        let executable: String
        var logger = Logger(label: "heddle-agent", factory: { StreamLogHandler.standardError(label: $0) })
        let (certified, installed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingOldest(1))
        do {
            settings = try self.settings(environment: ProcessInfo.processInfo.environment)
            logger.logLevel = settings.logLevel
            executable = try envoyExecutable()
            identity = IdentityService(
                identity: try settings.identity,
                signer: OperatorSigner(
                    host: settings.authority.host, port: settings.authority.port, tokenFile: tokenFile,
                    rootFile: rootFile),
                files: CertificateFiles(files: SidecarFiles(root: runDirectory)),
                ttl: .seconds(settings.certificateSeconds), logger: logger, onInstalled: { _ in installed.yield() })
        } catch {
            ChildProcess.complain("heddle-agent proxy: \(error)")
            throw ExitCode.failure
        }
        let supervisor = EnvoySupervisor(
            bootstrap: bootstrap(settings), executable: executable, drain: .seconds(settings.drainSeconds),
            logLevel: settings.envoyLogLevel, certified: certified, logger: logger)

        // They end in reverse order: Envoy drains while probes are still answered and the certificate kept fresh.
        let services: [any Service] = [identity, probeServer(settings, logger), readyServer(logger), supervisor]
        var configuration = ServiceGroupConfiguration(
            services: services.map { .init(service: $0, successTerminationBehavior: .ignore) },
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(settings.drainSeconds + 15)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch {
            logger.critical("the agent ends", metadata: ["error": "\(error)"])
            throw ExitCode.failure
        }
    }

    func settings(environment: [String: String]) throws -> ProxySettings {
        var settings = try ProxySettings(environment: environment)
        if let caAddress { settings.authority = try ProxySettings.address(caAddress) }
        if let discoveryAddress { settings.discovery = try ProxySettings.address(discoveryAddress) }
        if let drainSeconds { settings.drainSeconds = drainSeconds }
        return settings
    }

    func bootstrap(_ settings: ProxySettings) -> SidecarBootstrap {
        SidecarBootstrap(
            namespace: settings.namespace, podName: settings.podName, podIP: settings.podIP,
            nodeName: settings.nodeName,
            serviceAccount: settings.serviceAccount, labels: settings.labels, discovery: settings.discovery,
            files: SidecarFiles(root: runDirectory), adminPort: adminPort, statsPort: statsPort)
    }

    private func envoyExecutable() throws -> String {
        let name = envoy ?? ProcessInfo.processInfo.environment["HEDDLE_ENVOY"] ?? "envoy"
        guard let path = ChildProcess.find(name) else {
            throw ProxySettings.Problem(
                description: "Envoy ('\(name)') is not here; set HEDDLE_ENVOY or --envoy to its path")
        }
        return path
    }

    private func probeServer(_ settings: ProxySettings, _ logger: Logger) -> AgentHTTPServer {
        let prober = AppProber(probes: settings.probes, podIP: settings.podIP)
        return AgentHTTPServer(name: "probes", port: probePort, logger: logger) { head in
            let path = String(head.uri.prefix { $0 != "?" })
            if path == "/healthz" { return .init(status: 200, body: "ok\n") }
            guard let verdict = await prober.answer(path: path, userAgent: head.headers.first(name: "user-agent"))
            else {
                return .init(status: 404, body: "no probe has this path\n")
            }
            return .init(status: verdict.status, body: verdict.body)
        }
    }

    private func readyServer(_ logger: Logger) -> AgentHTTPServer {
        let admin = EnvoyAdmin(port: adminPort)
        return AgentHTTPServer(name: "ready", port: readyPort, logger: logger) { head in
            guard head.uri.prefix(while: { $0 != "?" }) == "/healthz/ready" else {
                return .init(status: 404, body: "try /healthz/ready\n")
            }
            return await admin.isReady() ? .init(status: 200, body: "ready\n") : .init(status: 503, body: "not ready\n")
        }
    }
}
