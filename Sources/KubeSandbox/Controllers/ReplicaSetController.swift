import FoundationEssentials
import KubeCore

/// ReplicaSets: keeps the number of their pods.
struct ReplicaSetController: Reconciler {
    let api: any ClusterAPI
    let cache: ClusterCache

    let name = "replicaset"
    let watches: [GroupVersionResource] = [.replicaSets, .pods]

    func keys(for change: ClusterCache.Change) -> [ObjectKey] {
        if change.resource == .replicaSets { return change.object.map { [$0.key] } ?? [] }
        let owners = change.ownerKeys(kind: "ReplicaSet")
        guard owners.isEmpty, let pod = change.new, pod.controllerReference == nil else { return owners }
        return cache.list(.replicaSets, namespace: pod.namespace)
            .filter { $0.spec.selector?.matches(pod.labels) ?? false }.map(\.key)
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let replicaSet = cache.get(.replicaSets, namespace: key.namespace, name: key.name),
            let selector = replicaSet.spec.selector
        else { return nil }
        var pods = try await Ownership(api: api, cache: cache)
            .claim(.pods, for: replicaSet, selector: selector, adopting: \.isPodActive)
            .filter(\.isPodActive)
        if !replicaSet.isBeingDeleted { try await resize(replicaSet, &pods) }
        return try await writeStatus(replicaSet, pods)
    }

    private func resize(_ replicaSet: KubeObject, _ pods: inout [KubeObject]) async throws {
        let missing = replicaSet.desiredReplicas - pods.count
        if missing > 0 {
            for _ in 0..<missing {
                let pod = try await api.create(.pods, Self.pod(of: replicaSet))
                cache.observe(.pods, pod)
                pods.append(pod)
            }
        } else if missing < 0 {
            for pod in Self.deletionOrder(pods).prefix(-missing) {
                try await api.delete(.pods, namespace: pod.namespace, name: pod.name, uid: pod.uid)
                // Until the watch tells, so that the next look does not choose another one.
                if let left = try await api.find(.pods, namespace: pod.namespace, name: pod.name), left.uid == pod.uid {
                    cache.observe(.pods, left)
                } else {
                    cache.remove(.pods, pod)
                }
                pods.removeAll { $0.uid == pod.uid }
            }
        }
    }

    static func pod(of replicaSet: KubeObject) -> KubeObject {
        let template = replicaSet.spec["template"] ?? [:]
        var pod = KubeObject(json: [
            "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"] ?? [:], "spec": template["spec"] ?? [:],
        ])
        pod.json.set(nil, at: ["metadata", "creationTimestamp"])
        pod.json.set(nil, at: ["metadata", "name"])
        pod.json.set(.string(replicaSet.name + "-"), at: ["metadata", "generateName"])
        pod.namespace = replicaSet.namespace
        pod.ownerReferences = [replicaSet.asController]
        return pod
    }

    /// Which pods go first: unassigned, then pending, not ready, cheap by annotation, lately ready, restarted, young.
    static func deletionOrder(_ pods: [KubeObject]) -> [KubeObject] {
        func rank(_ pod: KubeObject) -> [Double] {
            let phase: Double = pod.podPhase == "Pending" ? 0 : pod.podPhase == "Unknown" ? 1 : 2
            let readySince = pod.podReadySince?.timeIntervalSince1970 ?? 0
            let created = pod.creationTimestamp?.timeIntervalSince1970 ?? 0
            let cost = pod.annotations["controller.kubernetes.io/pod-deletion-cost"].flatMap(Double.init) ?? 0
            let restarts =
                (pod.status["containerStatuses"]?.array ?? []).compactMap { $0["restartCount"]?.int }.max() ?? 0
            return [
                pod.nodeName == nil ? 0 : 1, phase, pod.isPodReady ? 1 : 0, cost,
                -readySince, -Double(restarts), -created,
            ]
        }
        return pods.map { (rank($0), $0) }
            .sorted { $0.0 == $1.0 ? $0.1.name < $1.1.name : $0.0.lexicographicallyPrecedes($1.0) }.map(\.1)
    }

    /// - Returns: when the next ready pod becomes available.
    private func writeStatus(_ replicaSet: KubeObject, _ pods: [KubeObject]) async throws -> Duration? {
        let now = Date()
        let minReadySeconds = replicaSet.spec["minReadySeconds"]?.int ?? 0
        let templateLabels = replicaSet.spec[path: "template", "metadata", "labels"]?.stringMap ?? [:]
        let ready = pods.filter(\.isPodReady)
        let available = ready.filter { $0.isPodAvailable(minReadySeconds: minReadySeconds, at: now) }
        let labelled = pods.filter { pod in templateLabels.allSatisfy { pod.labels[$0.key] == $0.value } }
        var status: JSONValue = [
            "replicas": .int(pods.count), "observedGeneration": .int(replicaSet.generation),
        ]
        for (name, count) in [
            ("fullyLabeledReplicas", labelled.count), ("readyReplicas", ready.count),
            ("availableReplicas", available.count),
        ] where count > 0 { status[name] = .int(count) }
        status["conditions"] = replicaSet.status["conditions"]
        if let patch = replicaSet.status.mergePatch(to: status) {
            cache.observe(
                .replicaSets,
                try await api.patch(
                    .replicaSets, namespace: replicaSet.namespace, name: replicaSet.name, subresource: "status",
                    ["status": patch]))
        }
        return available.count < ready.count ? .seconds(1) : nil
    }
}
