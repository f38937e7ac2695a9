package import FoundationEssentials

/// The door to a metrics store that speaks Prometheus' HTTP API. The client is in the executables; tests have a table.
package protocol PrometheusQuerying: Sendable {
    /// Evaluates a query at one moment.
    /// - Parameter at: nil for the server's now.
    func instant(_ query: String, at: Date?) async throws(QueryError) -> PrometheusAnswer

    /// Evaluates a query over a range of time.
    func range(_ query: String, from: Date, to: Date, stepSeconds: Double) async throws(QueryError) -> PrometheusAnswer
}

/// A request to Prometheus' HTTP API, to be sent by GET.
package struct PrometheusRequest: Sendable, Hashable {
    /// Below the base address: `/api/v1/query`.
    package var path: String
    package var parameters: [(name: String, value: String)]

    package static func instant(_ query: String, at: Date? = nil, timeoutSeconds: Double? = nil) -> Self {
        var parameters = [(name: "query", value: query)]
        if let at { parameters.append((name: "time", value: number(at.timeIntervalSince1970))) }
        if let timeoutSeconds { parameters.append((name: "timeout", value: number(timeoutSeconds) + "s")) }
        return Self(path: "/api/v1/query", parameters: parameters)
    }

    package static func range(_ query: String, from: Date, to: Date, stepSeconds: Double) -> Self {
        Self(
            path: "/api/v1/query_range",
            parameters: [
                (name: "query", value: query), (name: "start", value: number(from.timeIntervalSince1970)),
                (name: "end", value: number(to.timeIntervalSince1970)), (name: "step", value: number(stepSeconds)),
            ])
    }

    /// The whole address. `base` may have a path of its own (`http://prometheus.monitoring:9090/prom`).
    package func url(base: String) -> String {
        let base = base.hasSuffix("/") ? String(base.dropLast()) : base
        let query = parameters.map { Self.encoded($0.name) + "=" + Self.encoded($0.value) }.joined(separator: "&")
        return "\(base)\(path)?\(query)"
    }

    package static func == (a: Self, b: Self) -> Bool { a.url(base: "") == b.url(base: "") }
    package func hash(into hasher: inout Hasher) { hasher.combine(url(base: "")) }

    private static func number(_ value: Double) -> String {
        let milliseconds = (value * 1000).rounded() / 1000
        return milliseconds == milliseconds.rounded() ? String(Int(milliseconds)) : String(milliseconds)
    }

    /// Percent-encodes all but RFC 3986's unreserved characters.
    private static func encoded(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { out, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                out.append(Character(Unicode.Scalar(byte)))
            default:
                out.append("%")
                out.append(hex[Int(byte >> 4)])
                out.append(hex[Int(byte & 15)])
            }
        }
    }
}
