import FoundationEssentials
import HeddleAPI
import KubeCore
import MeshEvidence

extension ReleaseMachine {
    /// Starts the way back, and takes its first step at once.
    /// - Parameters:
    ///   - rejecting: the change is at fault; otherwise it was withdrawn or superseded, and may run again.
    ///   - aspect: what the record is about; nil when the deciding metric's record is there already.
    mutating func rollBack(_ deployment: DeploymentFacts, rejecting: Bool, _ aspect: Aspect?, _ message: String) {
        if let aspect {
            record(
                aspect, verdict: rejecting ? .fail : .insufficient, action: rejecting ? "RollBack" : "Withdraw",
                rule: "a run ends at 0 %", explanation: message)
        }
        if rejecting { status.change.rejected = status.change.running }
        let reason: ConditionReason =
            switch aspect {
            case nil: .metricFailed
            case .deadline: .deadlineExceeded
            case .person: .aborted
            case .conflict: .targetConflict
            case .change: deployment.changeHash == status.change.promoted ? .noChange : .superseded
            default: .rolledBack
            }
        event(reason, isWarning: rejecting, message)
        enter(.rollingBack, deadline: spec.progressDeadline)
        status.message = message
        rollingBack(deployment)
    }

    /// The change of the run was found at fault.
    private var isRejected: Bool { status.change.rejected != nil && status.change.rejected == status.change.running }

    /// 0 % at once; then requests in flight end, canary pods go, and at last the split.
    ///
    /// After promotion the old pods may be gone: then the Deployment rolls to the stable template first, and weight moves
    /// back only as fast as stable pods are ready.
    mutating func rollingBack(_ deployment: DeploymentFacts) {
        armDeadline(spec.progressDeadline)
        if deployment.desiredReplicas == 0 {
            openRoute()
            return removeCanary(deployment)
        }
        let promoted = promotedPods(deployment)
        let mustRestore = promoted.desired > 0 && deployment.changeHash == status.change.running
        if mustRestore, let hash = status.stableHash {
            actions.append(.restoreStableTemplate(stableHash: hash))
        }
        let isRestoring = promoted.desired > 0 && (mustRestore || deployment.changeHash == status.change.promoted)
        guard moveTraffic(deployment, isRestoring: isRestoring) else {
            return isPastDeadline() ? giveUpWaiting(deployment) : ()
        }
        if isRestoring {
            if isPastDeadline() { return giveUpWaiting(deployment) }
            status.waitingFor = .stablePods
            return
        }
        guard let drained = status.stepStartedAt else {
            status.stepStartedAt = input.now
            return
        }
        guard input.now.seconds(since: drained) >= Self.drainSeconds else { return }
        removeCanary(deployment)
    }

    /// True when no split sends anything to the canary, and all proxies know.
    private mutating func moveTraffic(_ deployment: DeploymentFacts, isRestoring: Bool) -> Bool {
        let ready = stableReady(deployment)
        if input.route.split == nil, input.canary == nil {
            // Never split, or split no more: Kubernetes moves what traffic there is with the pods.
            status.desiredWeightPercent = 0
            return true
        }
        guard ready > 0 else {
            openRoute()
            status.waitingFor = .stablePods
            // Superseded after promotion: the Deployment's own pods of the superseded version serve, and are sound.
            let isServed = !isRestoring && !isRejected && promotedPods(deployment).ready > 0
            if isServed { status.desiredWeightPercent = 0 }
            return isServed && input.route.split == nil
        }
        // Half of the stable pods carry all traffic sooner than a bad version keeps some of it.
        let held = 100 * ready / max(1, deployment.desiredReplicas)
        let weight = held >= 50 ? 0 : min(status.desiredWeightPercent, 100 - held)
        let state = route(deployment, weight: weight)
        status.waitingFor = state == .confirmed ? nil : .observedSplit
        return state == .confirmed && weight == 0
    }

    private mutating func removeCanary(_ deployment: DeploymentFacts) {
        if let canary = input.canary {
            if !canary.isBeingDeleted { actions.append(.deleteCanary) }
            return isPastDeadline() ? finish(deployment) : ()
        }
        if input.route.split != nil {
            actions.append(.removeSplit)
            return isPastDeadline() ? finish(deployment) : ()
        }
        finish(deployment)
    }

    /// The named exit of a rollback that cannot complete: what serves goes on serving, and a person is told.
    private mutating func giveUpWaiting(_ deployment: DeploymentFacts) {
        guard stableReady(deployment) == 0 else { return finish(deployment) }
        let message =
            "The stable version has no ready pods: traffic goes to any pod that is ready, canary pods included. "
            + "Repair the stable pods; the canary is then removed."
        openRoute()
        record(
            .deadline, verdict: .fail, action: "Fail", rule: "no traffic to a track without ready pods",
            explanation: message)
        event(.notReady, isWarning: true, message)
        forgetRun()
        enter(.failed, deadline: nil)
        hold(.stablePods, message)
    }

    private mutating func finish(_ deployment: DeploymentFacts) {
        let rejected = isRejected
        let seconds = status.phaseStartedAt.map { input.now.seconds(since: $0) } ?? 0
        let why = status.message ?? ""
        record(
            .change, verdict: rejected ? .fail : .insufficient, action: rejected ? "RolledBack" : "Ended",
            rule: "0 % and the canary gone", explanation: "after \(NumberText.seconds(seconds)): \(why)")
        if rejected { event(.rolledBack, isWarning: true, "Rolled back. \(why)") }
        forgetRun()
        enter(rejected ? .rolledBack : .idle, deadline: nil)
        hold(nil, rejected ? "Rolled back: \(why) \(Self.rolledBackAdvice)" : why)
    }
}
