package import MeshEvidence

/// Turns the answers of `NativeMeshQueries` into what an adoption decides on.
///
/// Windowed counts are estimates of whole numbers; they are rounded up, so that one event is never lost.
extension AdoptionInput {
    /// From `plaintext(namespace:windowSeconds:)`. A workload that cannot be told counts as the Adoption's: plaintext that is
    /// overlooked would be cut off.
    package mutating func takePlaintext(_ samples: [PrometheusAnswer.Sample], names: MetricNames) {
        var counts: [PlaintextKey: Int] = [:]
        for sample in samples {
            let app = sample.labels["app"] ?? ""
            if names.otherApps.contains(app) { continue }
            let key = PlaintextKey(
                address: sample.labels["source_ip"] ?? "unknown",
                workload: names.workloadByApp[app] ?? (app.isEmpty ? "unknown workload" : app),
                port: sample.labels["destination_port"].flatMap { Int($0) })
            counts[key, default: 0] += Self.whole(sample.value)
        }
        plaintext = counts.filter { $0.value > 0 }.map { key, count in
            PlaintextObservation(
                client: names.clientByAddress[key.address] ?? key.address, address: key.address,
                workload: key.workload, port: key.port, count: count)
        }.sorted { ($0.workload, $0.client, $0.port ?? 0) < ($1.workload, $1.client, $1.port ?? 0) }
    }

    /// From `accepted(namespace:windowSeconds:)`.
    package mutating func takeAccepted(_ samples: [PrometheusAnswer.Sample]) {
        guard !samples.isEmpty else { return }
        func total(_ policy: String) -> Int {
            samples.filter { $0.labels["connection_security_policy"] == policy }.reduce(0) { $0 + Self.whole($1.value) }
        }
        requests = RequestTotals(mutualTLS: total("mutual_tls"), plaintext: total("none"))
    }

    /// From `edges(namespace:windowSeconds:)`.
    package mutating func takeCalls(_ samples: [PrometheusAnswer.Sample], names: MetricNames) {
        var edges: Set<CallEdge> = []
        for sample in samples where sample.value > 0 {
            guard let app = sample.labels["app"] else { continue }
            let from = sample.labels["namespace"] ?? names.namespace
            let client = from == names.namespace ? names.workloadByApp[app] ?? app : "\(from)/\(app)"
            for workload in names.workloads(ofDestination: sample.labels["destination_service"]) {
                edges.insert(CallEdge(client: client, workload: workload))
            }
        }
        calls = edges.sorted { ($0.client, $0.workload) < ($1.client, $1.workload) }
    }

    /// From `outcomes(namespace:windowSeconds:)`: the error ratio of all requests, and failed connections by workload. An
    /// answer without any request says nothing of either.
    package mutating func takeOutcomes(_ samples: [PrometheusAnswer.Sample], names: MetricNames) {
        guard !samples.isEmpty else { return }
        var total = 0.0
        var failed = 0.0
        var refused = Dictionary(uniqueKeysWithValues: Set(workloads.map(\.name)).map { ($0, 0) })
        for sample in samples where sample.value.isFinite && sample.value > 0 {
            let flags = sample.labels["response_flags"] ?? ""
            let outcome = RequestOutcome(code: sample.labels["response_code"] ?? "", flags: flags)
            if outcome == .abandoned { continue }
            total += sample.value
            if outcome.isFailure { failed += sample.value }
            guard !RequestOutcome.refusedFlags.isDisjoint(with: flags.split(separator: ",").map(String.init)) else {
                continue
            }
            for workload in names.workloads(ofDestination: sample.labels["destination_service"]) {
                refused[workload, default: 0] += Self.whole(sample.value)
            }
        }
        errorRatio = total > 0 ? failed / total : nil
        connectionFailures = refused
    }

    /// From `latencyHistogram(namespace:reporter:windowSeconds:)` of both reporters: what a hop adds, at the median and the
    /// 99th percentile. The difference of two quantiles; it is an estimate, within the width of their buckets.
    package mutating func takeLatency(source: [PrometheusAnswer.Sample], destination: [PrometheusAnswer.Sample]) {
        guard let outer = CumulativeHistogram(source) else { return }
        latencyP99Ms = outer.value(at: 0.99)
        guard let inner = CumulativeHistogram(destination) else { return }
        addedLatencyP50Ms = max(0, outer.value(at: 0.5) - inner.value(at: 0.5))
        addedLatencyP99Ms = max(0, outer.value(at: 0.99) - inner.value(at: 0.99))
    }

    /// From `proxyMemory(namespace:)`: the sidecar that uses most.
    package mutating func takeProxyMemory(_ samples: [PrometheusAnswer.Sample]) {
        proxyMemoryBytes = samples.map(\.value).filter { $0.isFinite && $0 > 0 }.max().map { Int($0) }
    }

    private struct PlaintextKey: Hashable {
        var address: String
        var workload: String
        var port: Int?
    }

    /// From `retryAmplification(namespace:windowSeconds:)`; a ratio of nothing to nothing is none.
    package mutating func takeRetryAmplification(_ value: Double?) {
        retryAmplification = value.flatMap { $0.isFinite ? $0 : nil }
    }

    /// From `spansSent(namespace:)`.
    package mutating func takeSpans(_ value: Double?) { tracesReceived = value.map(Self.whole) }

    private static func whole(_ value: Double) -> Int {
        value.isFinite && value > 0 && value < 1e15 ? Int((value - 1e-6).rounded(.up)) : 0
    }
}
