import ArgumentParser
import Foundation
import KubeClient
import KubeCore
import Logging

/// Which cluster a command talks to, and which namespace it means: kubectl's options and defaults.
struct ClusterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Kubeconfig file; else KUBECONFIG, else ~/.kube/config.", valueName: "file"))
    var kubeconfig: String?
    @Option(help: "The kubeconfig's context to use; else its current one.")
    var context: String?
    @Option(name: .shortAndLong, help: "Namespace; else the context's.")
    var namespace: String?

    /// An open door to the cluster and the namespace that is meant.
    struct Cluster: Sendable {
        var api: any ClusterAPI
        /// The one that was asked for, else the context's.
        var namespace: String
    }

    /// Connects, runs `body`, and closes the connections, whatever comes of it.
    /// - Throws: `CommandFailure` for what the API refuses and for a kubeconfig that cannot be used.
    func withCluster<Result>(_ body: (Cluster) async throws -> Result) async throws -> Result {
        let client: KubeClient
        do {
            let configuration = try ClientConfiguration.load(
                kubeconfig: kubeconfig, context: context, environment: ProcessInfo.processInfo.environment)
            var logger = Logger(label: "heddle", factory: { StreamLogHandler.standardError(label: $0) })
            logger.logLevel = .warning
            client = try KubeClient(configuration: configuration, logger: logger)
        } catch {
            if let missing = missingFile { throw CommandFailure(missing) }
            throw CommandFailure("no cluster: \(error)")
        }
        let cluster = Cluster(api: client, namespace: namespace ?? client.configuration.namespace)
        do {
            let result = try await body(cluster)
            await client.shutdown()
            return result
        } catch {
            await client.shutdown()
            if let refusal = error as? APIError { throw CommandFailure("\(refusal)") }
            throw error
        }
    }

    /// The commonest mistake in plain words; nil when the file is there.
    private var missingFile: String? {
        let environment = ProcessInfo.processInfo.environment
        if let kubeconfig {
            return FileManager.default.fileExists(atPath: kubeconfig)
                ? nil : "the kubeconfig \(kubeconfig) does not exist"
        }
        guard (environment["KUBECONFIG"] ?? "").isEmpty, let home = environment["HOME"] else { return nil }
        return FileManager.default.fileExists(atPath: home + "/.kube/config")
            ? nil : "no cluster is configured: give --kubeconfig, or set KUBECONFIG, or write ~/.kube/config"
    }
}
