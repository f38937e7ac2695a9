import NIOHTTP1

/// Envoy's admin interface on 127.0.0.1.
struct EnvoyAdmin: Sendable {
    var port: Int

    /// Whether Envoy has its first clusters and listeners and serves.
    func isReady() async -> Bool {
        guard let response = try? await send(.GET, "/ready") else { return false }
        return response.status == 200 && response.body.hasPrefix("LIVE")
    }

    /// Makes Envoy ask its clients to leave: answers carry `Connection: close` or GOAWAY, and after the drain time the
    /// listeners close. Envoy itself stays.
    func beginDraining() async throws {
        _ = try await send(.POST, "/healthcheck/fail")
        _ = try await send(.POST, "/drain_listeners?graceful&skip_exit")
    }

    /// What is in flight; nil when Envoy does not answer.
    func activity() async -> EnvoyActivity? {
        guard let response = try? await send(.GET, "/stats?filter=downstream_.._active"), response.status == 200
        else {
            return nil
        }
        return EnvoyActivity(stats: response.body)
    }

    private func send(_ method: HTTPMethod, _ path: String) async throws -> LocalHTTPClient.Response {
        try await LocalHTTPClient.send(
            LocalHTTPClient.Request(method: method, port: port, path: path, timeout: .seconds(2)))
    }
}

/// What an Envoy is busy with, read from its statistics.
///
/// Idle keep-alive connections do not count: nothing is lost when they close. Requests do, and TCP connections, of
/// which nobody knows whether they are idle.
struct EnvoyActivity: Equatable, Sendable {
    var requests = 0
    var tcpConnections = 0

    var isQuiet: Bool { requests == 0 && tcpConnections == 0 }

    /// Reads the admin interface's `name: value` lines.
    init(stats: String) {
        for line in stats.split(separator: "\n") {
            let parts = line.split(separator: ":")
            guard parts.count == 2, let value = Int(parts[1].drop { $0 == " " }) else { continue }
            let name = parts[0]
            let isTraffic = name.hasPrefix("http.inbound_") || name.hasPrefix("http.outbound_")
            if isTraffic, name.hasSuffix(".downstream_rq_active") { requests += value }
            if name.hasPrefix("tcp."), name.hasSuffix(".downstream_cx_active") { tcpConnections += value }
        }
    }
}
