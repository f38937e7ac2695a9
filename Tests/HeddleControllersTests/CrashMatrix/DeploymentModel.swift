import HeddleAPI
import KubeCore
import KubeTesting
import MeshPlan

/// Kubernetes' part, one step a second: Deployments roll through ReplicaSets to pods, new pods first and ready a second
/// later; a paused Deployment takes a new template without rolling; the injector adds sidecars.
struct DeploymentModel {
    let cluster: InMemoryCluster
    /// Whether a pod of this template becomes ready.
    var starts: (JSONValue) -> Bool = { _ in true }
    private var addresses = 10

    init(_ cluster: InMemoryCluster) { self.cluster = cluster }

    mutating func tick() {
        for pod in cluster.objects(.pods) where !Self.isReady(pod) && starts(pod.spec["template"] ?? [:]) {
            var ready = pod
            ready.status["conditions"] = [["type": "Ready", "status": "True"]]
            cluster.seed(.pods, ready)
        }
        for deployment in cluster.objects(.deployments) { roll(deployment) }
    }

    static func isReady(_ pod: KubeObject) -> Bool {
        pod.status["conditions"]?[0]?["status"]?.string == "True"
    }

    static func hash(_ template: JSONValue) -> String {
        // Restarts make another ReplicaSet, though no other change.
        let mark = template[path: "metadata", "annotations", HeddleAnnotation.restartedAt]?.string ?? ""
        let suffix = mark.isEmpty ? "" : "r" + mark.filter(\.isNumber)
        return ChangeHash.of(template: template).dropFirst(3) + suffix
    }

    private mutating func roll(_ deployment: KubeObject) {
        let template = deployment.spec["template"] ?? [:]
        let hash = Self.hash(template)
        let desired = deployment.spec["replicas"]?.int ?? 1
        let isPaused = deployment.spec["paused"]?.bool ?? false
        var sets = cluster.objects(.replicaSets).filter { $0.controllerReference?.uid == deployment.uid }
        if !isPaused, !sets.contains(where: { $0.labels["pod-template-hash"] == hash }) {
            sets.append(newSet(deployment, template, hash))
        }
        let current = sets.first { $0.labels["pod-template-hash"] == hash }
        let isUp = current.map { readyPods($0) >= desired } ?? false
        var (total, updated, ready) = (0, 0, 0)
        for set in sets {
            let isCurrent = set.uid == current?.uid
            var count = set.spec["replicas"]?.int ?? 0
            if !isPaused { count = isCurrent ? desired : isUp ? 0 : count }
            let readyCount = scale(set, to: count, template: set.spec["template"] ?? [:])
            total += count
            ready += readyCount
            if isCurrent { updated += count }
        }
        var seen = deployment
        seen.status = [
            "observedGeneration": .int(deployment.generation), "replicas": .int(total),
            "updatedReplicas": .int(updated),
            "availableReplicas": .int(ready), "readyReplicas": .int(ready),
        ]
        if seen.status != deployment.status { cluster.seed(.deployments, seen) }
    }

    private func newSet(_ deployment: KubeObject, _ template: JSONValue, _ hash: String) -> KubeObject {
        var set = KubeObject(.replicaSets, namespace: deployment.namespace, name: "\(deployment.name)-\(hash)")
        set.labels = template[path: "metadata", "labels"]?.stringMap ?? [:]
        set.labels["pod-template-hash"] = hash
        set.ownerReferences = [deployment.asController]
        var copy = template
        copy[path: "metadata", "labels", "pod-template-hash"] = .string(hash)
        set.spec = ["replicas": 0, "template": copy]
        return cluster.seed(.replicaSets, set)
    }

    private func pods(_ set: KubeObject) -> [KubeObject] {
        cluster.objects(.pods).filter { $0.controllerReference?.uid == set.uid }
    }

    private func readyPods(_ set: KubeObject) -> Int { pods(set).filter(Self.isReady).count }

    /// - Returns: how many of its pods are ready.
    private mutating func scale(_ set: KubeObject, to count: Int, template: JSONValue) -> Int {
        let present = pods(set)
        for pod in present.dropFirst(count) { cluster.remove(.pods, namespace: pod.namespace, name: pod.name) }
        for index in present.count..<max(present.count, count) {
            var pod = KubeObject(.pods, namespace: set.namespace, name: "\(set.name)-\(index)")
            pod.labels = template[path: "metadata", "labels"]?.stringMap ?? [:]
            if pod.labels[HeddleLabel.inject] == "true" { pod.labels[HeddleLabel.injected] = "true" }
            pod.ownerReferences = [set.asController]
            pod.spec = ["template": template]
            addresses += 1
            pod.status = [
                "phase": "Running", "podIP": .string("10.0.0.\(addresses)"),
                "conditions": [["type": "Ready", "status": "False"]],
            ]
            cluster.seed(.pods, pod)
        }
        let ready = present.prefix(count).filter(Self.isReady).count
        var seen = set
        seen.spec["replicas"] = .int(count)
        seen.status = ["replicas": .int(count), "readyReplicas": .int(ready)]
        if seen.spec != set.spec || seen.status != set.status { cluster.seed(.replicaSets, seen) }
        return ready
    }
}
