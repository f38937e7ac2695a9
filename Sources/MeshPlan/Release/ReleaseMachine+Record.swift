import HeddleAPI
import KubeCore
import MeshEvidence

extension ReleaseMachine {
    /// What a decision is about when it is not about a metric.
    enum Aspect: String {
        case change, pods, route, duration, deadline, person, missing, conflict
    }

    mutating func record(
        _ aspect: Aspect, verdict: DecisionRecord.Verdict, action: String, rule: String, explanation: String
    ) {
        status.decisions.record(
            DecisionRecord(
                at: input.now, subject: subject, metric: aspect.rawValue, rule: rule, verdict: verdict, action: action,
                explanation: explanation))
    }

    mutating func record(_ judged: Judged, action: String) {
        status.decisions.record(DecisionRecord(judged.judgement, subject: subject, action: action, at: input.now))
    }

    private var subject: String {
        switch status.phase {
        case .progressing: stepName.prefix(1).lowercased() + stepName.dropFirst()
        default: "phase \(status.phase.rawValue)"
        }
    }

    mutating func setConditions() {
        let trouble: ConditionReason? =
            switch status.phase {
            case .rolledBack: .rolledBack
            case .waitingForPhase: .waitingForPhase
            case .failed:
                input.deployment == nil ? .targetNotFound : input.conflict != nil ? .targetConflict : .notReady
            default: nil
            }
        let progress: ConditionReason =
            switch status.phase {
            case .idle: .noChange
            case .waitingForPhase: .waitingForPhase
            case .starting: .runStarted
            case .progressing: status.waitingFor == nil ? .stepAdvanced : .stepHeld
            case .promoting: .promoting
            case .baking: .baking
            case .rollingBack, .rolledBack: .rolledBack
            case .succeeded: .succeeded
            case .failed: trouble ?? .notReady
            }
        set(.ready, trouble == nil, trouble ?? .ready)
        set(.progressing, status.phase.isRunning, progress)
    }

    private mutating func set(_ type: HeddleCondition, _ holds: Bool, _ reason: ConditionReason) {
        status.conditions.set(
            Condition(
                type: type.rawValue, status: holds ? .true : .false, reason: reason.rawValue,
                message: status.message ?? status.phase.rawValue, observedGeneration: input.generation),
            at: input.now.date)
    }
}

extension DecisionRecord {
    /// The record of a metric's judgement.
    init(_ judgement: Judgement, subject: String, action: String, at: Timestamp) {
        let verdict: DecisionRecord.Verdict =
            switch judgement.verdict {
            case .pass: .pass
            case .fail: .fail
            case .insufficient: .insufficient
            }
        self.init(
            at: at, subject: subject, metric: judgement.metric, query: judgement.query,
            n: judgement.canarySamples.map { Samples(canary: $0, stable: judgement.stableSamples) },
            estimate: judgement.estimate, bound: judgement.bound, rule: judgement.rule, verdict: verdict,
            action: action,
            wouldChange: judgement.wouldChange, explanation: judgement.explanation)
    }
}
