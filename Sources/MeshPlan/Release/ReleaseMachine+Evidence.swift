import FoundationEssentials
import HeddleAPI
import KubeCore
import MeshEvidence

extension ReleaseMachine {
    /// A metric with its verdict.
    struct Judged {
        var metric: CanaryMetric
        var judgement: Judgement
    }

    // MARK: Taking in what was read

    /// Adds this look's readings to the evidence. An interval that overlaps one that was taken in already is left out,
    /// so that repeating a look counts nothing twice.
    mutating func ingest() {
        if let traffic = input.traffic, let started = status.stepStartedAt, traffic.from >= started.seconds {
            status.stepTraffic.canaryRequests += traffic.canary.requests
            status.stepTraffic.canaryFailures += traffic.canary.failures
            status.stepTraffic.stableRequests += traffic.stable.requests
            status.stepTraffic.stableFailures += traffic.stable.failures
            let total = status.stepTraffic.canaryRequests + status.stepTraffic.stableRequests
            if total > 0 {
                status.observedWeightPercent = 100 * Double(status.stepTraffic.canaryRequests) / Double(total)
            }
        }
        let old = status.evidence
        status.evidence = spec.analysis.metrics.map { metric in
            old.first { $0.metric == metric.name } ?? MetricEvidence(metric: metric.name)
        }
        for index in status.evidence.indices {
            switch input.metrics[status.evidence[index].metric] {
            case .counts(let reading, _): take(reading, at: index)
            case .value(let value, _):
                status.evidence[index].value = value
                status.evidence[index].problem = nil
                status.evidence[index].lastSampleAt = input.now
            case .problem(let problem, _):
                status.evidence[index].problem = "\(problem.kind.rawValue): \(problem.message)"
            case nil: break
            }
        }
    }

    private mutating func take(_ reading: TrackReading, at index: Int) {
        var evidence = status.evidence[index]
        defer { status.evidence[index] = evidence }
        evidence.problem = nil
        if let last = evidence.lastSampleAt, reading.from < last.seconds - 0.001 { return }
        evidence.lastSampleAt = Timestamp(seconds: reading.to)
        var canary = reading.canary
        // Once all traffic is on the new version there is no split: what is counted is the new version.
        if status.phase == .promoting || status.phase == .baking { canary += reading.unsplit }
        guard
            let counts = CanaryCounts(
                canaryRequests: canary.requests, canaryFailures: canary.failures,
                stableRequests: reading.stable.requests,
                stableFailures: reading.stable.failures)
        else { return }
        evidence.counts.add(counts)
        if status.phase != .progressing || status.stepStartedAt.map({ reading.from >= $0.seconds }) ?? false {
            evidence.stepCounts.add(counts)
        }
        var test = sequentialTest(evidence)
        test.observe(counts)
        evidence.intervals = test.state.intervals
        evidence.logSums = test.state.logSums
        evidence.restartLogSums = test.state.restartLogSums
        evidence.safeLogSums = [test.state.safeLogSum]
    }

    private func sequentialTest(_ evidence: MetricEvidence) -> SequentialTest {
        let compared = spec.analysis.metrics.filter { $0.critical && $0.kind != .query }.count
        return SequentialTest(
            parameters: .init(alpha: spec.analysis.alpha, tolerance: spec.analysis.tolerance).sharing(over: compared),
            state: .init(
                intervals: evidence.intervals, logSums: evidence.logSums, restartLogSums: evidence.restartLogSums,
                safeLogSums: evidence.safeLogSums))
    }

    func splitCheck(_ weight: Int) -> SplitCheck {
        SplitCheck(
            canaryRequests: status.stepTraffic.canaryRequests, stableRequests: status.stepTraffic.stableRequests,
            desiredPercent: weight)
    }

    // MARK: Judging

    func judge(minimumSamples: Int) -> [Judged] {
        spec.analysis.metrics.compactMap { metric in
            status.evidence.first { $0.metric == metric.name }.map {
                Judged(metric: metric, judgement: judgement(metric, $0, minimumSamples))
            }
        }
    }

    private func judgement(_ metric: CanaryMetric, _ evidence: MetricEvidence, _ minimumSamples: Int) -> Judgement {
        let query = query(of: metric)
        let judgement: Judgement
        if metric.kind == .query {
            let rule = ValueRule(
                minimum: metric.thresholdRange?.min, maximum: metric.thresholdRange?.max, minimumSamples: minimumSamples
            )
            guard evidence.problem == nil, let value = evidence.value else {
                return missing(metric, evidence, rule.rule)
            }
            judgement = rule.judge(
                metric: metric.name, query: query, value: value, canarySamples: status.stepTraffic.canaryRequests)
        } else {
            let rule = ComparisonRule(
                failureWords: metric.kind == .latency
                    ? "were slower than \(metric.latencyBound?.description ?? "the bound")" : "failed",
                test: sequentialTest(evidence), minimumRatio: metric.thresholdRange?.min,
                maximumRatio: metric.thresholdRange?.max, minimumSamples: minimumSamples,
                needsProof: spec.analysis.advanceOn == .provenSafe)
            judgement = rule.judge(
                metric: metric.name, query: query, run: evidence.counts.checked, step: evidence.stepCounts.checked)
            if judgement.verdict != .fail, evidence.problem != nil { return missing(metric, evidence, judgement.rule) }
        }
        return judgement
    }

    private func missing(_ metric: CanaryMetric, _ evidence: MetricEvidence, _ rule: String) -> Judgement {
        let problem = evidence.problem ?? "\(Insufficiency.empty.rawValue): nothing was read yet"
        let kind = Insufficiency.allCases.first { problem.hasPrefix($0.rawValue + ":") } ?? .sourceError
        let words = problem.firstIndex(of: " ").map { String(problem[problem.index(after: $0)...]) } ?? problem
        return Judgement(
            verdict: .insufficient(kind), metric: metric.name, query: query(of: metric),
            canarySamples: metric.kind == .query
                ? status.stepTraffic.canaryRequests : evidence.stepCounts.canaryRequests,
            rule: rule, explanation: words, wouldChange: "an answer of the metrics source")
    }

    private func query(of metric: CanaryMetric) -> String? {
        switch input.metrics[metric.name] {
        case .counts(_, let query), .value(_, let query), .problem(_, let query): query
        case nil: metric.query
        }
    }

    // MARK: Acting on it

    /// Rolls back on the first critical metric that fails: at once, on the observation that decides.
    mutating func rollBackOnHarm(_ deployment: DeploymentFacts, _ judgements: [Judged]) -> Bool {
        guard let failed = judgements.first(where: { $0.metric.critical && $0.judgement.verdict == .fail }) else {
            return false
        }
        record(failed, action: "RollBack")
        rollBack(
            deployment, rejecting: true, nil,
            "\(failed.metric.name) fails at \(stepName.lowercased()): \(failed.judgement.explanation).")
        return true
    }

    /// Applies the policy for evidence that does not suffice. True: the step holds, or the run was rolled back.
    mutating func holdsForEvidence(_ deployment: DeploymentFacts, _ judgements: [Judged], minimumSamples: Int) -> Bool {
        var open: [(judged: Judged, policy: InsufficientEvidencePolicy)] = []
        for judged in judgements where judged.metric.critical {
            guard case .insufficient(let why) = judged.judgement.verdict else { continue }
            let policy = judged.metric.onInsufficientEvidence ?? spec.analysis.onInsufficientEvidence
            // A source that is away says nothing about the canary: only time may decide then.
            open.append((judged, why.isSourceProblem && policy != .extend ? .hold : policy))
        }
        if judgements.isEmpty, status.stepTraffic.canaryRequests < minimumSamples {
            holdOrRollBack(
                deployment, .samples, .duration,
                "\(stepName): \(status.stepTraffic.canaryRequests) of \(NumberText.count(minimumSamples, "canary request"))."
            )
            return true
        }
        if let (judged, _) = open.first(where: { $0.policy == .fail }) {
            record(judged, action: "RollBack")
            rollBack(
                deployment, rejecting: true, nil,
                "\(judged.metric.name) lacks evidence, which its policy takes as a failure: \(judged.judgement.explanation)."
            )
            return true
        }
        guard let (judged, _) = open.first(where: { $0.policy != .pass }) else { return false }
        if isPastDeadline() {
            if open.contains(where: { $0.policy == .extend }), !status.deadlineExtended {
                status.deadlineExtended = true
                status.deadlineAt = input.now.adding(currentStep?.deadline ?? spec.stepDeadline)
                record(judged, action: "Extend")
            } else {
                record(judged, action: "RollBack")
                rollBack(
                    deployment, rejecting: true, nil,
                    "\(stepName): the deadline has passed without enough evidence for \(judged.metric.name): "
                        + "\(judged.judgement.explanation).")
                return true
            }
        }
        let wait = Self.wait(for: judged.judgement.verdict)
        // Only when it begins: a look that finds the same again writes nothing.
        if status.waitingFor != wait { record(judged, action: "Hold") }
        hold(
            wait,
            "\(stepName) holds for \(judged.metric.name): \(judged.judgement.explanation).")
        return true
    }

    private static func wait(for verdict: Verdict) -> CanaryWait {
        switch verdict {
        case .insufficient(.fewSamples): .samples
        case .insufficient(let why) where why.isSourceProblem: .metricsSource
        default: .evidence
        }
    }
}

extension Timestamp {
    init(seconds: Double) {
        self.init(Date(timeIntervalSince1970: seconds))
    }

    /// Since 1970.
    var seconds: Double { Double(milliseconds) / 1000 }
}

extension TrackCounts {
    mutating func add(_ counts: CanaryCounts) {
        canaryRequests += counts.canaryRequests
        canaryFailures += counts.canaryFailures
        stableRequests += counts.stableRequests
        stableFailures += counts.stableFailures
    }

    /// Counts that were tampered with count as none.
    var checked: CanaryCounts {
        CanaryCounts(
            canaryRequests: canaryRequests, canaryFailures: canaryFailures, stableRequests: stableRequests,
            stableFailures: stableFailures) ?? .zero
    }
}
