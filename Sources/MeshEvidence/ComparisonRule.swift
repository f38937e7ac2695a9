/// Judges one metric that counts requests and failures per track: the absolute bound, then the comparison with stable.
package struct ComparisonRule: Sendable, Hashable {
    /// What counts as a failure, for sentences: `failed`, `were slower than 250 ms`.
    package var failureWords: String
    package var test: SequentialTest
    /// Lowest and highest share (0 to 1) of the canary's requests that did not fail.
    package var minimumRatio: Double?
    package var maximumRatio: Double?
    /// Fewest canary requests at this step for a pass, and for the absolute bound to speak.
    package var minimumSamples: Int
    /// A pass needs proof that the canary is not worse, not only that nothing was found.
    package var needsProof: Bool

    package init(
        failureWords: String = "failed", test: SequentialTest, minimumRatio: Double? = nil, maximumRatio: Double? = nil,
        minimumSamples: Int, needsProof: Bool = false
    ) {
        self.failureWords = failureWords
        self.test = test
        self.minimumRatio = minimumRatio
        self.maximumRatio = maximumRatio
        self.minimumSamples = minimumSamples
        self.needsProof = needsProof
    }

    /// - Parameters:
    ///   - run: counts since the start of the run, the ones that `test` has seen.
    ///   - step: counts since the start of the step.
    package func judge(metric: String, query: String?, run: CanaryCounts, step: CanaryCounts) -> Judgement {
        if test.showsHarm { return harm(metric, query, run) }
        if step.canaryRequests >= max(1, minimumSamples), let broken = brokenBound(metric, query, step) {
            return broken
        }
        if step.canaryRequests < minimumSamples {
            return answer(
                .insufficient(.fewSamples), metric, query, step,
                explanation:
                    "\(NumberText.count(step.canaryRequests, "canary request")) of \(minimumSamples) at this step",
                wouldChange: "\(minimumSamples - step.canaryRequests) more canary requests")
        }
        if needsProof, !test.provesSafe {
            return answer(
                .insufficient(.notProven), metric, query, run,
                explanation: "nothing speaks against the canary (\(tracks(run))), but odds of failure "
                    + "\(NumberText.significant(margin)) times the stable version's are not excluded yet",
                wouldChange: "more requests, or advanceOn: NoHarm")
        }
        return answer(
            .pass, metric, query, run,
            explanation: "\(tracks(run)): \(needsProof ? "proven not worse" : "nothing found against the canary")",
            wouldChange: detectable(run))
    }

    private var margin: Double { test.parameters.safeMargin * test.parameters.tolerance }

    private var rule: String {
        var text = "sequential comparison with stable, alpha \(NumberText.significant(test.parameters.alpha))"
        if test.parameters.tolerance > 1 { text += ", tolerance \(NumberText.significant(test.parameters.tolerance))" }
        if needsProof { text += ", proof against \(NumberText.significant(margin)) times the odds" }
        if let minimumRatio { text += "; ratio at least \(NumberText.significant(minimumRatio))" }
        if let maximumRatio { text += "; ratio at most \(NumberText.significant(maximumRatio))" }
        return text + "; at least \(NumberText.count(minimumSamples, "sample"))"
    }

    private func harm(_ metric: String, _ query: String?, _ run: CanaryCounts) -> Judgement {
        answer(
            .fail, metric, query, run,
            explanation: "\(tracks(run)): chance alone explains this with probability "
                + "\(Self.probability(test.logEValue)) at most",
            wouldChange: "a canary that fails no more often than stable"
                + (test.parameters.tolerance > 1 ? " times \(NumberText.significant(test.parameters.tolerance))" : ""))
    }

    private func brokenBound(_ metric: String, _ query: String?, _ step: CanaryCounts) -> Judgement? {
        guard let failures = step.canaryFailureRatio else { return nil }
        let ratio = 1 - failures
        let isLow = minimumRatio.map { ratio < $0 } ?? false
        guard isLow || maximumRatio.map({ ratio > $0 }) ?? false, let bound = isLow ? minimumRatio : maximumRatio else {
            return nil
        }
        var judgement = answer(
            .fail, metric, query, step,
            explanation: "\(step.canaryFailures) of \(NumberText.count(step.canaryRequests, "canary request")) "
                + "\(failureWords): the ratio \(NumberText.significant(ratio)) is \(isLow ? "below" : "above") the bound "
                + NumberText.significant(bound),
            wouldChange: "a ratio of \(isLow ? "at least" : "at most") \(NumberText.significant(bound))")
        judgement.bound = bound
        return judgement
    }

    private func answer(
        _ verdict: Verdict, _ metric: String, _ query: String?, _ counts: CanaryCounts, explanation: String,
        wouldChange: String
    ) -> Judgement {
        Judgement(
            verdict: verdict, metric: metric, query: query, canarySamples: counts.canaryRequests,
            stableSamples: counts.stableRequests, estimate: counts.canaryFailureRatio.map { 1 - $0 },
            bound: counts.stableFailureRatio.map { 1 - $0 }, rule: rule, explanation: explanation,
            wouldChange: wouldChange)
    }

    private func tracks(_ counts: CanaryCounts) -> String {
        let canary =
            "\(counts.canaryFailures) of \(NumberText.count(counts.canaryRequests, "canary request")) \(failureWords)"
            + (counts.canaryFailureRatio.map { " (\(NumberText.percent($0)))" } ?? "")
        guard let stable = counts.stableFailureRatio else { return canary }
        return canary + ", \(counts.stableFailures) of \(counts.stableRequests) stable (\(NumberText.percent(stable)))"
    }

    private func detectable(_ counts: CanaryCounts) -> String {
        guard let ratio = test.smallestDetectableRatio(for: counts) else {
            return "so few requests that not even a canary that fails all of them would have been seen by comparison"
        }
        return "a canary failure ratio of \(NumberText.percent(ratio)) or more would have been seen"
    }

    private static func probability(_ logEValue: Double) -> String {
        let digits = Int((logEValue / 2.302585092994046).rounded(.down))
        return digits < 1 ? "1" : digits > 9 ? "1e-9" : "1e-\(digits)"
    }
}

/// Judges a metric that is one number, held against bounds.
package struct ValueRule: Sendable, Hashable {
    package var minimum: Double?
    package var maximum: Double?
    package var minimumSamples: Int

    package init(minimum: Double? = nil, maximum: Double? = nil, minimumSamples: Int) {
        self.minimum = minimum
        self.maximum = maximum
        self.minimumSamples = minimumSamples
    }

    package var rule: String {
        let bounds = [
            minimum.map { "at least \(NumberText.significant($0))" },
            maximum.map { "at most \(NumberText.significant($0))" },
        ]
        return bounds.compactMap { $0 }.joined(separator: ", ")
            + " once \(NumberText.count(minimumSamples, "sample")) are in"
    }

    package func judge(metric: String, query: String?, value: Double, canarySamples: Int) -> Judgement {
        let isLow = minimum.map { value < $0 } ?? false
        let isHigh = maximum.map { value > $0 } ?? false
        let verdict: Verdict =
            canarySamples < minimumSamples ? .insufficient(.fewSamples) : isLow || isHigh ? .fail : .pass
        let bound = isLow ? minimum : isHigh ? maximum : minimum ?? maximum
        let explanation =
            verdict == .insufficient(.fewSamples)
            ? "\(NumberText.count(canarySamples, "canary request")) of \(minimumSamples) at this step"
            : "the value \(NumberText.significant(value)) is \(isLow ? "below" : isHigh ? "above" : "within") the bounds (\(rule))"
        return Judgement(
            verdict: verdict, metric: metric, query: query, canarySamples: canarySamples, estimate: value, bound: bound,
            rule: rule, explanation: explanation,
            wouldChange: verdict == .pass
                ? "a value outside the bounds"
                : verdict == .fail
                    ? "a value within the bounds" : "\(max(0, minimumSamples - canarySamples)) more canary requests")
    }
}
