import ArgumentParser
import FoundationEssentials
import KubeClient
import KubeCore
import Logging
import Metrics
import MetricsExport

/// The operator: controllers on the leader; webhooks, certificate authority and xDS on every replica.
@main
struct HeddleOperator: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heddle-operator", abstract: "Runs Heddle in a cluster.", version: HeddleVersion.text)

    @Option(help: "Path of a kubeconfig; without it KUBECONFIG, the pod's service account or ~/.kube/config count.")
    var kubeconfig: String?

    @Option(help: "The operator's own namespace.")
    var namespace = "heddle-system"

    @Option(help: "The operator's Service, by which webhooks and proxies reach it.")
    var service = "heddle-operator"

    @Option(help: "Address to listen on.")
    var address = "0.0.0.0"

    @Option(help: "Port of webhooks and certificate signing (HTTPS).")
    var securePort = 9443

    @Option(help: "Port of xDS (gRPC, mutual TLS).")
    var xdsPort = 15012

    @Option(help: "Port of health, metrics and debug pages (HTTP).")
    var plainPort = 8080

    @Option(help: "Image of the sidecar; it overrides the Mesh's.")
    var proxyImage: String?

    @Option(help: "Name of this replica in the Lease, unique for each process; the pod's and a random part if empty.")
    var identity: String?

    @Flag(help: "Run the controllers without a Lease: for one replica only.")
    var noLeaderElection = false

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"

    func run() async throws {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw ValidationError(
                "--log-level \(logLevel) is not one of trace, debug, info, notice, warning, error, critical")
        }
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "heddle-operator")
        logger.logLevel = level
        // Before anything counts: the client, the stores and the controllers take the factory that is there when they begin.
        let registry = PrometheusRegistry(help: OperatorMetrics.help, buckets: OperatorMetrics.buckets)
        MetricsSystem.bootstrap(registry)
        let configuration = try ClientConfiguration.load(
            kubeconfig: kubeconfig, environment: ProcessInfo.processInfo.environment)
        let client = try KubeClient(configuration: configuration, version: HeddleVersion.text, logger: logger)
        do {
            try await Operator(options: self, api: recorded(client), registry: registry, logger: logger).run()
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    /// For development: notes which calls are made, where `HEDDLE_RECORD_API_CALLS` names a file.
    private func recorded(_ client: KubeClient) -> any ClusterAPI {
        guard let file = ProcessInfo.processInfo.environment["HEDDLE_RECORD_API_CALLS"], !file.isEmpty else {
            return client
        }
        return CallRecorder(client, file: file, ownNamespace: namespace)
    }
}

enum HeddleVersion {
    static let text = "0.1.0"
}
