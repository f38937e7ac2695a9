package import MeshEvidence

/// Turns the answers of `NativeMeshQueries` into what an adoption decides on.
///
/// Windowed counts are estimates of whole numbers; they are rounded up, so that one event is never lost.
extension AdoptionInput {
    /// From `plaintext(namespace:windowSeconds:)`.
    /// - Parameters:
    ///   - workloadByApp: workload names by the label `app` of their pods.
    ///   - clientByAddress: `namespace/name` of workloads by the addresses of their pods.
    package mutating func takePlaintext(
        _ samples: [PrometheusAnswer.Sample], workloadByApp: [String: String], clientByAddress: [String: String]
    ) {
        var counts: [PlaintextKey: Int] = [:]
        for sample in samples {
            let app = sample.labels["app"] ?? ""
            let address = sample.labels["source_ip"] ?? "unknown"
            let key = PlaintextKey(
                address: address, workload: workloadByApp[app] ?? app,
                port: sample.labels["destination_port"].flatMap(Int.init))
            counts[key, default: 0] += Self.whole(sample.value)
        }
        let selected = Set(workloads.map(\.name))
        plaintext = counts.filter { $0.value > 0 && selected.contains($0.key.workload) }.map { key, count in
            PlaintextObservation(
                client: clientByAddress[key.address] ?? key.address, address: key.address, workload: key.workload,
                port: key.port, count: count)
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
    /// - Parameter workloadsByService: names of the workloads behind each Service of the namespace.
    package mutating func takeCalls(
        _ samples: [PrometheusAnswer.Sample], namespace: String, workloadByApp: [String: String],
        workloadsByService: [String: [String]]
    ) {
        var edges: Set<CallEdge> = []
        for sample in samples where sample.value > 0 {
            guard let app = sample.labels["app"],
                let service = sample.labels["destination_service"]?.split(separator: ".").first
            else { continue }
            let from = sample.labels["namespace"] ?? namespace
            let client = from == namespace ? workloadByApp[app] ?? app : "\(from)/\(app)"
            for workload in workloadsByService[String(service)] ?? [] {
                edges.insert(CallEdge(client: client, workload: workload))
            }
        }
        calls = edges.sorted { ($0.client, $0.workload) < ($1.client, $1.workload) }
    }

    /// From `outcomes(namespace:windowSeconds:)`: the error ratio of all requests.
    package mutating func takeOutcomes(_ samples: [PrometheusAnswer.Sample]) {
        let counts = Self.outcomes(samples).values.reduce(into: (requests: 0.0, failures: 0.0)) { sum, counts in
            sum.requests += counts.requests
            sum.failures += counts.failures
        }
        errorRatio = counts.requests > 0 ? counts.failures / counts.requests : nil
    }

    /// From `outcomes(namespace:windowSeconds:)` with `spec.strict.soak` as the window: failed connections by workload.
    package mutating func takeConnectionFailures(
        _ samples: [PrometheusAnswer.Sample], workloadsByService: [String: [String]]
    ) {
        var failures = Dictionary(uniqueKeysWithValues: Set(workloads.map(\.name)).map { ($0, 0) })
        for (service, counts) in Self.outcomes(samples) {
            for workload in workloadsByService[service] ?? [] {
                failures[workload, default: 0] += Self.whole(counts.refused)
            }
        }
        connectionFailures = failures
    }

    /// From `latencyHistogram(namespace:reporter:windowSeconds:)` of both reporters: what a hop adds, at the median and the
    /// 99th percentile. The difference of two quantiles; it is an estimate, within the width of their buckets.
    package mutating func takeLatency(source: [PrometheusAnswer.Sample], destination: [PrometheusAnswer.Sample]) {
        guard let outer = CumulativeHistogram(source), let inner = CumulativeHistogram(destination) else { return }
        addedLatencyP50Ms = max(0, outer.value(at: 0.5) - inner.value(at: 0.5))
        addedLatencyP99Ms = max(0, outer.value(at: 0.99) - inner.value(at: 0.99))
        latencyP99Ms = outer.value(at: 0.99)
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

    private struct Outcomes {
        var requests = 0.0
        var failures = 0.0
        var refused = 0.0
    }

    /// By the Service's name.
    private static func outcomes(_ samples: [PrometheusAnswer.Sample]) -> [String: Outcomes] {
        samples.reduce(into: [:]) { outcomes, sample in
            guard sample.value.isFinite, sample.value > 0,
                let service = sample.labels["destination_service"]?.split(separator: ".").first
            else { return }
            let flags = sample.labels["response_flags"] ?? ""
            let outcome = RequestOutcome(code: sample.labels["response_code"] ?? "", flags: flags)
            if outcome == .abandoned { return }
            var counts = outcomes[String(service)] ?? Outcomes()
            counts.requests += sample.value
            if outcome.isFailure { counts.failures += sample.value }
            if !RequestOutcome.refusedFlags.isDisjoint(with: flags.split(separator: ",").map(String.init)) {
                counts.refused += sample.value
            }
            outcomes[String(service)] = counts
        }
    }

    private static func whole(_ value: Double) -> Int {
        value.isFinite && value > 0 && value < 1e15 ? Int((value - 1e-6).rounded(.up)) : 0
    }
}
