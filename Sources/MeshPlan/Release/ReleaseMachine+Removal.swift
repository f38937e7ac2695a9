package import HeddleAPI
import KubeCore

extension ReleaseMachine {
    /// The way out of a Canary that is being deleted: its run ends, and what it held or made goes, in the order that sends
    /// no request astray. Call it until `isRemoved`.
    ///
    /// A run before promotion goes back to 0 %; one whose Deployment rolls already is let through. Then the Deployment is
    /// resumed: a change that nobody found at fault rolls out as if there had never been a Canary. A rejected change does
    /// not: the template of the pods that serve is put back first.
    package static func decideRemoval(spec: CanarySpec, status: CanaryStatus, input: ReleaseInput) -> ReleaseDecision {
        var machine = ReleaseMachine(spec: spec, input: input, status: status)
        let isRemoved = machine.remove()
        machine.setConditions()
        var decision = ReleaseDecision(
            status: machine.status, actions: machine.actions,
            requeueAfterSeconds: isRemoved ? nil : machine.isHasty ? 0.2 : 1)
        decision.isRemoved = isRemoved
        return decision
    }

    private mutating func remove() -> Bool {
        status.observedGeneration = input.generation
        guard let deployment = input.deployment else { return removeLeftovers() }
        guard status.phase.isRunning else {
            // The canary's pods may be all that serves: they stay until the Deployment's own do.
            return cleanUp(deployment) && letGo(deployment)
        }
        status.stableReadyPods = stableReady(deployment)
        switch status.phase {
        case .rollingBack: rollingBack(deployment)
        case .promoting where !deployment.isPaused || hasResumed, .baking: letThrough(deployment)
        default:
            rollBack(
                deployment, rejecting: false, .person, "The Canary is being deleted: its run ends without a verdict.")
        }
        return false
    }

    private mutating func removeLeftovers() -> Bool {
        if input.route.split != nil { actions.append(.removeSplit) }
        if let canary = input.canary, !canary.isBeingDeleted { actions.append(.deleteCanary) }
        return input.route.split == nil && input.canary == nil
    }

    /// The Deployment rolls already: the canary carries the load until it has, then split and canary go.
    private mutating func letThrough(_ deployment: DeploymentFacts) {
        armDeadline(spec.progressDeadline)
        // Decided, and perhaps not done.
        if deployment.isPaused, deployment.heldChange != nil { actions.append(.unpauseDeployment) }
        let isServing = deployment.isObserved && deployment.isRolloutComplete
        guard isServing || isPastDeadline() else {
            _ = route(deployment, weight: 100)
            return hold(.stablePods, "The Canary is being deleted; the Deployment rolls the change out first.")
        }
        openRoute()
        guard input.route.split == nil else { return hold(.observedSplit, "Removing the split.") }
        let running = status.change.running
        record(
            .person, verdict: .insufficient, action: "Ended", rule: "a deleted Canary leaves the Deployment as it is",
            explanation: "the change \(running ?? "") was rolled out already")
        forgetRun()
        status.change = CanaryChanges(promoted: running)
        enter(.succeeded, deadline: nil)
        hold(nil, "The Canary is being deleted.")
    }

    /// Gives the Deployment back to its user. True when there is nothing left to give back.
    private mutating func letGo(_ deployment: DeploymentFacts) -> Bool {
        guard deployment.heldChange != nil else { return true }
        let isRejected = deployment.changeHash == status.change.rejected
        if isRejected, let hash = status.stableHash, deployment.tracks.contains(where: { $0.hash == hash }) {
            actions.append(.restoreStableTemplate(stableHash: hash))
            event(
                .rolledBack, isWarning: true,
                "The Canary is being deleted while its Deployment holds a rejected change: put the template of the pods that "
                    + "serve back, so that the rejected one is not rolled out.")
        } else {
            actions.append(.unpauseDeployment)
            event(.noChange, "The Canary is being deleted: resumed the Deployment.")
        }
        isHasty = true
        return false
    }
}
