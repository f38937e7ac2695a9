import HeddleAPI
import KubeCore

extension ReleaseMachine {
    /// No run is under way: clean up what a run left, then see whether a change waits.
    mutating func rest(_ deployment: DeploymentFacts) {
        status.deadlineAt = nil
        let current = deployment.changeHash
        guard let promoted = status.change.promoted else { return firstLook(deployment) }
        guard cleanUp(deployment) else { return }
        if current == promoted { return stableTemplateIsBack(deployment) }
        if isShipped(deployment) {
            status.change = CanaryChanges(promoted: current)
            status.stableHash = deployment.tracks.first?.hash
            status.phase = .idle
            let message =
                "The change \(current) runs on all pods already: it was rolled out without a canary, since Heddle was away."
            event(.noChange, isWarning: true, message)
            record(
                .change, verdict: .insufficient, action: "Accept", rule: "nothing is left to release",
                explanation: message)
            return hold(nil, message)
        }
        if !deployment.isPaused {
            actions.append(.pauseDeployment(change: current))
            if current != status.change.rejected {
                event(.paused, "Paused the Deployment: its change \(current) is to be released step by step.")
            }
        }
        if current == status.change.rejected {
            if status.phase != .rolledBack {
                status.phase = .rolledBack
                hold(nil, "The change \(current) was rolled back before. \(Self.rolledBackAdvice)")
            }
            return
        }
        newChange(deployment)
    }

    /// The first reconcile of a Canary: what runs now is the base, and no run starts.
    private mutating func firstLook(_ deployment: DeploymentFacts) {
        // A template that the webhook holds already is a change; what serves is then the base.
        let serving = stableTrack(deployment)
        let base = deployment.heldChange == nil ? deployment.changeHash : serving?.change ?? deployment.changeHash
        status.change.promoted = base
        status.stableHash = serving?.hash
        status.phase = .idle
        isHasty = base != deployment.changeHash
        record(
            .change, verdict: .pass, action: "Adopt", rule: "the template that runs when a Canary is made is its base",
            explanation: "the base is \(base)")
        hold(nil, "Watching Deployment \(spec.targetRef.name); its next change will be released step by step.")
    }

    private mutating func stableTemplateIsBack(_ deployment: DeploymentFacts) {
        let serving = stableTrack(deployment)
        if deployment.isRolloutComplete || status.stableHash == nil {
            status.stableHash = serving?.hash ?? status.stableHash
        }
        let wasHeld = deployment.isPaused && deployment.heldChange != nil
        if wasHeld {
            actions.append(.unpauseDeployment)
            event(.noChange, "The stable template is back: resumed the Deployment.")
        }
        if wasHeld || status.phase == .waitingForPhase || status.phase == .failed {
            status.phase = .idle
            status.change.rejected = nil
            hold(nil, "No change waits.\(outlook)")
        } else if status.phase == .idle, deployment.isPaused {
            hold(nil, "No change waits. The Deployment is paused, and not by Heddle.")
        } else if status.phase == .idle {
            hold(nil, "No change waits.\(outlook)")
        }
        status.waitingFor = nil
    }

    /// What the next change will meet, said before it comes.
    private var outlook: String { input.outlook.map { " The next one will have to wait: \($0)" } ?? "" }

    private func isShipped(_ deployment: DeploymentFacts) -> Bool {
        deployment.isRolloutComplete && deployment.isObserved && !deployment.isPaused && !deployment.tracks.isEmpty
            && deployment.tracks.allSatisfy { $0.change == deployment.changeHash }
    }

    static let rolledBackAdvice =
        "The Deployment stays paused on it and the stable pods serve. Apply another template to start a new run, or the "
        + "stable one to resume."

    private mutating func newChange(_ deployment: DeploymentFacts) {
        let current = deployment.changeHash
        if let reason = input.adoptionHold {
            if status.phase != .waitingForPhase {
                event(.waitingForPhase, "The change \(current) waits: \(reason)")
                record(
                    .change, verdict: .insufficient, action: "Wait", rule: "the Adoption has reached Traffic",
                    explanation: reason)
            }
            status.phase = .waitingForPhase
            return hold(.adoptionPhase, reason)
        }
        if spec.paused { return hold(.paused, "The change \(current) waits: spec.paused is set.") }
        if deployment.desiredReplicas == 0 {
            actions.append(.unpauseDeployment)
            status.change = CanaryChanges(promoted: current)
            status.phase = .idle
            let message = "The Deployment has 0 replicas: there is nothing to compare, so the change was let through."
            record(
                .change, verdict: .insufficient, action: "Accept", rule: "a canary needs traffic", explanation: message)
            event(.noChange, message)
            return hold(nil, message)
        }
        guard deployment.isPaused, deployment.isObserved else {
            isHasty = true
            return hold(nil, "Waiting for the Deployment controller to see the change \(current).")
        }
        start(deployment)
    }

    private mutating func start(_ deployment: DeploymentFacts) {
        let current = deployment.changeHash
        let tracks = deployment.tracks.filter { $0.change != current }
        let base = tracks.filter { $0.change == status.change.promoted }
        let stable = (base.isEmpty ? tracks : base).max { ($0.ready, $0.hash) < ($1.ready, $1.hash) }
        status.change.running = current
        status.change.rejected = nil
        status.runId = ChangeHash.runId(change: current, at: input.now)
        status.stableHash = stable?.hash
        status.canaryHash = nil
        status.startedAt = input.now
        status.evidence = []
        status.stepTraffic = TrackCounts()
        status.desiredWeightPercent = 0
        status.observedWeightPercent = nil
        enter(.starting, deadline: spec.progressDeadline)
        status.step = 0
        record(
            .change, verdict: .pass, action: "Start", rule: "the template differs from the stable one",
            explanation: "run \(status.runId ?? "") releases \(current) against \(status.change.promoted ?? "")")
        event(.runStarted, "Release \(status.runId ?? "") of change \(current) starts.")
        starting(deployment)
    }

    /// Removes the canary and the split that a run left, in the order that sends no request astray. False: not done yet.
    mutating func cleanUp(_ deployment: DeploymentFacts) -> Bool {
        guard input.canary != nil || input.route.split != nil else { return true }
        if deployment.desiredReplicas > 0, (deployment.tracks.map(\.ready).max() ?? 0) == 0 {
            // The canary's pods are all that serves.
            status.phase = .failed
            if input.route.split != nil { actions.append(.removeSplit) }
            hold(.stablePods, "The Deployment has no ready pods; canary pods are left running until it has.")
            return false
        }
        if let split = input.route.split, split.canaryWeightPercent > 0, input.canary != nil,
            deployment.tracks.contains(where: { $0.hash == split.stableHash && $0.ready > 0 })
        {
            var none = split
            none.canaryWeightPercent = 0
            actions.append(.setSplit(none))
        } else if let canary = input.canary {
            if !canary.isBeingDeleted { actions.append(.deleteCanary) }
        } else {
            actions.append(.removeSplit)
        }
        isHasty = true
        return false
    }
}
