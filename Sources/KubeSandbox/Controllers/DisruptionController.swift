import KubeCore

/// PodDisruptionBudgets: how many of their pods may go now.
struct DisruptionController: Reconciler {
    let api: any ClusterAPI
    let cache: ClusterCache

    let name = "disruption"
    let watches: [GroupVersionResource] = [.podDisruptionBudgets, .pods, .replicaSets, .deployments]

    func keys(for change: ClusterCache.Change) -> [ObjectKey] {
        guard let object = change.object else { return [] }
        if change.resource == .podDisruptionBudgets { return [object.key] }
        return cache.list(.podDisruptionBudgets, namespace: object.namespace).filter { budget in
            change.resource != .pods || budget.spec.selector?.matches(object.labels) ?? false
        }.map(\.key)
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let budget = cache.get(.podDisruptionBudgets, namespace: key.namespace, name: key.name),
            let selector = budget.spec.selector
        else { return nil }
        let pods = cache.list(.pods, namespace: key.namespace).filter { selector.matches($0.labels) && $0.isPodActive }
        let status = Self.status(budget, pods: pods, expected: expected(pods))
        if let patch = budget.status.mergePatch(to: status) {
            cache.observe(
                .podDisruptionBudgets,
                try await api.patch(
                    .podDisruptionBudgets, namespace: key.namespace, name: key.name, subresource: "status",
                    ["status": patch]))
        }
        return nil
    }

    static func status(_ budget: KubeObject, pods: [KubeObject], expected: Int) -> JSONValue {
        let healthy = pods.filter(\.isPodReady).count
        let desired: Int
        if let maxUnavailable = budget.spec["maxUnavailable"] {
            desired = expected - IntOrPercent(maxUnavailable).resolve(total: expected, roundUp: true, default: "0")
        } else {
            desired = IntOrPercent(budget.spec["minAvailable"]).resolve(total: expected, roundUp: true, default: "1")
        }
        return [
            "observedGeneration": .int(budget.generation), "currentHealthy": .int(healthy),
            "desiredHealthy": .int(max(0, desired)), "expectedPods": .int(expected),
            "disruptionsAllowed": .int(max(0, healthy - max(0, desired))),
        ]
    }

    /// As many as the pods' controllers want; pods without one count as they are.
    private func expected(_ pods: [KubeObject]) -> Int {
        var owners: [String: Int] = [:]
        var alone = 0
        for pod in pods {
            guard let owner = pod.controllerReference, owner.kind == "ReplicaSet",
                let replicaSet = cache.get(.replicaSets, namespace: pod.namespace, name: owner.name)
            else {
                alone += 1
                continue
            }
            if let parent = replicaSet.controllerReference,
                let deployment = cache.get(.deployments, namespace: pod.namespace, name: parent.name)
            {
                owners[deployment.uid] = DeploymentView(object: deployment).replicas
            } else {
                owners[replicaSet.uid] = replicaSet.desiredReplicas
            }
        }
        return alone + owners.values.reduce(0, +)
    }
}
