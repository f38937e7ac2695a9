import AsyncHTTPClient
import FoundationEssentials
package import KubeCore
package import Logging
package import Metrics

/// A cluster's API over HTTP.
///
/// One request has one deadline, with all its attempts. It is sent again, at most `Limits.attempts` times, after a lost
/// connection or a server fault when repeating it is harmless, and whatever it is when it had no effect for certain: no
/// connection came about, or the server turned it away (429, or 503 with `Retry-After`). An eviction's 429 is an
/// answer: the disruption budget forbids it. One watch is one streaming response; it is read as the consumer asks for
/// events, so a slow consumer slows the server and nothing piles up here.
package final class KubeClient: ClusterAPI {
    package struct Limits: Sendable {
        /// For one request with its retries, unless it has its own; a watch only until its response begins.
        package var requestTimeout: Duration = .seconds(30)
        /// How often a request is sent at most.
        package var attempts = 4
        /// Delay before the second attempt; doubles with each, with jitter.
        package var firstRetryDelay: Duration = .milliseconds(100)
        /// The longest life of a watch, in seconds; requests that ask for more, or for nothing, get this.
        package var watchSeconds = 600
        /// Connections for requests; each watch has its own beside them, and leases do not queue for them.
        package var connections = 16
        /// Attempts a second in the long run, all verbs together; nil for no limit. The server's own priority and
        /// fairness is the finer guard: this one only stops a runaway loop.
        package var requestsPerSecond: Double? = 100
        /// Attempts that may go at once after a rest.
        package var burst = 200
        /// Largest body of a response, and of one watch event.
        package var maximumBodyBytes = 512 << 20
        /// How long a token or certificate that was read from a file is used before it is read again.
        package var credentialFileLifetime: Duration = .seconds(10)

        package init() {}
    }

    package let configuration: ClientConfiguration
    private let limits: Limits
    private let exchange: Exchange

    /// - Parameters:
    ///   - program: begins the `User-Agent`, `<program>/<version>`.
    ///   - hasTerminal: a credential plugin may ask the person at it.
    /// - Throws: `ConfigurationError` when certificates or keys cannot be read.
    package init(
        configuration: ClientConfiguration, program: String = KubeClient.programName, version: String = "dev",
        limits: Limits = Limits(), hasTerminal: Bool = KubeClient.hasTerminal, logger: Logger,
        metrics: any MetricsFactory = MetricsSystem.factory
    ) throws(ConfigurationError) {
        self.configuration = configuration
        self.limits = limits
        exchange = try Exchange(
            configuration: configuration, userAgent: "\(program)/\(version)", limits: limits, logger: logger,
            metrics: ClientMetrics(factory: metrics),
            identities: IdentitySource(
                configuration.credential, fileLifetime: limits.credentialFileLifetime, hasTerminal: hasTerminal))
        for warning in configuration.warnings { logger.warning("\(warning)") }
    }

    /// Closes the connections. Requests in flight fail.
    package func shutdown() async { await exchange.shutdown() }

    // MARK: ClusterAPI

    package func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        let (call, keeping) = (try HTTPCall(request), request.keeping)
        let reader = BodyReader(name: call.name, maximumBytes: limits.maximumBodyBytes)
        if request.verb == .list {
            return try await exchange.answer(to: call) { try await reader.list($0, keeping: keeping) }
        }
        return try await exchange.answer(to: call) { try await reader.json($0, keeping: keeping) }
    }

    package func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        var request = request
        request.verb = .watch
        request.query["watch"] = "true"
        let asked = request.query["timeoutSeconds"].flatMap(Int.init) ?? limits.watchSeconds
        request.query["timeoutSeconds"] = String(min(asked, limits.watchSeconds))
        let call = try HTTPCall(request)
        let reader = WatchReader(
            body: try await exchange.open(call), name: call.name, keeping: request.keeping,
            maximumLineBytes: limits.maximumBodyBytes)
        return AsyncThrowingStream { try await reader.next() }
    }

    // MARK: For this target

    /// The answer of one call, as one JSON value.
    func json(_ call: HTTPCall) async throws(APIError) -> JSONValue {
        let reader = BodyReader(name: call.name, maximumBytes: limits.maximumBodyBytes)
        return try await exchange.answer(to: call) { try await reader.json($0) }
    }

    func open(_ call: HTTPCall) async throws(APIError) -> HTTPClientResponse.Body { try await exchange.open(call) }
}
