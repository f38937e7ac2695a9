/// One decision with its evidence: what was asked, what came back, which rule judged it, and what would have changed it.
package struct DecisionRecord: SchemaDescribed {
    package enum Verdict: String, Sendable, Codable, CaseIterable {
        case pass = "Pass"
        case fail = "Fail"
        case insufficient = "Insufficient"
    }

    /// Requests that the decision rests on, per track; a decision about one population uses `canary` only.
    package struct Samples: SchemaDescribed {
        package var canary: Int
        package var stable: Int?

        package init(canary: Int, stable: Int? = nil) {
            self.canary = canary
            self.stable = stable
        }
    }

    package var at: Timestamp
    /// What was judged: `step 2 (25 %)`, `workload cart`, `phase Strict`.
    package var subject: String
    /// The metric's or the gate's name.
    package var metric: String
    /// As it was sent to the metrics source; nil where no query was asked.
    package var query: String?
    package var n: Samples?
    /// The measured value, in the metric's unit.
    package var estimate: Double?
    /// What the estimate is held against, in the metric's unit.
    package var bound: Double?
    /// The rule in words, with its parameters.
    package var rule: String
    package var verdict: Verdict
    /// What Heddle did: `Hold`, `Advance`, `RollBack`, ...
    package var action: String
    /// What would have changed the decision.
    package var wouldChange: String?
    /// The decision in full sentences, for people: what was looked at, what it showed, what follows.
    package var explanation: String?

    package init(
        at: Timestamp, subject: String, metric: String, query: String? = nil, n: Samples? = nil,
        estimate: Double? = nil,
        bound: Double? = nil, rule: String, verdict: Verdict, action: String, wouldChange: String? = nil,
        explanation: String? = nil
    ) {
        self.at = at
        self.subject = subject
        self.metric = metric
        self.query = query
        self.n = n
        self.estimate = estimate
        self.bound = bound
        self.rule = rule
        self.verdict = verdict
        self.action = action
        self.wouldChange = wouldChange
        self.explanation = explanation
    }

    /// How many records a status keeps, newest last.
    package static let kept = 20
}

extension [DecisionRecord] {
    /// Appends a record and drops the oldest beyond `DecisionRecord.kept`. A record that says the same as the last one
    /// about its subject and metric (same verdict, action and rule) replaces it, so that holding does not push out what
    /// mattered.
    package mutating func record(_ decision: DecisionRecord) {
        if let index = lastIndex(where: { $0.subject == decision.subject && $0.metric == decision.metric }),
            self[index].verdict == decision.verdict, self[index].action == decision.action,
            self[index].rule == decision.rule
        {
            remove(at: index)
        }
        append(decision)
        if count > DecisionRecord.kept { removeFirst(count - DecisionRecord.kept) }
    }
}
