/// The answer of a check. No data is never read as success, nor as failure.
package enum Verdict: Sendable, Hashable {
    case pass
    case fail
    case insufficient(Insufficiency)
}

/// Why a check has no answer. The raw value goes into messages and metrics.
package enum Insufficiency: String, Sendable, Hashable, CaseIterable {
    /// The source did not answer, or answered with an error.
    case sourceError = "SourceError"
    /// The answer has no series.
    case empty = "Empty"
    /// The answer is not a number.
    case notANumber = "NaN"
    /// The answer is infinite.
    case infinite = "Inf"
    /// The answer has several series, and choosing one would be arbitrary.
    case severalSeries = "SeveralSeries"
    /// The answer has the wrong type, or what was asked for cannot be measured.
    case unusable = "Unusable"
    /// Fewer requests than the step asks for.
    case fewSamples = "FewSamples"
    /// Nothing speaks against the canary, and it is not yet proven safe.
    case notProven = "NotProven"

    /// Waiting does not help the canary: the metrics' source is what is missing.
    package var isSourceProblem: Bool {
        switch self {
        case .sourceError, .empty, .notANumber, .infinite, .severalSeries, .unusable: true
        case .fewSamples, .notProven: false
        }
    }
}

/// A verdict with everything that a person needs to understand it.
package struct Judgement: Sendable, Hashable {
    package var verdict: Verdict
    package var metric: String
    package var query: String?
    package var canarySamples: Int?
    package var stableSamples: Int?
    /// In the metric's unit.
    package var estimate: Double?
    /// What the estimate is held against, in the metric's unit.
    package var bound: Double?
    /// The rule in words, with its parameters.
    package var rule: String
    /// One sentence with the numbers.
    package var explanation: String
    /// What would have changed the verdict.
    package var wouldChange: String

    package init(
        verdict: Verdict, metric: String, query: String? = nil, canarySamples: Int? = nil, stableSamples: Int? = nil,
        estimate: Double? = nil, bound: Double? = nil, rule: String, explanation: String, wouldChange: String
    ) {
        self.verdict = verdict
        self.metric = metric
        self.query = query
        self.canarySamples = canarySamples
        self.stableSamples = stableSamples
        self.estimate = estimate
        self.bound = bound
        self.rule = rule
        self.explanation = explanation
        self.wouldChange = wouldChange
    }
}
