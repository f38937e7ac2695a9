package import HeddleAPI
package import KubeCore

extension DeploymentFacts {
    /// Reads the facts from a Deployment and the ReplicaSets that it controls.
    package init(deployment: KubeObject, replicaSets: [KubeObject]) {
        let status = deployment.status
        self.init(
            changeHash: ChangeHash.of(template: deployment.spec["template"] ?? [:]),
            desiredReplicas: deployment.spec["replicas"]?.int ?? 1,
            tracks: Self.controlled(replicaSets, by: deployment).compactMap(TrackFacts.init(replicaSet:)))
        isPaused = deployment.spec["paused"]?.bool ?? false
        heldChange = deployment.annotations[HeddleAnnotation.heldChange]
        isObserved = (status["observedGeneration"]?.int ?? 0) >= deployment.generation
        isRolloutComplete = WorkloadFacts.isRolloutComplete(deployment) && tracks.allSatisfy { $0.change == changeHash }
        isProgressDeadlineExceeded =
            !isPaused
            && (status["conditions"]?.array ?? []).contains {
                $0["type"]?.string == "Progressing" && $0["status"]?.string == "False"
                    && $0["reason"]?.string == "ProgressDeadlineExceeded"
            }
    }

    static func controlled(_ replicaSets: [KubeObject], by deployment: KubeObject) -> [KubeObject] {
        replicaSets.filter { $0.controllerReference?.uid == deployment.uid }
            .sorted { $0.name < $1.name }
    }
}

extension TrackFacts {
    /// Nil for a ReplicaSet without pods that should have none, and for one without `pod-template-hash`.
    init?(replicaSet: KubeObject) {
        let desired = replicaSet.spec["replicas"]?.int ?? 1
        guard let hash = replicaSet.labels[HeddleLabel.podTemplateHash],
            desired > 0 || (replicaSet.status["replicas"]?.int ?? 0) > 0
        else { return nil }
        self.init(
            hash: hash, change: ChangeHash.of(template: replicaSet.spec["template"] ?? [:]), desired: desired,
            ready: replicaSet.status["readyReplicas"]?.int ?? 0)
    }
}

extension CanaryDeploymentFacts {
    /// Reads the facts from Heddle's canary Deployment and the ReplicaSets that it controls.
    package init(deployment: KubeObject, replicaSets: [KubeObject]) {
        let change = ChangeHash.of(template: deployment.spec["template"] ?? [:])
        let tracks = DeploymentFacts.controlled(replicaSets, by: deployment).compactMap(TrackFacts.init(replicaSet:))
        let current = tracks.first { $0.change == change }
        self.init(
            hash: current?.hash, change: change, desired: deployment.spec["replicas"]?.int ?? 1,
            ready: current?.ready ?? 0)
        isBeingDeleted = deployment.isBeingDeleted
    }
}
