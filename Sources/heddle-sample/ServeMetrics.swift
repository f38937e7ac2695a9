/// What the sample service counts, and its Prometheus text.
struct ServeMetrics: Sendable {
    private static let boundsMS: [Double] = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000]

    private var requests: [Int: Int] = [:]
    private var failures: [String: Int] = [:]
    private var latency = LatencyHistogram()

    mutating func record(status: Int, fault: String?, microseconds: Int) {
        requests[status, default: 0] += 1
        if status >= 400 { failures[fault ?? "other", default: 0] += 1 }
        latency.record(microseconds: microseconds)
    }

    func prometheusText(name: String, version: String, connectionRetries: Int, inFlight: Int) -> String {
        let base = "service=\"\(name)\",version=\"\(version)\""
        var lines = ["# TYPE sample_requests_total counter"]
        for (status, count) in requests.sorted(by: { $0.key < $1.key }) {
            lines.append("sample_requests_total{\(base),code=\"\(status)\"} \(count)")
        }
        lines.append("# TYPE sample_failures_total counter")
        for (cause, count) in failures.sorted(by: { $0.key < $1.key }) {
            lines.append("sample_failures_total{\(base),cause=\"\(cause)\"} \(count)")
        }
        lines.append("# TYPE sample_connection_retries_total counter")
        lines.append("sample_connection_retries_total{\(base)} \(connectionRetries)")
        lines.append("# TYPE sample_requests_in_flight gauge")
        lines.append("sample_requests_in_flight{\(base)} \(inFlight)")
        lines += latency.prometheusLines("sample_request_duration_seconds", labels: base, boundsMS: Self.boundsMS)
        return lines.joined(separator: "\n") + "\n"
    }
}

extension LatencyHistogram {
    /// The histogram as a Prometheus histogram in seconds.
    func prometheusLines(_ name: String, labels: String, boundsMS: [Double]) -> [String] {
        let comma = labels.isEmpty ? "" : ","
        var lines = ["# TYPE \(name) histogram"]
        for bound in boundsMS {
            lines.append("\(name)_bucket{\(labels)\(comma)le=\"\(bound / 1000)\"} \(count(upToMilliseconds: bound))")
        }
        lines.append("\(name)_bucket{\(labels)\(comma)le=\"+Inf\"} \(count)")
        lines.append("\(name)_sum{\(labels)} \(Double(sumMicroseconds) / 1_000_000)")
        lines.append("\(name)_count{\(labels)} \(count)")
        return lines
    }
}
