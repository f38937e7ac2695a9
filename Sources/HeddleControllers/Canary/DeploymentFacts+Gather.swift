import HeddleAPI
import KubeCore
import MeshPlan

extension DeploymentFacts {
    /// Reads what a release needs to know of a Deployment.
    init(_ deployment: KubeObject, replicaSets: [KubeObject]) {
        let status = deployment.status
        let desired = deployment.spec["replicas"]?.int ?? 1
        let current = ChangeHash.of(template: deployment.spec["template"] ?? [:])
        let tracks = replicaSets.compactMap { set -> TrackFacts? in
            guard let hash = set.labels[HeddleLabel.podTemplateHash] else { return nil }
            let wanted = set.spec["replicas"]?.int ?? 0
            let running = set.status["replicas"]?.int ?? 0
            guard wanted > 0 || running > 0 else { return nil }
            return TrackFacts(
                hash: hash, change: ChangeHash.of(template: set.spec["template"] ?? [:]), desired: wanted,
                ready: set.status["readyReplicas"]?.int ?? 0)
        }
        self.init(changeHash: current, desiredReplicas: desired, tracks: tracks.sorted { $0.hash < $1.hash })
        isPaused = deployment.spec["paused"]?.bool ?? false
        heldChange = deployment.annotations[HeddleAnnotation.heldChange]
        isObserved = (status["observedGeneration"]?.int ?? 0) >= deployment.generation
        isRolloutComplete =
            isObserved && (status["updatedReplicas"]?.int ?? 0) == desired && (status["replicas"]?.int ?? 0) == desired
            && (status["availableReplicas"]?.int ?? 0) == desired
        isProgressDeadlineExceeded = (status["conditions"]?.array ?? []).contains {
            $0["type"]?.string == "Progressing" && $0["reason"]?.string == "ProgressDeadlineExceeded"
        }
    }
}

extension CanaryDeploymentFacts {
    /// Reads Heddle's own canary Deployment.
    init(_ deployment: KubeObject, replicaSets: [KubeObject]) {
        let change = ChangeHash.of(template: deployment.spec["template"] ?? [:])
        let current = replicaSets.first { ChangeHash.of(template: $0.spec["template"] ?? [:]) == change }
        self.init(
            hash: current?.labels[HeddleLabel.podTemplateHash], change: change,
            desired: deployment.spec["replicas"]?.int ?? 1, ready: current?.status["readyReplicas"]?.int ?? 0)
        isBeingDeleted = deployment.isBeingDeleted
    }
}
