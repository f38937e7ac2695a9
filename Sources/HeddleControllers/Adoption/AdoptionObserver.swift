import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import MeshEvidence
import MeshModel
import MeshPlan
import Synchronization

/// Measures what an adoption's gates ask for. Queries over long windows are dear, so an answer is used again for a while.
package final class AdoptionObserver: Sendable {
    /// The measured part of an `AdoptionInput`.
    struct Measurements: Sendable {
        var calls: [CallEdge] = []
        var plaintext: [PlaintextObservation]?
        var requests: RequestTotals?
        var metricsProblem: String?
        var tracesReceived: Int?
        var addedLatencyP50Ms: Double?
        var addedLatencyP99Ms: Double?
        var proxyMemoryBytes: Int?
        var connectionFailures: [String: Int]?
        var errorRatio: Double?
        var latencyP99Ms: Double?
        var retryAmplification: Double?
    }

    private let queries = NativeMeshQueries()
    private let last = Mutex<[ObjectKey: (at: Date, generation: Int, measured: Measurements)]>([:])

    package init() {}

    func forget(_ key: ObjectKey) { last.withLock { $0[key] = nil } }

    func measure(
        _ adoption: Adoption, stores: ClusterStores, workloads: [KubeObject],
        with prometheus: (any PrometheusQuerying)?,
        now: Date
    ) async -> Measurements {
        let age = min(30, max(1.5, adoption.spec.strict.soak.seconds / 20))
        if let known = last.withLock({ $0[adoption.key] }), known.generation == adoption.generation,
            now.timeIntervalSince(known.at) < age
        {
            return known.measured
        }
        guard let prometheus else {
            return Measurements(metricsProblem: "no Prometheus is set: set spec.prometheus.address of the Mesh")
        }
        let measured: Measurements
        do throws(QueryError) {
            measured = try await read(
                adoption, names: WorkloadNames(stores: stores, workloads: workloads), prometheus, now)
        } catch {
            measured = Measurements(metricsProblem: error.description)
        }
        last.withLock { $0[adoption.key] = (now, adoption.generation, measured) }
        return measured
    }

    private func read(
        _ adoption: Adoption, names: WorkloadNames, _ prometheus: any PrometheusQuerying, _ now: Date
    ) async throws(QueryError) -> Measurements {
        let namespace = adoption.namespace
        let window = adoption.spec.strict.window.seconds
        // A window for what changes from step to step: as long as the gates soak.
        let recent = max(10, max(adoption.spec.resilience.soak.seconds, adoption.spec.strict.soak.seconds))
        func samples(_ query: String) async throws(QueryError) -> [PrometheusAnswer.Sample] {
            try await prometheus.instant(query, at: now).samples ?? []
        }
        func number(_ query: String) async throws(QueryError) -> Double? {
            try await prometheus.instant(query, at: now).result.value
        }
        var measured = Measurements()
        measured.plaintext = try await samples(queries.plaintext(namespace: namespace, windowSeconds: window))
            .compactMap { names.plaintext($0, namespace: namespace) }
        let accepted = try await samples(queries.accepted(namespace: namespace, windowSeconds: window))
        if !accepted.isEmpty {
            func total(_ policy: String) -> Int {
                whole(accepted.filter { $0.labels["connection_security_policy"] == policy }.reduce(0) { $0 + $1.value })
            }
            measured.requests = RequestTotals(mutualTLS: total("mutual_tls"), plaintext: total("none"))
        }
        measured.calls = try await samples(queries.edges(namespace: namespace, windowSeconds: max(window, 60)))
            .compactMap { names.edge($0, namespace: namespace) }
        let outcomes = try await samples(queries.outcomes(namespace: namespace, windowSeconds: recent))
        (measured.errorRatio, measured.connectionFailures) = judge(outcomes, names: names, namespace: namespace)
        measured.retryAmplification = try await number(
            queries.retryAmplification(namespace: namespace, windowSeconds: recent)
        )
        .flatMap { $0.isFinite ? $0 : nil }
        measured.tracesReceived = try await number(queries.spansSent(namespace: namespace)).map(whole)
        measured.proxyMemoryBytes = try await samples(queries.proxyMemory(namespace: namespace)).map(\.value).max().map(
            whole)
        let source = CumulativeHistogram(
            try await samples(queries.latencyHistogram(namespace: namespace, reporter: "source", windowSeconds: recent))
        )
        let destination = CumulativeHistogram(
            try await samples(
                queries.latencyHistogram(namespace: namespace, reporter: "destination", windowSeconds: recent)))
        measured.latencyP99Ms = source?.value(at: 0.99)
        if let source, let destination {
            measured.addedLatencyP50Ms = max(0, source.value(at: 0.5) - destination.value(at: 0.5))
            measured.addedLatencyP99Ms = max(0, source.value(at: 0.99) - destination.value(at: 0.99))
        }
        return measured
    }

    private func judge(_ outcomes: [PrometheusAnswer.Sample], names: WorkloadNames, namespace: String) -> (
        Double?, [String: Int]?
    ) {
        guard !outcomes.isEmpty else { return (nil, nil) }
        var total = 0.0
        var failed = 0.0
        var refused: [String: Double] = [:]
        for sample in outcomes {
            let flags = sample.labels["response_flags"] ?? ""
            let outcome = RequestOutcome(code: sample.labels["response_code"] ?? "", flags: flags)
            if outcome == .abandoned { continue }
            total += sample.value
            if outcome.isFailure { failed += sample.value }
            let isRefused = !Set(flags.split(separator: ",").map(String.init)).isDisjoint(
                with: RequestOutcome.refusedFlags)
            if isRefused,
                let workload = names.workload(ofService: sample.labels["destination_service"] ?? "", in: namespace)
            {
                refused[workload, default: 0] += sample.value
            }
        }
        return (total > 0 ? failed / total : nil, refused.mapValues(whole))
    }
}

/// A count from a metric: rounded up, since `increase` extrapolates; what is no number counts as none.
private func whole(_ value: Double) -> Int { Int(exactly: value.rounded(.up)) ?? 0 }

/// Names in metrics and addresses, as workloads.
struct WorkloadNames {
    let stores: ClusterStores
    /// The Adoption's Deployments.
    let workloads: [KubeObject]

    /// The pod label that Prometheus' targets carry as `app`.
    private static let appLabels = ["app.kubernetes.io/name", "app"]

    /// `namespace/name` of the workload that a pod belongs to, without the ReplicaSet in between.
    func owner(of pod: KubeObject) -> String {
        guard let owner = pod.controllerReference else { return "\(pod.namespace)/\(pod.name)" }
        let set = stores.replicaSets.get(namespace: pod.namespace, name: owner.name)
        return "\(pod.namespace)/\(set?.controllerReference?.name ?? owner.name)"
    }

    func workload(app: String) -> String? {
        workloads.first { Self.app(of: $0) == app }?.name
    }

    private static func app(of deployment: KubeObject) -> String? {
        let labels = deployment.spec[path: "template", "metadata", "labels"]?.stringMap ?? [:]
        return appLabels.lazy.compactMap { labels[$0] }.first
    }

    /// The workload that counted a request; nil when it is one that the Adoption has nothing to do with. What cannot be
    /// told counts as the Adoption's: plaintext that is overlooked would be cut off.
    private func counted(app: String, namespace: String) -> String? {
        if let workload = workload(app: app) { return workload }
        let isOthers = stores.deployments.list(namespace: namespace).contains { Self.app(of: $0) == app }
        return isOthers ? nil : app.isEmpty ? "unknown workload" : app
    }

    /// `destination_service` is `name.namespace`.
    func workload(ofService name: String, in namespace: String) -> String? {
        guard let service = ServiceID(host: name, in: namespace), service.namespace == namespace,
            let object = stores.services.get(namespace: namespace, name: service.name)
        else { return nil }
        let selector = object.spec["selector"]?.stringMap ?? [:]
        guard !selector.isEmpty else { return nil }
        return workloads.first { deployment in
            let labels = deployment.spec[path: "template", "metadata", "labels"]?.stringMap ?? [:]
            return selector.allSatisfy { labels[$0.key] == $0.value }
        }?.name
    }

    func plaintext(_ sample: PrometheusAnswer.Sample, namespace: String) -> PlaintextObservation? {
        let count = whole(sample.value)
        guard count > 0, let workload = counted(app: sample.labels["app"] ?? "", namespace: namespace) else {
            return nil
        }
        let address = sample.labels["source_ip"] ?? ""
        // Pods that ended keep an address that may be another's by now.
        let pod = stores.pods.list().first { pod in
            pod.status["podIP"]?.string == address
                && !["Succeeded", "Failed"].contains(pod.status["phase"]?.string ?? "")
        }
        let client = pod.map(owner(of:)) ?? address
        return PlaintextObservation(
            client: client, address: address, workload: workload,
            port: sample.labels["destination_port"].flatMap { Int($0) },
            count: count)
    }

    func edge(_ sample: PrometheusAnswer.Sample, namespace: String) -> CallEdge? {
        guard let workload = workload(ofService: sample.labels["destination_service"] ?? "", in: namespace),
            let app = sample.labels["app"], let source = sample.labels["namespace"]
        else { return nil }
        let client = source == namespace ? self.workload(app: app) ?? app : "\(source)/\(app)"
        return CallEdge(client: client, workload: workload)
    }
}
