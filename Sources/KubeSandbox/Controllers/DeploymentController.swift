import FoundationEssentials
import KubeCore

/// Deployments: keeps their ReplicaSets as `DeploymentRollout` decides.
struct DeploymentController: Reconciler {
    let api: any ClusterAPI
    let cache: ClusterCache

    let name = "deployment"
    let watches: [GroupVersionResource] = [.deployments, .replicaSets, .pods]

    func keys(for change: ClusterCache.Change) -> [ObjectKey] {
        switch change.resource {
        case .deployments: change.object.map { [$0.key] } ?? []
        case .replicaSets: change.ownerKeys(kind: "Deployment") + orphanKeys(change)
        default: []
        }
    }

    private func orphanKeys(_ change: ClusterCache.Change) -> [ObjectKey] {
        guard let object = change.new, object.controllerReference == nil else { return [] }
        return cache.list(.deployments, namespace: object.namespace)
            .filter { $0.spec.selector?.matches(object.labels) ?? false }.map(\.key)
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let deployment = cache.get(.deployments, namespace: key.namespace, name: key.name),
            let selector = deployment.spec.selector
        else { return nil }
        let replicaSets = try await Ownership(api: api, cache: cache)
            .claim(.replicaSets, for: deployment, selector: selector)
        var sizedDown = replicaSets
        if DeploymentView(object: deployment).recreates { sizedDown = replicaSets.map(countingLeavers) }
        let actions = DeploymentRollout.decide(deployment, sizedDown, now: Date())
        for action in actions { try await apply(action, to: deployment) }
        return deadline(deployment, actions)
    }

    /// Recreate waits until pods are gone, not only asked to go; a ReplicaSet's status counts no pod that is going.
    private func countingLeavers(_ replicaSet: KubeObject) -> KubeObject {
        guard replicaSet.actualReplicas == 0 else { return replicaSet }
        let leavers = cache.list(.pods, namespace: replicaSet.namespace).filter {
            $0.controllerReference?.uid == replicaSet.uid && !$0.isPodFinished
        }
        var replicaSet = replicaSet
        if !leavers.isEmpty, replicaSet.desiredReplicas == 0 {
            replicaSet.json.set(.int(leavers.count), at: ["status", "replicas"])
        }
        return replicaSet
    }

    private func apply(_ action: DeploymentRollout.Action, to deployment: KubeObject) async throws {
        let namespace = deployment.namespace
        switch action {
        case .create(let replicaSet):
            do {
                cache.observe(.replicaSets, try await api.create(.replicaSets, replicaSet))
            } catch {
                guard error.isAlreadyExists else { throw error }
                // Ours from a moment ago, or another's: then the next try takes another name.
                let existing = try await api.get(.replicaSets, namespace: namespace, name: replicaSet.name)
                let isOurs =
                    existing.controllerReference?.uid == deployment.uid
                    && DeploymentView(object: deployment).runs(existing)
                if !isOurs { try await countCollision(deployment) }
                cache.observe(.replicaSets, existing)
            }
        case .patch(let name, let patch):
            cache.observe(.replicaSets, try await api.patch(.replicaSets, namespace: namespace, name: name, patch))
        case .delete(let name):
            try await api.delete(.replicaSets, namespace: namespace, name: name)
        case .annotate(let annotations):
            cache.observe(
                .deployments,
                try await api.patch(
                    .deployments, namespace: namespace, name: deployment.name,
                    ["metadata": ["annotations": annotations]]))
        case .status(let status):
            try await writeStatus(deployment, status)
        case .countCollision:
            try await countCollision(deployment)
        }
    }

    private func countCollision(_ deployment: KubeObject) async throws {
        let count = (deployment.status["collisionCount"]?.int ?? 0) + 1
        var status = deployment.status
        status["collisionCount"] = .int(count)
        try await writeStatus(deployment, status)
    }

    private func writeStatus(_ deployment: KubeObject, _ status: JSONValue) async throws {
        guard let patch = deployment.status.mergePatch(to: status) else { return }
        cache.observe(
            .deployments,
            try await api.patch(
                .deployments, namespace: deployment.namespace, name: deployment.name, subresource: "status",
                ["status": patch]))
    }

    /// A rollout that makes no progress is looked at again when its deadline is over.
    private func deadline(_ deployment: KubeObject, _ actions: [DeploymentRollout.Action]) -> Duration? {
        let view = DeploymentView(object: deployment)
        let reason = deployment.condition("Progressing")?["reason"]?.string
        guard let seconds = view.progressDeadlineSeconds, !view.isPaused, reason != "NewReplicaSetAvailable",
            reason != "ProgressDeadlineExceeded"
        else { return nil }
        return .seconds(seconds + 1)
    }
}
