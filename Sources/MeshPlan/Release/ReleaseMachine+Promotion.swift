import HeddleAPI
import KubeCore
import MeshEvidence

extension ReleaseMachine {
    mutating func promote(_ deployment: DeploymentFacts) {
        enter(.promoting, deadline: spec.progressDeadline)
        status.stepStartedAt = input.now
        clearStepCounts()
        let message = wantsPromotion ? "Promoted by \(HeddleAnnotation.approve)." : "All steps passed; promoting."
        record(
            .change, verdict: .pass, action: "Promote", rule: "all steps passed, or a person decided",
            explanation: message)
        event(.promoting, "\(message) The canary takes over the load while the Deployment rolls.")
        hold(.canaryPods, message)
    }

    /// First the canary grows to the Deployment's size and takes all traffic; then the Deployment is resumed and rolls
    /// natively, its old pods without traffic. New pods join the canary subset by their `pod-template-hash`.
    mutating func promoting(_ deployment: DeploymentFacts) {
        armDeadline(spec.progressDeadline)
        if isInterrupted(deployment) { return }
        ingest()
        if rollBackOnHarm(deployment, judge(minimumSamples: spec.steps.last?.minSamples ?? 1)) { return }
        if deployment.isPaused {
            takeLoad(deployment)
        } else {
            rollOut(deployment)
        }
    }

    private mutating func takeLoad(_ deployment: DeploymentFacts) {
        let needed = max(1, deployment.desiredReplicas)
        guard readyCanary(deployment, needed: needed) else {
            _ = route(deployment, weight: status.desiredWeightPercent)
            return holdOrRollBack(
                deployment, .canaryPods, .pods,
                "Promoting: \(canaryReady(deployment)) of \(NumberText.count(needed, "canary pod")) ready to take all traffic."
            )
        }
        guard route(deployment, weight: 100) == .confirmed else {
            return holdOrRollBack(
                deployment, .observedSplit, .route, "Promoting: waiting for the proxies to confirm 100 %.")
        }
        actions.append(.unpauseDeployment)
        // Decided already, and not seen in the cache or not done: done again, but no second decision.
        guard !hasResumed else { return hold(.stablePods, "Promoting: the Deployment rolls the change.") }
        status.deadlineAt = input.now.adding(spec.progressDeadline)
        event(.promoting, "All traffic is on canary pods; resumed the Deployment, which rolls the change natively.")
        record(
            .route, verdict: .pass, action: Self.resumeAction,
            rule: "canary pods carry all traffic before the Deployment rolls",
            explanation: "\(NumberText.count(canaryReady(deployment), "canary pod")) ready, 100 % confirmed")
        hold(.stablePods, "Promoting: the Deployment rolls the change.")
    }

    private static let resumeAction = "Resume"

    /// The run's Deployment was resumed, whatever the cache shows.
    var hasResumed: Bool {
        guard status.phase == .promoting || status.phase == .baking, let started = status.startedAt else {
            return false
        }
        return status.decisions.contains { $0.action == Self.resumeAction && $0.at >= started }
    }

    private mutating func rollOut(_ deployment: DeploymentFacts) {
        if deployment.isProgressDeadlineExceeded {
            return rollBack(
                deployment, rejecting: true, .deadline, "The Deployment did not roll out within its progress deadline.")
        }
        _ = route(deployment, weight: 100)
        let pods = promotedPods(deployment)
        guard deployment.isObserved, deployment.isRolloutComplete, pods.ready >= deployment.desiredReplicas,
            deployment.tracks.allSatisfy({ $0.change == status.change.running || $0.desired == 0 })
        else {
            return holdOrRollBack(
                deployment, .stablePods, .pods,
                "Promoting: \(pods.ready) of \(NumberText.count(deployment.desiredReplicas, "pod")) of the new version ready."
            )
        }
        enter(.baking, deadline: spec.bake)
        status.stepStartedAt = input.now
        clearStepCounts()
        openRoute()
        record(
            .pods, verdict: .pass, action: "Bake", rule: "the Deployment is rolled out",
            explanation: "\(NumberText.count(pods.ready, "pod")) of the new version ready")
        event(.baking, "The Deployment is rolled out; baking for \(spec.bake).")
        hold(.bake, "Rolled out; baking for \(spec.bake).")
    }

    /// The split is gone. A regression still rolls back: the Deployment then rolls to the stable template.
    mutating func baking(_ deployment: DeploymentFacts) {
        armDeadline(spec.bake)
        let current = deployment.changeHash
        if current != status.change.running, current != status.change.promoted { return succeed(deployment) }
        if isInterrupted(deployment) { return }
        ingest()
        if rollBackOnHarm(deployment, judge(minimumSamples: spec.steps.last?.minSamples ?? 1)) { return }
        openRoute()
        guard isPastDeadline() else {
            let left = status.deadlineAt.map { $0.seconds(since: input.now) } ?? 0
            return hold(.bake, "Baking: \(NumberText.seconds(left)) left.")
        }
        if input.route.split != nil, !isLongPastDeadline { return hold(.observedSplit, "Removing the split.") }
        succeed(deployment)
    }

    private var isLongPastDeadline: Bool {
        status.deadlineAt.map { input.now >= $0.adding(spec.progressDeadline) } ?? false
    }

    /// What is left of the canary is removed at rest.
    private mutating func succeed(_ deployment: DeploymentFacts) {
        let running = status.change.running
        let hash = deployment.tracks.first { $0.change == running }?.hash
        let evidence = judge(minimumSamples: 0).map { "\($0.metric.name): \($0.judgement.explanation)" }
        let message = "Change \(running ?? "") was released."
        record(
            .change, verdict: .pass, action: "Succeed", rule: "no regression during the bake",
            explanation: ([message] + evidence).joined(separator: " "))
        event(.succeeded, message)
        forgetRun()
        status.change = CanaryChanges(promoted: running)
        status.stableHash = hash ?? status.stableHash
        enter(.succeeded, deadline: nil)
        hold(nil, message)
        if input.route.split == nil, input.canary?.isBeingDeleted == false { actions.append(.deleteCanary) }
    }
}
