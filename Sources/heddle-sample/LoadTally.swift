import FoundationEssentials

/// What a load run has counted: plain values, reset by making a new one.
struct LoadTally: Sendable {
    /// What became of one request.
    enum Outcome: Sendable {
        case answered(status: Int, fault: String?, version: String?, hops: [String], body: String)
        case failed(WireFailure)
    }

    /// What one version of one service answered, as seen through the answers' `x-served-chain`.
    struct Hop: Encodable, Sendable {
        var ok = 0
        var failed = 0
        var firstAt: Date
        var lastAt: Date
        var firstFailureAt: Date?
        var lastFailureAt: Date?
    }

    /// The last request that failed from a cause, for the person who asks why.
    struct Example: Encodable, Sendable {
        let at: Date
        let detail: String
    }

    struct Latency: Encodable, Sendable { let p50, p90, p99, max: Double }

    /// The report as JSON; `failures` and `versions` are counts by cause and by version.
    struct Report: Encodable, Sendable {
        let sent, ok, failed, overrun, connectionRetries, inFlight: Int
        let failures: [String: Int]
        let versions: [String: Int]
        let hops: [String: Hop]
        let lastFailures: [String: Example]
        let latencyMs: Latency
        let since: Date
        let until: Date
    }

    let since: Date
    private(set) var ok = 0
    private(set) var failures: [String: Int] = [:]
    private(set) var versions: [String: Int] = [:]
    private(set) var hops: [String: Hop] = [:]
    private(set) var lastFailures: [String: Example] = [:]
    private(set) var latency = LatencyHistogram()
    /// Requests not sent, because too many were in flight.
    var overrun = 0

    init(since: Date) { self.since = since }

    var failed: Int { failures.values.reduce(0, +) }

    mutating func record(_ outcome: Outcome, microseconds: Int, at now: Date) {
        latency.record(microseconds: microseconds)
        let cause = Self.cause(of: outcome)
        if let cause {
            failures[cause, default: 0] += 1
            lastFailures[cause] = Example(at: now, detail: Self.detail(of: outcome))
        } else {
            ok += 1
        }
        guard case .answered(_, _, let version, let hopNames, _) = outcome else { return }
        if let version { versions[version, default: 0] += 1 }
        for name in hopNames {
            var hop = hops[name] ?? Hop(firstAt: now, lastAt: now)
            hop.lastAt = now
            if cause == nil {
                hop.ok += 1
            } else {
                hop.failed += 1
                hop.firstFailureAt = hop.firstFailureAt ?? now
                hop.lastFailureAt = now
            }
            hops[name] = hop
        }
    }

    func report(at now: Date, connectionRetries: Int, inFlight: Int) -> Report {
        Report(
            sent: ok + failed + inFlight, ok: ok, failed: failed, overrun: overrun,
            connectionRetries: connectionRetries,
            inFlight: inFlight, failures: failures, versions: versions, hops: hops, lastFailures: lastFailures,
            latencyMs: Latency(
                p50: latency.milliseconds(at: 0.5), p90: latency.milliseconds(at: 0.9),
                p99: latency.milliseconds(at: 0.99), max: latency.maxMilliseconds),
            since: since, until: now)
    }

    /// Nil for a success, else a short name: status and fault header (`500 injected`), a proxy's own reason
    /// (`503 connection failure`), or the kind of connection error.
    static func cause(of outcome: Outcome) -> String? {
        switch outcome {
        case .failed(let failure): return failure.description
        case .answered(let status, let fault, _, _, let body):
            guard status >= 400 else { return nil }
            if let fault { return "\(status) \(fault)" }
            if let reason = proxyReason(body) { return "\(status) \(reason)" }
            return "\(status)"
        }
    }

    /// Why Envoy itself answered, from the text of its local replies.
    private static func proxyReason(_ body: String) -> String? {
        let marker = "reset reason: "
        if let range = body.firstRange(of: marker) {
            return String(body[range.upperBound...].prefix { $0 != "," && $0 != "\n" })
        }
        for known in ["no healthy upstream", "upstream request timeout", "RBAC: access denied"]
        where body.hasPrefix(known) {
            return known
        }
        return nil
    }

    private static func detail(of outcome: Outcome) -> String {
        switch outcome {
        case .failed(let failure): failure.description
        case .answered(let status, _, _, _, let body): "\(status) \(body.prefix(300))"
        }
    }
}
