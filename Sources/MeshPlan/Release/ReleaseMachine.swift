import FoundationEssentials
package import HeddleAPI
import KubeCore
import MeshEvidence

/// The release engine: from a Canary's spec, its status and the facts of one moment to the next status and actions.
///
/// A pure function. All that it remembers is in the status, so an operator that restarts goes on where it was. The phases
/// and their exits are in `CanaryPhase` and in docs/release.md. Rules that hold in every phase:
///
/// - traffic is never sent to a track without ready pods, in rollback too;
/// - `desiredWeightPercent` is the truth: the route is compared with it at every look and put right;
/// - every phase that waits has a deadline with a named exit, but for the ones that wait for a person;
/// - a change is consumed (`change.running`) only when its run has started;
/// - every decision leaves a record.
package struct ReleaseMachine {
    let spec: CanarySpec
    let input: ReleaseInput
    var status: CanaryStatus
    var actions: [ReleaseAction] = []
    /// Look again at once: a transition was made whose next step needs no waiting.
    var isHasty = false

    package static func decide(spec: CanarySpec, status: CanaryStatus, input: ReleaseInput) -> ReleaseDecision {
        var machine = ReleaseMachine(spec: spec, input: input, status: status)
        machine.run()
        machine.setConditions()
        return ReleaseDecision(
            status: machine.status, actions: machine.actions, requeueAfterSeconds: machine.requeueAfterSeconds)
    }

    /// Time that requests in flight get after the weight is 0 % before canary pods go, in seconds.
    static let drainSeconds = 5.0

    private mutating func run() {
        status.observedGeneration = input.generation
        guard let deployment = input.deployment else { return targetIsMissing() }
        if let conflict = input.conflict { return targetIsTaken(conflict, deployment) }
        adoptHashVersion(deployment)
        status.stableReadyPods = stableReady(deployment)
        status.canaryReadyPods = status.phase.isRunning ? canaryReady(deployment) : nil
        if spec.paused, status.phase.isRunning, status.phase != .rollingBack, input.abort != status.runId {
            keepTraffic(deployment)
            status.deadlineAt = nil
            return hold(.paused, "Paused by spec.paused at \(status.desiredWeightPercent) %; nothing is judged.")
        }
        switch status.phase {
        case .idle, .waitingForPhase, .succeeded, .rolledBack, .failed: rest(deployment)
        case .starting: starting(deployment)
        case .progressing: progressing(deployment)
        case .promoting: promoting(deployment)
        case .baking: baking(deployment)
        case .rollingBack: rollingBack(deployment)
        }
    }

    // MARK: Facts

    /// The track that serves as stable: the one that the status names, else the one with most ready pods among those that
    /// do not run the change.
    func stableTrack(_ deployment: DeploymentFacts) -> TrackFacts? {
        if let hash = status.stableHash, let track = deployment.tracks.first(where: { $0.hash == hash }) {
            return track
        }
        let running = status.change.running
        return deployment.tracks.filter { $0.change != running }.max { ($0.ready, $0.hash) < ($1.ready, $1.hash) }
    }

    func stableReady(_ deployment: DeploymentFacts) -> Int {
        guard status.phase.isRunning, let hash = status.stableHash else { return stableTrack(deployment)?.ready ?? 0 }
        return deployment.tracks.first { $0.hash == hash }?.ready ?? 0
    }

    /// Pods of the user's own Deployment that run the change: there after promotion, or when it rolled unasked.
    func promotedPods(_ deployment: DeploymentFacts) -> (desired: Int, ready: Int) {
        guard let running = status.change.running else { return (0, 0) }
        let tracks = deployment.tracks.filter { $0.change == running && $0.hash != status.stableHash }
        return (tracks.reduce(0) { $0 + $1.desired }, tracks.reduce(0) { $0 + $1.ready })
    }

    /// Ready pods that the canary subset selects, by its `pod-template-hash`.
    func canaryReady(_ deployment: DeploymentFacts) -> Int {
        guard let hash = status.canaryHash else { return 0 }
        let own = input.canary.map { $0.hash == hash ? $0.ready : 0 } ?? 0
        return own
            + deployment.tracks.filter { $0.hash == hash && $0.hash != status.stableHash }.reduce(0) { $0 + $1.ready }
    }

    // MARK: Holding

    /// Stays in the phase, unless its deadline has passed: then its exit is taken.
    mutating func hold(_ wait: CanaryWait?, _ message: String) {
        status.waitingFor = wait
        status.message = message
    }

    func isPastDeadline() -> Bool { status.deadlineAt.map { input.now >= $0 } ?? false }

    /// Sets the deadline of the phase or step if there is none, as after a pause.
    mutating func armDeadline(_ duration: GoDuration) {
        if status.deadlineAt == nil { status.deadlineAt = input.now.adding(duration) }
    }

    mutating func enter(_ phase: CanaryPhase, deadline: GoDuration?) {
        status.phase = phase
        status.phaseStartedAt = input.now
        status.deadlineAt = deadline.map { input.now.adding($0) }
        status.deadlineExtended = false
        status.waitingFor = nil
        status.stepStartedAt = nil
        isHasty = true
    }

    mutating func event(_ reason: ConditionReason, isWarning: Bool = false, _ message: String) {
        actions.append(.event(reason, isWarning: isWarning, message: message))
    }

    private var requeueAfterSeconds: Double? {
        if isHasty { return 0.2 }
        guard status.phase.isRunning else { return actions.isEmpty ? nil : 1 }
        let look = max(0.5, spec.analysis.interval.seconds)
        guard let deadline = status.deadlineAt else { return look }
        return min(look, max(0.2, deadline.seconds(since: input.now)))
    }

    // MARK: What ends every run

    private mutating func targetIsMissing() {
        let message = "Deployment \(spec.targetRef.name) does not exist. Create it, or correct spec.targetRef.name."
        if status.phase.isRunning {
            record(.missing, verdict: .fail, action: "Stop", rule: "the target exists", explanation: message)
            forgetRun()
        }
        if status.phase != .failed { event(.targetNotFound, isWarning: true, message) }
        if input.canary != nil { actions.append(.deleteCanary) }
        if input.route.split != nil { actions.append(.removeSplit) }
        status.phase = .failed
        hold(nil, message)
    }

    private mutating func targetIsTaken(_ conflict: String, _ deployment: DeploymentFacts) {
        if status.phase == .rollingBack { return rollingBack(deployment) }
        if status.phase.isRunning { return rollBack(deployment, rejecting: false, .conflict, conflict) }
        if status.phase != .failed { event(.targetConflict, isWarning: true, conflict) }
        status.phase = .failed
        hold(nil, conflict)
    }

    mutating func forgetRun() {
        status.change.running = nil
        status.step = nil
        status.deadlineAt = nil
        status.deadlineExtended = false
        status.stepStartedAt = nil
        status.waitingFor = nil
        status.desiredWeightPercent = 0
        status.observedWeightPercent = nil
        status.canaryReadyPods = nil
    }

    /// After an upgrade that changed the rules of the hash, hashes in the status are replaced by today's of the same
    /// template, where it can be told from what runs. So an upgrade starts no run.
    private mutating func adoptHashVersion(_ deployment: DeploymentFacts) {
        func isOld(_ hash: String?) -> Bool { hash.map { !ChangeHash.isCurrent($0) } ?? false }
        if isOld(status.change.running) {
            status.change.running = input.canary?.change ?? deployment.changeHash
        }
        if isOld(status.change.promoted) {
            status.change.promoted = stableTrack(deployment)?.change ?? deployment.changeHash
        }
        if isOld(status.change.rejected) {
            status.change.rejected = deployment.changeHash == status.change.promoted ? nil : deployment.changeHash
        }
    }
}
