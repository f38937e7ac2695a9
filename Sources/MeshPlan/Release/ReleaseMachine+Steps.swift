import FoundationEssentials
import HeddleAPI
import KubeCore
import MeshEvidence

extension ReleaseMachine {
    // MARK: Starting

    /// 0 % first: the split is in place before a canary pod is, since canary pods carry the labels of the Service.
    mutating func starting(_ deployment: DeploymentFacts) {
        armDeadline(spec.progressDeadline)
        if isInterrupted(deployment) { return }
        keepPaused(deployment)
        if wantsPromotion { return promote(deployment) }
        let state = route(deployment, weight: 0)
        guard stableReady(deployment) > 0 else {
            return holdOrRollBack(
                deployment, .stablePods, .pods,
                "The stable version has no ready pods, so there is nothing to compare with. To ship the change anyway, "
                    + "annotate the Canary with \(HeddleAnnotation.approve)=\(status.runId ?? "")/promote.")
        }
        guard state == .confirmed else {
            return holdOrRollBack(
                deployment, .observedSplit, .route, "Waiting for the proxies to confirm the split at 0 %.")
        }
        let needed = canaryPods(deployment, weight: spec.steps.first?.weight ?? 0)
        guard readyCanary(deployment, needed: needed) else {
            return holdOrRollBack(
                deployment, .canaryPods, .pods,
                "\(canaryReady(deployment)) of \(NumberText.count(needed, "canary pod")) ready.")
        }
        // The canary's hash may have become known just now: the split that names it must be confirmed too.
        guard route(deployment, weight: 0) == .confirmed else {
            return holdOrRollBack(
                deployment, .observedSplit, .route, "Waiting for the proxies to confirm the split at 0 %.")
        }
        enter(.progressing, deadline: nil)
        enterStep(0)
        record(
            .pods, verdict: .pass, action: "Advance", rule: "canary pods are ready",
            explanation: "\(NumberText.count(canaryReady(deployment), "canary pod")) ready")
        hold(.canaryPods, "Canary pods are ready.")
    }

    /// Asks for the canary Deployment as it should be; true when enough of its pods are ready.
    mutating func readyCanary(_ deployment: DeploymentFacts, needed: Int) -> Bool {
        guard let canary = input.canary, canary.change == status.change.running, !canary.isBeingDeleted else {
            if input.canary?.isBeingDeleted != true { actions.append(.createCanary(replicas: needed)) }
            return false
        }
        if canary.desired < needed { actions.append(.scaleCanary(replicas: needed)) }
        if let hash = canary.hash { status.canaryHash = hash }
        status.canaryReadyPods = canaryReady(deployment)
        return canary.hash != nil && canary.ready >= needed
    }

    func canaryPods(_ deployment: DeploymentFacts, weight: Int) -> Int {
        spec.canaryReplicas.pods(stable: deployment.desiredReplicas, weightPercent: weight)
    }

    // MARK: Progressing

    mutating func enterStep(_ index: Int) {
        status.step = index
        status.stepStartedAt = nil
        status.deadlineAt = nil
        status.deadlineExtended = false
        clearStepCounts()
    }

    mutating func clearStepCounts() {
        status.stepTraffic = TrackCounts()
        for index in status.evidence.indices { status.evidence[index].stepCounts = TrackCounts() }
    }

    var currentStep: CanaryStep? {
        status.step.flatMap { spec.steps.indices.contains($0) ? spec.steps[$0] : nil }
    }

    mutating func progressing(_ deployment: DeploymentFacts) {
        // The steps may have been edited while the run is under way.
        guard let step = currentStep else { return promote(deployment) }
        armDeadline(status.stepStartedAt == nil ? spec.progressDeadline : step.deadline ?? spec.stepDeadline)
        if isInterrupted(deployment) { return }
        keepPaused(deployment)
        ingest()
        let judgements = judge(minimumSamples: step.minSamples)
        if rollBackOnHarm(deployment, judgements) { return }
        if status.desiredWeightPercent > 0, canaryReady(deployment) == 0 {
            return rollBack(deployment, rejecting: true, .pods, "The canary has lost all of its ready pods.")
        }
        if wantsPromotion { return promote(deployment) }
        let needed = canaryPods(deployment, weight: step.weight)
        let isReady = readyCanary(deployment, needed: needed)
        if status.desiredWeightPercent != step.weight, isReady, stableReady(deployment) > 0 || step.weight == 100 {
            status.desiredWeightPercent = step.weight
            status.stepStartedAt = nil
        }
        let state = route(deployment, weight: status.desiredWeightPercent)
        if stableReady(deployment) == 0, step.weight < 100 {
            return holdOrRollBack(
                deployment, .stablePods, .pods,
                "The stable version has no ready pods; traffic goes to any pod that is ready.")
        }
        guard status.desiredWeightPercent == step.weight, isReady else {
            return holdOrRollBack(
                deployment, .canaryPods, .pods,
                "\(stepName): \(canaryReady(deployment)) of \(NumberText.count(needed, "canary pod")) ready.")
        }
        guard state == .confirmed else {
            return holdOrRollBack(
                deployment, .observedSplit, .route, "\(stepName): waiting for the proxies to confirm \(step.weight) %.")
        }
        if status.stepStartedAt == nil {
            status.stepStartedAt = input.now
            status.deadlineAt = input.now.adding(step.deadline ?? spec.stepDeadline)
            clearStepCounts()
        }
        finishStep(step, deployment, judge(minimumSamples: step.minSamples))
    }

    /// The step has its weight and its pods; what is left are time, the measured split, the evidence and a person.
    private mutating func finishStep(_ step: CanaryStep, _ deployment: DeploymentFacts, _ judgements: [Judged]) {
        let elapsed = input.now.seconds(since: status.stepStartedAt ?? input.now)
        if case .differs(let observed, let allowed) = splitCheck(step.weight) {
            return holdOrRollBack(
                deployment, .observedSplit, .route,
                "\(stepName): the proxies deliver \(NumberText.significant(observed)) % to the canary; between "
                    + "\(NumberText.significant(allowed.lowerBound)) % and \(NumberText.significant(allowed.upperBound)) % "
                    + "is within chance. Session affinity or clients outside the mesh may be the cause.")
        }
        guard elapsed >= step.duration.seconds else {
            let left = step.duration.seconds - elapsed
            return holdOrRollBack(
                deployment, .stepDuration, .duration, "\(stepName): \(NumberText.seconds(left)) of its duration left.")
        }
        if holdsForEvidence(deployment, judgements, minimumSamples: step.minSamples) { return }
        if step.pause, input.approval != "\(status.runId ?? "")/\(status.step ?? 0)" {
            status.deadlineAt = nil
            return hold(
                .approval,
                "\(stepName) is done and waits for approval: annotate the Canary with "
                    + "\(HeddleAnnotation.approve)=\(status.runId ?? "")/\(status.step ?? 0).")
        }
        advance(deployment, judgements)
    }

    private mutating func advance(_ deployment: DeploymentFacts, _ judgements: [Judged]) {
        let next = (status.step ?? 0) + 1
        let isLast = next >= spec.steps.count
        let action = isLast ? "Promote" : "Advance"
        for judged in judgements { record(judged, action: action) }
        if judgements.isEmpty {
            record(
                .duration, verdict: .pass, action: action, rule: "duration and samples",
                explanation: "\(status.stepTraffic.canaryRequests) canary requests at this step")
        }
        if isLast { return promote(deployment) }
        let name = stepName
        enterStep(next)
        isHasty = true
        event(.stepAdvanced, "\(name) passed; next is \(stepName).")
        hold(.canaryPods, "\(name) passed; preparing \(stepName).")
    }

    // MARK: Shared by the phases of a run

    /// Rolls back on an abort, and when the Deployment's template is no longer the one of the run.
    mutating func isInterrupted(_ deployment: DeploymentFacts) -> Bool {
        if let runId = status.runId, input.abort == runId {
            rollBack(deployment, rejecting: true, .person, "Aborted by \(HeddleAnnotation.abort)=\(runId).")
            return true
        }
        guard deployment.changeHash != status.change.running else { return false }
        if deployment.changeHash == status.change.promoted {
            rollBack(deployment, rejecting: false, .change, "The stable template was put back: the run ends.")
        } else {
            rollBack(
                deployment, rejecting: false, .change,
                "A newer change \(deployment.changeHash) supersedes \(status.change.running ?? ""); it starts anew from 0 %."
            )
        }
        return true
    }

    /// A Deployment that someone resumed during the run is paused again.
    mutating func keepPaused(_ deployment: DeploymentFacts) {
        guard !deployment.isPaused else { return }
        actions.append(.pauseDeployment(change: deployment.changeHash))
        event(.paused, isWarning: true, "The Deployment was resumed during the release; paused it again.")
    }

    var wantsPromotion: Bool { status.runId.map { input.approval == "\($0)/promote" } ?? false }

    mutating func holdOrRollBack(_ deployment: DeploymentFacts, _ wait: CanaryWait, _ aspect: Aspect, _ message: String)
    {
        if isPastDeadline() {
            return rollBack(deployment, rejecting: true, .deadline, "The deadline has passed while holding: \(message)")
        }
        if status.waitingFor != wait {
            record(
                aspect, verdict: .insufficient, action: "Hold", rule: "waits for \(wait.rawValue)", explanation: message
            )
        }
        hold(wait, message)
    }

    var stepName: String {
        guard let index = status.step, let step = currentStep else { return "The run" }
        return "Step \(index + 1) (\(step.weight) %)"
    }
}
