import Foundation
import HeddleAPI
import MeshEvidence

/// The evidence of a run, one row a metric: what failed on each track, and how strongly that speaks against the canary.
///
/// The strength is an e-value: how many times likelier the counts are if the canary is worse than if it is not. The run
/// fails as soon as one exceeds the value beside it, 1/alpha shared between the metrics.
struct EvidenceTable: ScreenView {
    var spec: CanarySpec
    var status: CanaryStatus

    func styledLines(width: Int) -> [StyledText] {
        guard !status.evidence.isEmpty else { return [] }
        let needsProof = spec.analysis.advanceOn == .provenSafe
        var headings = ["METRIC", "CANARY FAILED", "STABLE FAILED", "HARM SHOWN"]
        if needsProof { headings.append("SAFETY SHOWN") }
        var table = TextTable(headings, right: Set(headings.dropFirst()), flexible: "METRIC")
        for evidence in status.evidence {
            let metric = spec.analysis.metrics.first { $0.name == evidence.metric }
            var cells = [StyledText(name(evidence, metric))]
            if metric?.kind == .query {
                cells.append(StyledText("value \(evidence.value.map(NumberText.significant) ?? Wording.unknown)"))
                cells.append(StyledText(metric?.thresholdRange.map(Self.text(of:)) ?? Wording.unknown))
                cells.append(StyledText(Wording.unknown))
            } else {
                let test = test(evidence)
                cells.append(share(evidence.counts.canaryFailures, of: evidence.counts.canaryRequests))
                cells.append(share(evidence.counts.stableFailures, of: evidence.counts.stableRequests))
                cells.append(strength(test.logEValue, test, reached: .bad))
                if needsProof { cells.append(strength(test.logSafeEValue, test, reached: .good)) }
            }
            table.add(cells, note: evidence.problem.map { StyledText("no data: \($0)", .warning) })
        }
        return table.lines(width: width)
    }

    private func name(_ evidence: MetricEvidence, _ metric: CanaryMetric?) -> String {
        var text = evidence.metric
        if let bound = metric?.latencyBound { text += " > \(bound)" }
        if metric?.critical == false { text += " (not critical)" }
        return text
    }

    private func share(_ failures: Int, of requests: Int) -> StyledText {
        guard requests > 0 else { return StyledText("0 of 0") }
        return StyledText("\(failures) of \(requests) (\(NumberText.percent(Double(failures) / Double(requests))))")
    }

    private func strength(_ logValue: Double, _ test: SequentialTest, reached tint: Tint) -> StyledText {
        let threshold = test.parameters.threshold
        return StyledText(
            "\(Self.eValue(logValue)) of \(Self.eValue(threshold))", logValue > threshold ? tint : nil)
    }

    /// The test as the release engine holds it, from the state that it left in the status.
    private func test(_ evidence: MetricEvidence) -> SequentialTest {
        let compared = spec.analysis.metrics.filter { $0.critical && $0.kind != .query }.count
        return SequentialTest(
            parameters: .init(alpha: spec.analysis.alpha, tolerance: spec.analysis.tolerance).sharing(over: compared),
            state: .init(
                intervals: evidence.intervals, logSums: evidence.logSums, restartLogSums: evidence.restartLogSums,
                safeLogSums: evidence.safeLogSums))
    }

    /// `0.52`, `200`, `3e7`.
    static func eValue(_ logValue: Double) -> String {
        let exponent = logValue / 2.302585092994046
        if exponent < -3 { return "0.001" }
        if exponent < 5 { return NumberText.significant(exp(logValue)) }
        let whole = Int(min(exponent, 999).rounded(.down))
        return "\(Int(pow(10, min(exponent, 999) - Double(whole))))e\(whole)"
    }

    private static func text(of range: ThresholdRange) -> String {
        [
            range.min.map { "at least \(NumberText.significant($0))" },
            range.max.map { "at most \(NumberText.significant($0))" },
        ].compactMap { $0 }.joined(separator: ", ")
    }
}
