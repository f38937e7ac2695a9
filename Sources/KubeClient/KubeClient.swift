import AsyncHTTPClient
import FoundationEssentials
package import KubeCore
package import Logging
import NIOCore
import NIOHTTP1
import NIOSSL

/// A cluster's API over HTTP.
///
/// One request has one deadline, with all its attempts. It is sent again, at most `Limits.attempts` times, after a lost
/// connection or a server fault when its verb may be repeated, and after 429 whatever the verb, except for an eviction
/// (there 429 is the answer: the disruption budget forbids it). One watch is one streaming response; it is read as the
/// consumer asks for events, so a slow consumer slows the server and nothing piles up here.
package final class KubeClient: ClusterAPI {
    package struct Limits: Sendable {
        /// For one request with its retries; a watch only until its response begins.
        package var requestTimeout: Duration = .seconds(30)
        /// How often a request is sent at most.
        package var attempts = 4
        /// Delay before the second attempt; doubles with each, with jitter.
        package var firstRetryDelay: Duration = .milliseconds(100)
        /// The longest life of a watch, in seconds; requests that ask for more, or for nothing, get this.
        package var watchSeconds = 600
        /// Connections for requests; each watch has its own beside them.
        package var connections = 16
        /// Largest body of a response, and of one watch event.
        package var maximumBodyBytes = 512 << 20

        package init() {}
    }

    package let configuration: ClientConfiguration
    private let limits: Limits
    private let logger: Logger
    private let requests: HTTPClient
    private let watches: HTTPClient
    private let base: String
    private let tokens: TokenSource
    private let userAgent: String

    /// - Throws: `ConfigurationError` when certificates or keys cannot be read.
    package init(
        configuration: ClientConfiguration, version: String = "dev", limits: Limits = Limits(), logger: Logger
    ) throws(ConfigurationError) {
        self.configuration = configuration
        self.limits = limits
        self.logger = logger
        tokens = TokenSource(configuration.credential)
        userAgent = "heddle/\(version)"

        var options = HTTPClient.Configuration()
        options.redirectConfiguration = .disallow
        // Retries are ours, with one deadline.
        options.connectionPool.retryConnectionEstablishment = false
        options.timeout.connect = .seconds(10)
        // On a shared HTTP/2 connection a dead peer would hold up every request until the kernel gives up; a request that
        // times out on HTTP/1.1 takes its connection with it.
        options.httpVersion = .http1Only
        options.http1_1ConnectionDebugInitializer = KeepAlive.enable
        options.tlsConfiguration = try configuration.tls()
        base = configuration.address(overriding: &options.dnsOverride)

        options.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = limits.connections
        requests = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
        options.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1024
        // The server ends a watch by itself after its timeout: silence beyond it means that the server is gone.
        options.timeout.read = .seconds(Int64(limits.watchSeconds) + 30)
        watches = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
        for warning in configuration.warnings { logger.warning("\(warning)") }
    }

    /// Closes the connections. Requests in flight fail.
    package func shutdown() async {
        do {
            try await requests.shutdown()
            try await watches.shutdown()
        } catch {
            logger.debug("closing connections failed", metadata: ["error": "\(error)"])
        }
    }

    // MARK: ClusterAPI

    package func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        do {
            return try await withDeadline(limits.requestTimeout, of: request) { [self] in try await attempt(request) }
        } catch {
            throw APIError(transport: error, request)
        }
    }

    package func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        var request = request
        request.verb = .watch
        request.query["watch"] = "true"
        let asked = request.query["timeoutSeconds"].flatMap(Int.init) ?? limits.watchSeconds
        request.query["timeoutSeconds"] = String(min(asked, limits.watchSeconds))
        do {
            var response = try await open(request, with: watches)
            if response.status == .unauthorized, tokens.invalidate() {
                response = try await open(request, with: watches)
            }
            guard response.status.code < 300 else { throw try await refusal(response, request) }
            let reader = WatchReader(body: response.body, request: request, maximumLineBytes: limits.maximumBodyBytes)
            return AsyncThrowingStream { try await reader.next() }
        } catch {
            throw APIError(transport: error, request)
        }
    }

    // MARK: Private

    /// Sends until there is an answer that stands.
    @concurrent
    private func attempt(_ request: APIRequest) async throws -> JSONValue {
        var delay = limits.firstRetryDelay
        var renewedToken = false
        for number in 1... {
            let failure: APIError
            do {
                return try await send(request)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                failure = APIError(transport: error, request)
            }
            try Task.checkCancellation()
            if failure.code == 401, !renewedToken, tokens.invalidate() {
                renewedToken = true
                continue
            }
            guard number < limits.attempts, request.mayRepeat(after: failure) else { throw failure }
            let wait = failure.retryAfterSeconds.map { Duration.seconds($0) } ?? delay * Double.random(in: 0.5...1)
            // Waiting beyond the deadline helps nobody: the caller knows better when to come back.
            guard wait < limits.requestTimeout else { throw failure }
            logger.debug(
                "request failed and is sent again",
                metadata: [
                    "request": "\(request.verb.rbacName) \(request.path)", "error": "\(failure)",
                    "attempt": "\(number)",
                ])
            try await Task.sleep(for: wait)
            delay *= 2
        }
        throw APIError(code: 0, reason: "Unknown", message: "no attempt was made")
    }

    private func send(_ request: APIRequest) async throws -> JSONValue {
        let response = try await open(request, with: requests)
        guard response.status.code < 300 else { throw try await refusal(response, request) }
        let body = try await response.body.collect(upTo: limits.maximumBodyBytes)
        do {
            return try JSONValue.parse(body.readableBytesView)
        } catch {
            throw APIError(
                code: 0, reason: "InvalidAnswer",
                message: "\(request.verb.rbacName) \(request.path): the answer is \(error)")
        }
    }

    private func refusal(_ response: HTTPClientResponse, _ request: APIRequest) async throws -> APIError {
        let body = try await response.body.collect(upTo: 1 << 20)
        let code = Int(response.status.code)
        var error: APIError
        if let status = try? JSONValue.parse(body.readableBytesView), status["kind"] == "Status" {
            error = APIError(status: status, httpCode: code)
        } else {
            let text = String(decoding: body.readableBytesView.prefix(200), as: UTF8.self)
            error = APIError(
                code: code, reason: response.status.reasonPhrase,
                message: "\(request.verb.rbacName) \(request.path): \(text.isEmpty ? "refused" : text)")
        }
        if let header = response.headers.first(name: "retry-after"), let seconds = Int(header) {
            error.retryAfterSeconds = max(0, seconds)
        }
        return error
    }

    private func open(_ request: APIRequest, with client: HTTPClient) async throws -> HTTPClientResponse {
        var http = HTTPClientRequest(url: base + request.path + request.queryString)
        http.method = request.method
        http.headers.add(name: "accept", value: "application/json")
        http.headers.add(name: "user-agent", value: userAgent)
        if let authorization = try tokens.header() { http.headers.add(name: "authorization", value: authorization) }
        if let body = request.body {
            http.headers.add(name: "content-type", value: request.contentType)
            http.body = .bytes(ByteBuffer(bytes: body.serializedBytes()))
        }
        let (seconds, attoseconds) = limits.requestTimeout.components
        let timeout = TimeAmount.nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        return try await client.execute(http, timeout: timeout, logger: nil)
    }
}

/// Runs an operation and cancels it when its time is over.
private func withDeadline<Result: Sendable>(
    _ duration: Duration, of request: APIRequest, _ operation: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await Task.sleep(for: duration)
            return nil
        }
        defer { group.cancelAll() }
        if let outcome = try await group.next(), let result = outcome { return result }
        throw APIError(
            code: 0, reason: "Timeout",
            message: "\(request.verb.rbacName) \(request.path): no answer within \(duration)")
    }
}
