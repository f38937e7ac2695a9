package import HeddleAPI
import KubeCore
import MeshEvidence

/// The adoption engine: from an Adoption's spec, its status and the facts of one moment to the next status and actions.
///
/// A pure function; all that it remembers is in the status. Rules that hold in every phase:
///
/// - a workload is restarted only when it is healthy and its update strategy keeps its Service available;
/// - what undoes a change is in the status before the change is made;
/// - no gate is passed for lack of data;
/// - a change that does harm is undone, and tried again only after a backoff that doubles.
package struct AdoptionMachine {
    let spec: AdoptionSpec
    let input: AdoptionInput
    let facts: [String: WorkloadFacts]
    let exemptions: PlaintextExemptions
    var status: AdoptionStatus
    var actions: [AdoptionAction] = []
    /// What holds the phase, found at this look.
    var blockers: [Blocker] = []
    /// A change is under way: gates are not judged.
    var isChanging = false
    /// A change did harm and was undone at this look.
    var hasSteppedBack = false

    package static func decide(spec: AdoptionSpec, status: AdoptionStatus, input: AdoptionInput) -> AdoptionDecision {
        var machine = AdoptionMachine(spec: spec, status: status, input: input)
        machine.run()
        machine.setConditions()
        return AdoptionDecision(
            status: machine.status, actions: machine.actions, requeueAfterSeconds: machine.requeueAfterSeconds)
    }

    init(spec: AdoptionSpec, status: AdoptionStatus, input: AdoptionInput) {
        self.spec = spec
        self.input = input
        self.status = status
        facts = Dictionary(input.workloads.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        exemptions = PlaintextExemptions(spec.exceptions, at: input.now)
    }

    private mutating func run() {
        let isNewSpec = status.observedGeneration != input.generation
        status.observedGeneration = input.generation
        measure()
        takeInWorkloads(isNewSpec: isNewSpec)
        if spec.paused {
            status.state = .paused
            status.gatesHeldSince = nil
            status.message = "Paused by spec.paused in phase \(status.phase.rawValue)."
            return
        }
        if spec.targetPhase < status.phase { stepDown() }
        removeStrayPolicies()
        switch status.phase {
        case .pending: begin()
        case .observe:
            meshWorkloads()
            judgeObserve()
        case .strict:
            meshWorkloads()
            makeStrict()
        case .resilience:
            meshWorkloads()
            keepStrict()
            judgeResilience()
        case .traffic:
            meshWorkloads()
            keepStrict()
            judgeRegressions()
        }
        if status.phase != .pending { conclude() }
    }

    private mutating func begin() {
        guard !input.workloads.isEmpty else {
            status.state = .progressing
            status.message = "No Deployment in the namespace matches the selector."
            return
        }
        guard isApproved(.observe) else {
            status.state = .awaitingApproval
            status.message = "Set spec.approvedPhase to Observe to begin."
            return
        }
        enter(.observe)
    }

    // MARK: Workloads

    private mutating func takeInWorkloads(isNewSpec: Bool) {
        let gone = status.workloads.filter { facts[$0.name] == nil }
        for workload in gone where workload.mtls == .strict {
            removePolicy(PeerPolicyIntent.name(workload: workload.name))
        }
        let old = status.workloads
        status.workloads = input.workloads.sorted { $0.name < $1.name }.map { fact in
            var workload = old.first { $0.name == fact.name } ?? WorkloadStatus(name: fact.name)
            workload.podsMeshed = fact.podsMeshed
            workload.podsTotal = fact.podsTotal
            if isNewSpec {
                workload.attempts = 0
                // One that still has to be put back keeps its state until it is.
                if workload.state == .failed, fact.restartMark == nil { workload.state = .notMeshed }
            }
            if workload.state == .notMeshed, fact.isMeshed, fact.isHealthy {
                workload.state = workload.mtls == .strict ? .strict : .meshed
                workload.message = nil
            } else if [.meshed, .strict].contains(workload.state), fact.isRolloutComplete,
                fact.podsMeshed < fact.podsTotal
            {
                workload.state = .notMeshed
                workload.message = "\(fact.podsTotal - fact.podsMeshed) of its pods run without a sidecar."
            }
            return workload
        }
    }

    mutating func update(_ name: String, _ change: (inout WorkloadStatus) -> Void) {
        guard let index = status.workloads.firstIndex(where: { $0.name == name }) else { return }
        change(&status.workloads[index])
    }

    /// Seconds between two writes of measurements: numbers that move a little at each look are not worth one.
    private static let measurementSeconds = 5.0

    private mutating func measure() {
        if let last = status.measurements.at, input.now.seconds(since: last) < Self.measurementSeconds { return }
        var now = status.measurements
        now.at = input.now
        now.addedLatencyP50Ms = input.addedLatencyP50Ms ?? now.addedLatencyP50Ms
        now.addedLatencyP99Ms = input.addedLatencyP99Ms ?? now.addedLatencyP99Ms
        now.proxyMemoryBytes = input.proxyMemoryBytes ?? now.proxyMemoryBytes
        now.mutualTLSRequests = input.requests?.mutualTLS
        now.plaintextRequests = input.requests?.plaintext
        now.errorRatio = input.errorRatio
        now.latencyP99Ms = input.latencyP99Ms
        now.retryAmplification = input.retryAmplification
        now.tracesReceived = input.tracesReceived ?? now.tracesReceived
        now.certificateNotAfter = input.workloads.compactMap(\.certificateNotAfter).min()
        // At the target nothing is decided by small moves, and a namespace at rest is not worth a write.
        if status.state == .complete, !now.differsNotably(from: status.measurements) { return }
        status.measurements = now
    }

    // MARK: Phases

    mutating func enter(_ phase: AdoptionPhase) {
        let old = status.phase
        status.phase = phase
        status.phaseStartedAt = input.now
        status.gatesHeldSince = nil
        status.state = .progressing
        if phase == .resilience {
            status.measurements.errorRatioBaseline = input.errorRatio
            status.measurements.latencyP99BaselineMs = input.latencyP99Ms
        }
        status.message = "Phase \(phase.rawValue) starts."
        record(
            "phase \(old.rawValue)", .allMeshed, .pass, action: "Advance", rule: "all gates held for the soak",
            "phase \(phase.rawValue) starts")
        actions.append(
            .event(
                .phaseAdvanced, isWarning: false, message: "Phase \(old.rawValue) is done; \(phase.rawValue) starts."))
    }

    /// The target was lowered: what the higher phases changed is undone.
    private mutating func stepDown() {
        if status.phase >= .strict, spec.targetPhase < .strict { undoStrict() }
        record(
            "phase \(status.phase.rawValue)", .approval, .pass, action: "StepDown",
            rule: "spec.targetPhase was lowered",
            "back to \(spec.targetPhase.rawValue)")
        status.phase = spec.targetPhase
        status.phaseStartedAt = input.now
        status.gatesHeldSince = nil
        status.state = .progressing
    }

    func isApproved(_ phase: AdoptionPhase) -> Bool {
        spec.approval == .automatic || (spec.approvedPhase.map { $0 >= phase } ?? false)
    }

    private var soak: GoDuration {
        switch status.phase {
        case .pending: "0s"
        case .observe: spec.observe.soak
        case .strict: spec.strict.soak
        case .resilience: spec.resilience.soak
        case .traffic: spec.traffic.soak
        }
    }

    /// Blocked, soaking, waiting for approval, advancing or complete: by what this look found.
    private mutating func conclude() {
        if let limit = spec.phaseDeadline, status.state != .complete, let started = status.phaseStartedAt,
            input.now >= started.adding(limit)
        {
            block(.deadline, "Phase \(status.phase.rawValue) takes longer than \(limit).")
        }
        let old = status.blockers
        status.blockers = blockers.map { blocker in
            var blocker = blocker
            blocker.since = old.first { $0.isSame(as: blocker) }?.since ?? blocker.since
            return blocker
        }
        if hasSteppedBack {
            status.gatesHeldSince = nil
            status.state = .steppedBack
            return
        }
        if let first = blockers.first {
            if status.state != .blocked { announceBlock(first) }
            status.gatesHeldSince = nil
            status.state = .blocked
            status.message = blockers.count == 1 ? first.message : "\(first.message) (and \(blockers.count - 1) more)"
            return
        }
        if isChanging {
            status.gatesHeldSince = nil
            if status.state != .steppedBack { status.state = .progressing }
            return
        }
        settle()
    }

    private mutating func settle() {
        let since = status.gatesHeldSince ?? input.now
        status.gatesHeldSince = since
        let left = soak.seconds - input.now.seconds(since: since)
        if left > 0, status.state != .complete || spec.targetPhase > status.phase {
            status.state = .soaking
            status.message = "All gates of \(status.phase.rawValue) hold; \(NumberText.seconds(left)) of the soak left."
            return
        }
        guard spec.targetPhase > status.phase, let next = status.phase.next else {
            if status.state != .complete {
                record(
                    "phase \(status.phase.rawValue)", .allMeshed, .pass, action: "Complete",
                    rule: "all gates held for \(soak)", "the target is reached")
                actions.append(
                    .event(
                        .phaseComplete, isWarning: false,
                        message: "The target phase \(status.phase.rawValue) is reached."))
            }
            status.state = .complete
            status.message = "The target phase \(status.phase.rawValue) is reached."
            return
        }
        guard isApproved(next) else {
            if status.state != .awaitingApproval {
                record(
                    "phase \(status.phase.rawValue)", .approval, .insufficient, action: "Wait",
                    rule: "approval: Manual", "set spec.approvedPhase to \(next.rawValue)")
            }
            status.state = .awaitingApproval
            status.message = "\(status.phase.rawValue) is done; set spec.approvedPhase to \(next.rawValue) to go on."
            return
        }
        enter(next)
    }

    private var requeueAfterSeconds: Double? {
        switch status.state {
        case .paused: nil
        case .complete, .awaitingApproval: 30
        default: 2
        }
    }
}

extension Blocker {
    fileprivate func isSame(as other: Blocker) -> Bool {
        gate == other.gate && workload == other.workload && client == other.client && port == other.port
    }
}
