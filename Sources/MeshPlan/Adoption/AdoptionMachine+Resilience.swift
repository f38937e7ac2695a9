import HeddleAPI
import KubeCore
import MeshEvidence

extension AdoptionMachine {
    mutating func judgeResilience() {
        requireMeshed()
        requireMetrics()
        guard input.metricsProblem == nil else { return }
        judgeErrorRatio()
        requireWithin(
            .retryAmplification, input.retryAmplification, spec.resilience.retryAmplificationMax,
            "The number of tries per request",
            unit: "")
    }

    /// The end state: regressions are reported, and undo nothing.
    mutating func judgeRegressions() {
        requireMeshed()
        if let problem = input.metricsProblem { return block(.metricsSource, "Metrics cannot be read: \(problem)") }
        for seen in exemptions.unexcused(input.plaintext ?? []) where isRefused(seen) == false {
            block(
                exemptions.expiredException(for: seen) == nil ? .plaintextClients : .exceptionExpired,
                workload: seen.workload, client: seen.client, port: seen.port, count: seen.count,
                "\(seen.client) sent \(NumberText.count(seen.count, "plaintext request")) to \(seen.workload) within "
                    + "\(spec.strict.window).")
        }
    }

    /// Plaintext from before a workload became strict is history within the window.
    private func isRefused(_ seen: PlaintextObservation) -> Bool {
        guard let workload = status.workloads.first(where: { $0.name == seen.workload }), workload.mtls == .strict,
            let fact = facts[seen.workload]
        else { return false }
        guard let port = seen.port else { return true }
        return !exemptions.permissivePorts(fact, plaintext: input.plaintext ?? []).contains(port)
    }

    private mutating func judgeErrorRatio() {
        guard let ratio = input.errorRatio else { return block(.errorRatio, "The error ratio is not measured yet.") }
        guard let baseline = status.measurements.errorRatioBaseline else {
            status.measurements.errorRatioBaseline = ratio
            return
        }
        let bound = baseline + spec.resilience.maxErrorRatioIncrease
        if ratio > bound {
            block(
                .errorRatio,
                "The error ratio is \(NumberText.percent(ratio)); it was \(NumberText.percent(baseline)) when the phase started, "
                    + "and may rise to \(NumberText.percent(bound)).")
        }
    }
}
