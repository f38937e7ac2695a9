import Foundation

/// What the load generator counted, as its report page has it.
struct LoadReport: Decodable, Sendable {
    struct Hop: Decodable, Sendable {
        var ok: Int
        var failed: Int
        var firstFailureAt: Date?
    }
    struct Latency: Decodable, Sendable { var p50, p90, p99, max: Double }

    var sent: Int
    var ok: Int
    var failures: [String: Int]
    /// By `service=version`.
    var hops: [String: Hop]
    var latencyMs: Latency

    static func decode(_ data: Data) throws -> LoadReport {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Double.self) { return Date(timeIntervalSinceReferenceDate: number) }
            let text = try container.decode(String.self)
            let fractional = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
            if let date = (try? Date(text, strategy: fractional)) ?? (try? Date(text, strategy: .iso8601)) {
                return date
            }
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(text) is not a time")
        }
        return try decoder.decode(LoadReport.self, from: data)
    }

    /// Failures that the sample did not make on purpose: what the mesh, or Heddle, would have to answer for.
    var unexplained: [String: Int] { failures.filter { !$0.key.contains("injected") } }
    var failed: Int { failures.values.reduce(0, +) }

    /// Share of requests that succeeded since an earlier report, 0 to 1; nil without requests.
    func successRatio(since earlier: LoadReport) -> Double? {
        let ok = ok - earlier.ok
        let failed = failed - earlier.failed
        return ok + failed > 0 ? Double(ok) / Double(ok + failed) : nil
    }

    /// Requests that a version of a service answered.
    func answered(by hop: String) -> Int { hops[hop].map { $0.ok + $0.failed } ?? 0 }
}
