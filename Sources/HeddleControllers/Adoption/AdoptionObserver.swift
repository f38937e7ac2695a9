import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import MeshEvidence
import MeshModel
import MeshPlan
import Synchronization

/// Asks for what an adoption's gates are judged by. Queries over long windows are dear, so answers are used again for a
/// while; what they mean for the workloads of the moment is `AdoptionInput`'s business.
package final class AdoptionObserver: Sendable {
    /// What Prometheus answered at one look.
    struct Answers: Sendable {
        var plaintext: [PrometheusAnswer.Sample] = []
        var accepted: [PrometheusAnswer.Sample] = []
        var edges: [PrometheusAnswer.Sample] = []
        var outcomes: [PrometheusAnswer.Sample] = []
        var retryAmplification: Double?
        var spans: Double?
        var proxyMemory: [PrometheusAnswer.Sample] = []
        var sourceLatency: [PrometheusAnswer.Sample] = []
        var destinationLatency: [PrometheusAnswer.Sample] = []
    }

    private enum Look: Sendable {
        case answered(Answers)
        /// Why there is no answer, as a sentence.
        case failed(String)
    }

    private let queries = NativeMeshQueries()
    private let last = Mutex<[ObjectKey: (at: Date, generation: Int, look: Look)]>([:])

    package init() {}

    func forget(_ key: ObjectKey) { last.withLock { $0[key] = nil } }

    /// Puts the measured part into the input.
    func measure(
        _ input: inout AdoptionInput, of adoption: Adoption, names: MetricNames,
        with prometheus: (any PrometheusQuerying)?, now: Date
    ) async {
        switch await look(at: adoption, with: prometheus, now: now) {
        case .failed(let problem): input.metricsProblem = problem
        case .answered(let answers):
            input.takePlaintext(answers.plaintext, names: names)
            input.takeAccepted(answers.accepted)
            input.takeCalls(answers.edges, names: names)
            input.takeOutcomes(answers.outcomes, names: names)
            input.takeRetryAmplification(answers.retryAmplification)
            input.takeSpans(answers.spans)
            input.takeProxyMemory(answers.proxyMemory)
            input.takeLatency(source: answers.sourceLatency, destination: answers.destinationLatency)
        }
    }

    private func look(
        at adoption: Adoption, with prometheus: (any PrometheusQuerying)?, now: Date
    ) async -> Look {
        let age = min(30, max(1.5, adoption.spec.strict.soak.seconds / 20))
        if let known = last.withLock({ $0[adoption.key] }), known.generation == adoption.generation,
            now.timeIntervalSince(known.at) < age
        {
            return known.look
        }
        guard let prometheus else { return .failed("no Prometheus is set: set spec.prometheus.address of the Mesh") }
        let look: Look
        do throws(QueryError) {
            look = .answered(try await ask(adoption, prometheus, now))
        } catch {
            look = .failed(error.description)
        }
        last.withLock { $0[adoption.key] = (now, adoption.generation, look) }
        return look
    }

    private func ask(
        _ adoption: Adoption, _ prometheus: any PrometheusQuerying, _ now: Date
    ) async throws(QueryError) -> Answers {
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
        var answers = Answers()
        answers.plaintext = try await samples(queries.plaintext(namespace: namespace, windowSeconds: window))
        answers.accepted = try await samples(queries.accepted(namespace: namespace, windowSeconds: window))
        answers.edges = try await samples(queries.edges(namespace: namespace, windowSeconds: max(window, 60)))
        answers.outcomes = try await samples(queries.outcomes(namespace: namespace, windowSeconds: recent))
        answers.retryAmplification = try await number(
            queries.retryAmplification(namespace: namespace, windowSeconds: recent))
        answers.spans = try await number(queries.spansSent(namespace: namespace))
        answers.proxyMemory = try await samples(queries.proxyMemory(namespace: namespace))
        answers.sourceLatency = try await samples(
            queries.latencyHistogram(namespace: namespace, reporter: "source", windowSeconds: recent))
        answers.destinationLatency = try await samples(
            queries.latencyHistogram(namespace: namespace, reporter: "destination", windowSeconds: recent))
        return answers
    }
}
