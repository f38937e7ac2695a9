import FoundationEssentials
import HeddleAPI
import KubeCore
import MeshEvidence
import MeshModel
import MeshPlan
import Synchronization

/// Reads a canary's metrics at each look. It keeps the counters of the last look in memory; after a restart it asks
/// Prometheus for them as they were at the last look that the status names, so that no interval is lost or doubled.
package final class EvidenceCollector: Sendable {
    /// What one look gave.
    struct Look: Sendable {
        var metrics: [String: MetricReading] = [:]
        var traffic: TrackReading?
    }

    private struct Memory {
        var requests = CounterTracker()
        var buckets: [String: CounterTracker] = [:]
        var lastLook: Date?
        /// When the counters were last read; intervals start here, a failed look between or not.
        var requestsRead: Date?
        var bucketsRead: [String: Date] = [:]
    }

    private let queries = NativeMeshQueries()
    private let memory = Mutex<[ObjectKey: Memory]>([:])

    package init() {}

    func forget(_ key: ObjectKey) { memory.withLock { $0[key] = nil } }

    /// - Returns: an empty look when the analysis' interval has not passed since the last one.
    func look(
        at canary: Canary, with prometheus: (any PrometheusQuerying)?, templates: (String) -> String?, now: Date
    ) async -> Look {
        let service = ServiceID(namespace: canary.namespace, name: canary.spec.service.name)
        var state = memory.withLock { $0[canary.key] } ?? Memory()
        if let last = state.lastLook, now.timeIntervalSince(last) < canary.spec.analysis.interval.seconds * 0.9 {
            return Look()
        }
        guard let prometheus else {
            let problem = MetricProblem(.sourceError, "no Prometheus is set: set spec.prometheus.address of the Mesh")
            return Look(metrics: problems(problem, for: canary.spec.analysis.metrics))
        }
        if !state.requests.hasBaseline, let last = lastSample(of: canary), now.timeIntervalSince(last) < 600 {
            await restore(&state, canary: canary, service: service, with: prometheus, at: last)
        }
        state.lastLook = now
        var look = Look()
        let requests = await read(queries.requests(to: service), with: prometheus, at: now)
        for metric in canary.spec.analysis.metrics {
            switch metric.kind {
            case .successRatio:
                if case .failure(let problem) = requests.samples {
                    look.metrics[metric.name] = .problem(problem, query: requests.query)
                }
            case .latency: look.metrics[metric.name] = await latency(metric, &state, service, prometheus, now: now)
            case .query:
                look.metrics[metric.name] = await value(of: metric, canary, prometheus, templates: templates, now: now)
            }
        }
        if case .success(let samples) = requests.samples {
            let from = state.requestsRead ?? now
            state.requestsRead = now
            if let increases = state.requests.observe(samples, at: now.timeIntervalSince1970) {
                let reading = TrackReading(
                    requests: increases, from: from.timeIntervalSince1970, to: now.timeIntervalSince1970)
                look.traffic = reading
                for metric in canary.spec.analysis.metrics where metric.kind == .successRatio {
                    look.metrics[metric.name] = .counts(reading, query: requests.query)
                }
            }
        }
        memory.withLock { [state] in $0[canary.key] = state }
        return look
    }

    private func lastSample(of canary: Canary) -> Date? {
        guard canary.status.phase.isRunning else { return nil }
        return canary.status.evidence.compactMap(\.lastSampleAt).max()?.date
    }

    /// Takes in the counters as they were at `last`.
    private func restore(
        _ state: inout Memory, canary: Canary, service: ServiceID, with prometheus: any PrometheusQuerying,
        at last: Date
    ) async {
        let requests = await read(queries.requests(to: service), with: prometheus, at: last)
        guard case .success(let samples) = requests.samples else { return }
        _ = state.requests.observe(samples, at: last.timeIntervalSince1970)
        state.requestsRead = last
        for metric in canary.spec.analysis.metrics where metric.kind == .latency {
            guard let bound = metric.latencyBound else { continue }
            let query = queries.latencyBuckets(to: service, boundMilliseconds: bound.seconds * 1000)
            if case .success(let samples) = await read(query, with: prometheus, at: last).samples {
                _ = state.buckets[metric.name, default: CounterTracker()].observe(
                    samples, at: last.timeIntervalSince1970)
                state.bucketsRead[metric.name] = last
            }
        }
        state.lastLook = last
    }

    private func latency(
        _ metric: CanaryMetric, _ state: inout Memory, _ service: ServiceID, _ prometheus: any PrometheusQuerying,
        now: Date
    ) async -> MetricReading? {
        guard let bound = metric.latencyBound.map({ $0.seconds * 1000 }) else { return nil }
        let answer = await read(
            queries.latencyBuckets(to: service, boundMilliseconds: bound), with: prometheus, at: now)
        switch answer.samples {
        case .failure(let problem): return .problem(problem, query: answer.query)
        case .success(let samples):
            let from = state.bucketsRead[metric.name] ?? now
            state.bucketsRead[metric.name] = now
            guard
                let increases = state.buckets[metric.name, default: CounterTracker()].observe(
                    samples, at: now.timeIntervalSince1970)
            else { return nil }
            do throws(MetricProblem) {
                return .counts(
                    try TrackReading(
                        buckets: increases, samples: samples, boundMilliseconds: bound,
                        from: from.timeIntervalSince1970, to: now.timeIntervalSince1970), query: answer.query)
            } catch {
                return .problem(error, query: answer.query)
            }
        }
    }

    private func value(
        of metric: CanaryMetric, _ canary: Canary, _ prometheus: any PrometheusQuerying, templates: (String) -> String?,
        now: Date
    ) async -> MetricReading? {
        guard let text = metric.query ?? metric.templateRef.flatMap({ templates($0.name) }) else {
            let name = metric.templateRef?.name ?? ""
            return .problem(
                MetricProblem(.unusable, "MetricTemplate \(name) does not exist in namespace \(canary.namespace)"),
                query: nil)
        }
        guard let variables = Self.variables(of: canary, at: now) else { return nil }
        let query: String
        do throws(FieldError) {
            query = try MetricTemplateSpec.render(text, variables)
        } catch {
            return .problem(MetricProblem(.unusable, error.description), query: text)
        }
        do throws(QueryError) {
            let result = try await prometheus.instant(query, at: now).result
            if let value = result.value { return .value(value, query: query) }
            return .problem(result.problem ?? MetricProblem(.unusable, "the answer is no number"), query: query)
        } catch {
            return .problem(MetricProblem(.sourceError, error.description), query: query)
        }
    }

    /// What `{{ name }}` stands for at this look; nil before the step has its weight and its pods, when there is nothing to
    /// ask about yet.
    static func variables(of canary: Canary, at now: Date) -> [MetricTemplateSpec.Variable: String]? {
        guard let started = canary.status.stepStartedAt?.date, let track = canary.status.canaryHash else { return nil }
        // Whole seconds, as PromQL's ranges want them, and at least one: a range of none is an error.
        let seconds = max(1, Int(now.timeIntervalSince(started).rounded(.down)))
        return [
            .namespace: canary.namespace, .target: canary.spec.targetRef.name, .service: canary.spec.service.name,
            .interval: "\(seconds)s", .track: track,
        ]
    }

    private func read(
        _ query: String, with prometheus: any PrometheusQuerying, at time: Date
    ) async -> (query: String, samples: Result<[PrometheusAnswer.Sample], MetricProblem>) {
        do throws(QueryError) {
            let answer = try await prometheus.instant(query, at: time)
            guard let samples = answer.samples else {
                return (query, .failure(MetricProblem(.unusable, "the answer is not a list of series")))
            }
            return (query, .success(samples))
        } catch {
            return (query, .failure(MetricProblem(.sourceError, error.description)))
        }
    }

    private func problems(_ problem: MetricProblem, for metrics: [CanaryMetric]) -> [String: MetricReading] {
        Dictionary(metrics.map { ($0.name, .problem(problem, query: nil)) }, uniquingKeysWith: { $1 })
    }
}
