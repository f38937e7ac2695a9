import AsyncHTTPClient
import FoundationEssentials
import KubeCore
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL

/// Carries calls to the API server: connections, identity, rate limit, deadline, repetition, metrics.
final class Exchange: Sendable {
    private let limits: KubeClient.Limits
    private let logger: Logger
    private let metrics: ClientMetrics
    private let warnings: ServerWarnings
    private let flow: FlowControl
    private let identities: IdentitySource
    private let tls: TLSSource
    private let headers: [(name: String, value: String)]
    private let base: String
    /// For requests, with a bounded number of connections.
    private let pooled: HTTPClient
    /// For what must not wait for them, or holds its connection: leases, watches, logs.
    private let unpooled: HTTPClient

    init(
        configuration: ClientConfiguration, userAgent: String, limits: KubeClient.Limits, logger: Logger,
        metrics: ClientMetrics, identities: IdentitySource
    ) throws(ConfigurationError) {
        self.limits = limits
        self.logger = logger
        self.metrics = metrics
        self.identities = identities
        warnings = ServerWarnings(logger: logger)
        flow = FlowControl(perSecond: limits.requestsPerSecond, burst: limits.burst)
        tls = try TLSSource(configuration, lifetime: limits.credentialFileLifetime, logger: logger)
        headers = [("user-agent", userAgent)] + (configuration.impersonation?.headers ?? [])

        var options = HTTPClient.Configuration()
        options.redirectConfiguration = .disallow
        // Retries are ours, with one deadline.
        options.connectionPool.retryConnectionEstablishment = false
        options.timeout.connect = .seconds(10)
        // On a shared HTTP/2 connection a dead peer would hold up every request until the kernel gives up; a request
        // that times out on HTTP/1.1 takes its connection with it.
        options.httpVersion = .http1Only
        options.http1_1ConnectionDebugInitializer = KeepAlive.enable
        options.proxy = configuration.proxy.map(HTTPClient.Configuration.Proxy.init)
        base = configuration.address(overriding: &options.dnsOverride)

        options.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = limits.connections
        pooled = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
        options.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 1024
        // The server ends a watch by itself after its timeout: silence beyond it means that the server is gone.
        options.timeout.read = .seconds(Int64(limits.watchSeconds) + 30)
        unpooled = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
    }

    func shutdown() async {
        for client in [pooled, unpooled] {
            do {
                try await client.shutdown()
            } catch {
                logger.debug("closing connections failed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Sends until there is an answer that stands, and gives what `reading` makes of a good one.
    func answer<Answer: Sendable>(
        to call: HTTPCall, reading: @escaping @Sendable (HTTPClientResponse.Body) async throws -> Answer
    ) async throws(APIError) -> Answer {
        let limit = call.timeout ?? limits.requestTimeout
        do {
            return try await withDeadline(limit, of: call) { [self] in
                try await attempt(call, until: .now + limit, reading: reading)
            }
        } catch {
            throw APIError(transport: error, call.name)
        }
    }

    /// Begins an answer that the caller reads as it comes. It is sent again only for a new credential: who follows a
    /// stream knows better how to go on.
    func open(_ call: HTTPCall) async throws(APIError) -> HTTPClientResponse.Body {
        let limit = call.timeout ?? limits.requestTimeout
        do {
            return try await withDeadline(limit, of: call) { [self] in
                let deadline = ContinuousClock.now + limit
                var renewed = Renewed()
                while true {
                    do {
                        return try await send(call, with: unpooled, until: deadline) { $0 }
                    } catch let sent as SendFailure {
                        guard renew(&renewed, after: sent) else { throw sent.error }
                    }
                }
            }
        } catch {
            throw APIError(transport: error, call.name)
        }
    }

    // MARK: Private

    /// What was renewed already for one call, so that it is not renewed for ever.
    private struct Renewed {
        var identity = false
        var tls = false
    }

    private struct SendFailure: Error {
        var error: APIError
        /// What was shown.
        var identity: Identity
    }

    @concurrent
    private func attempt<Answer: Sendable>(
        _ call: HTTPCall, until deadline: ContinuousClock.Instant,
        reading: @Sendable (HTTPClientResponse.Body) async throws -> Answer
    ) async throws -> Answer {
        var delay = limits.firstRetryDelay
        var renewed = Renewed()
        var sent = 0
        while true {
            let failure: SendFailure
            do {
                return try await send(
                    call, with: call.isUrgent ? unpooled : pooled, until: deadline, reading: reading)
            } catch let error as SendFailure {
                failure = error
            }
            try Task.checkCancellation()
            sent += 1
            let error = failure.error
            if !renew(&renewed, after: failure) {
                guard sent < limits.attempts, call.mayRepeat(after: error) else { throw error }
                let jittered = delay * Double.random(in: 0.5...1)
                // What the server asks for, and not all at the same moment.
                let wait = error.retryAfterSeconds.map { max(.seconds($0), .zero) + jittered } ?? jittered
                // Waiting beyond the deadline helps nobody: the caller knows better when to come back.
                guard ContinuousClock.now + wait < deadline else { throw error }
                try await Task.sleep(for: wait)
                delay *= 2
            }
            metrics.repeated(call)
            logger.debug(
                "request failed and is sent again",
                metadata: ["request": "\(call.name)", "error": "\(error)", "attempt": "\(sent)"])
        }
    }

    /// Whether the failure was one of credentials or certificates, and there may be new ones now.
    private func renew(_ renewed: inout Renewed, after failure: SendFailure) -> Bool {
        if failure.error.code == 401, !renewed.identity {
            renewed.identity = true
            return identities.refuse(failure.identity)
        }
        if failure.error.reason == "Untrusted", failure.error.code == 0, !renewed.tls {
            renewed.tls = true
            return tls.refresh()
        }
        return false
    }

    /// Sends once.
    /// - Throws: `SendFailure`; what stopped it before sending, as it was.
    private func send<Answer: Sendable>(
        _ call: HTTPCall, with client: HTTPClient, until deadline: ContinuousClock.Instant,
        reading: @Sendable (HTTPClientResponse.Body) async throws -> Answer
    ) async throws -> Answer {
        let waited = try await flow.admit(call, waitingAtMost: deadline - .now)
        metrics.throttled(call, for: waited)
        let identity = try await identities.current()
        let http = try request(call, as: identity)
        let start = ContinuousClock.now
        var code = 0
        do {
            let response = try await client.execute(http, timeout: TimeAmount(deadline - start), logger: nil)
            code = Int(response.status.code)
            warnings.take(from: response.headers, of: call)
            guard code < 300 else { throw try await refusal(response, call) }
            let answer = try await reading(response.body)
            metrics.answered(call, code: code, took: .now - start)
            return answer
        } catch {
            metrics.answered(call, code: (error as? APIError)?.code ?? 0, took: .now - start)
            throw SendFailure(
                error: APIError(transport: error, call.name, answerHadBegun: code != 0), identity: identity)
        }
    }

    private func request(_ call: HTTPCall, as identity: Identity) throws -> HTTPClientRequest {
        var http = HTTPClientRequest(url: base + call.target)
        http.method = call.method
        http.headers.add(name: "accept", value: call.accept)
        for (name, value) in headers { http.headers.add(name: name, value: value) }
        if let authorization = identity.authorization {
            http.headers.add(name: "authorization", value: authorization)
        }
        if let body = call.body {
            http.headers.add(name: "content-type", value: call.contentType)
            http.body = .bytes(body)
        }
        if base.hasPrefix("https://") { http.tlsConfiguration = try tls.current(identity.certificate) }
        return http
    }

    private func refusal(_ response: HTTPClientResponse, _ call: HTTPCall) async throws -> APIError {
        let code = Int(response.status.code)
        let body: ByteBuffer
        do {
            body = try await response.body.collect(upTo: 1 << 20)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            // The status says enough.
            body = ByteBuffer()
        }
        var error: APIError
        if let status = try? JSONValue.parse(body.readableBytesView), status["kind"] == "Status" {
            error = APIError(status: status, httpCode: code)
        } else {
            let text = String(decoding: body.readableBytesView.prefix(200), as: UTF8.self)
            error = APIError(
                code: code, reason: response.status.reasonPhrase,
                message: "\(call.name): \(text.isEmpty ? "refused" : text)")
        }
        if let header = response.headers.first(name: "retry-after"), let seconds = Int(header) {
            error.retryAfterSeconds = max(0, seconds)
        }
        // Turned away at the door: by priority and fairness, by a load balancer, or by a server that goes down.
        error.isUnprocessed =
            code == 429 && !call.isAnsweredBy429 || code == 503 && response.headers.contains(name: "retry-after")
        return error
    }
}

extension ClientConfiguration.Impersonation {
    fileprivate var headers: [(name: String, value: String)] {
        var headers = [("impersonate-user", user)]
        if let uid { headers.append(("impersonate-uid", uid)) }
        headers += groups.map { ("impersonate-group", $0) }
        for (key, values) in extra.sorted(by: { $0.key < $1.key }) {
            headers += values.map { ("impersonate-extra-" + HTTPCall.encoded(key.lowercased()), $0) }
        }
        return headers
    }
}

extension HTTPClient.Configuration.Proxy {
    fileprivate init(_ proxy: Proxy) {
        switch proxy.kind {
        case .socks5: self = .socksServer(host: proxy.host, port: proxy.port)
        case .connect:
            self = .server(
                host: proxy.host, port: proxy.port,
                authorization: proxy.user.map { .basic(username: $0, password: proxy.password ?? "") })
        }
    }
}

extension TimeAmount {
    /// Not negative.
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = max(duration, .zero).components
        self = .seconds(seconds) + .nanoseconds(attoseconds / 1_000_000_000)
    }
}

/// Runs an operation and cancels it when its time is over.
private func withDeadline<Result: Sendable>(
    _ duration: Duration, of call: HTTPCall, _ operation: @escaping @Sendable () async throws -> Result
) async throws -> Result {
    try await withThrowingTaskGroup(of: Result?.self) { group in
        group.addTask { try await operation() }
        group.addTask {
            try await Task.sleep(for: duration)
            return nil
        }
        defer { group.cancelAll() }
        if let outcome = try await group.next(), let result = outcome { return result }
        throw APIError(code: 0, reason: "Timeout", message: "\(call.name): no answer within \(duration)")
    }
}
