import HeddleAPI
import KubeCore
import MeshEvidence

extension AdoptionMachine {
    mutating func block(
        _ gate: AdoptionGate, workload: String? = nil, client: String? = nil, port: Int? = nil, count: Int? = nil,
        _ message: String
    ) {
        blockers.append(
            Blocker(
                gate: gate, workload: workload, client: client, port: port, count: count, message: message,
                since: input.now))
    }

    mutating func announceBlock(_ blocker: Blocker) {
        record(
            blocker.workload.map { "workload \($0)" } ?? "phase \(status.phase.rawValue)", blocker.gate, .insufficient,
            action: "Hold", rule: "gate \(blocker.gate.rawValue)", blocker.message)
        actions.append(.event(.blocked, isWarning: true, message: blocker.message))
    }

    mutating func record(
        _ subject: String, _ gate: AdoptionGate, _ verdict: DecisionRecord.Verdict, action: String, rule: String,
        _ explanation: String
    ) {
        status.decisions.record(
            DecisionRecord(
                at: input.now, subject: subject, metric: gate.rawValue, rule: rule, verdict: verdict, action: action,
                explanation: explanation))
    }

    mutating func setConditions() {
        let reason: ConditionReason =
            switch status.state {
            case .progressing: input.workloads.isEmpty ? .noWorkloads : .phaseInProgress
            case .blocked: blockers.contains { $0.gate == .deadline } ? .phaseStuck : .blocked
            case .soaking: .soaking
            case .awaitingApproval: .awaitingApproval
            case .paused: .paused
            case .steppedBack: .steppedBack
            case .complete: .phaseComplete
            }
        let isProgressing = status.state == .progressing || status.state == .soaking
        set(.ready, status.state == .complete, status.state == .complete ? .ready : reason)
        set(.progressing, isProgressing, reason)
        set(
            .metricsAvailable, input.metricsProblem == nil,
            input.metricsProblem == nil ? .metricsAvailable : .metricsUnavailable)
    }

    private mutating func set(_ type: HeddleCondition, _ holds: Bool, _ reason: ConditionReason) {
        let message = type == .metricsAvailable ? input.metricsProblem ?? "Metrics are read." : status.message ?? ""
        status.conditions.set(
            Condition(
                type: type.rawValue, status: holds ? .true : .false, reason: reason.rawValue, message: message,
                observedGeneration: input.generation),
            at: input.now.date)
    }
}
