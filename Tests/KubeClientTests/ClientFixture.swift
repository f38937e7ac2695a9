import FoundationEssentials
import KubeCore
import Logging
import Metrics
import Synchronization
import Testing

@testable import KubeClient

/// A client of a server that answers as the script says, for the time of `body`.
func withClient(
    limits: KubeClient.Limits = .forTests, credential: ClientConfiguration.Credential = .none,
    impersonation: ClientConfiguration.Impersonation? = nil, metrics: any MetricsFactory = NOOPMetricsHandler.instance,
    logger: Logger = .quiet, _ script: @escaping LocalServer.Script,
    during body: (KubeClient, LocalServer) async throws -> Void
) async throws {
    try await LocalServer.serving(script) { server, port in
        let configuration = ClientConfiguration(
            server: "http://127.0.0.1:\(port)", credential: credential, impersonation: impersonation)
        try await withClient(of: configuration, limits: limits, metrics: metrics, logger: logger) {
            try await body($0, server)
        }
    }
}

func withClient(
    of configuration: ClientConfiguration, limits: KubeClient.Limits = .forTests,
    metrics: any MetricsFactory = NOOPMetricsHandler.instance, logger: Logger = .quiet,
    during body: (KubeClient) async throws -> Void
) async throws {
    let client = try KubeClient(
        configuration: configuration, program: "heddle-operator", version: "1.2", limits: limits, hasTerminal: false,
        logger: logger, metrics: metrics)
    do {
        try await body(client)
    } catch {
        await client.shutdown()
        throw error
    }
    await client.shutdown()
}

extension KubeClient.Limits {
    /// Retries at once, and one deadline that a loaded machine can keep.
    static var forTests: Self {
        var limits = Self()
        limits.firstRetryDelay = .milliseconds(1)
        limits.requestTimeout = .seconds(10)
        return limits
    }
}

extension Logger {
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// Keeps the messages that are logged, with their metadata.
struct LogCollector: LogHandler {
    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    init(_ lines: Lines) { self.lines = lines }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.add("\(event.level) \(event.message) \(event.metadata?.description ?? "")")
    }
}

/// The error that `body` fails with; a failed expectation when it does not.
func failure(
    sourceLocation: SourceLocation = #_sourceLocation, of body: () async throws -> Void
) async throws -> APIError {
    do {
        try await body()
    } catch let error as APIError {
        return error
    }
    Issue.record("it went well", sourceLocation: sourceLocation)
    throw APIError(code: -1, reason: "", message: "")
}
