import HeddleAPI
import KubeCore
import KubeRuntime
import MeshPlan

extension MetricNames {
    /// - Parameter workloads: the Adoption's Deployments.
    init(stores: ClusterStores, namespace: String, workloads: [KubeObject]) {
        let apps = workloads.compactMap { deployment in Self.app(of: deployment).map { ($0, deployment.name) } }
        let workloadByApp = Dictionary(apps, uniquingKeysWith: { first, _ in first })
        let others = stores.deployments.list(namespace: namespace).compactMap(Self.app(of:))
        self.init(
            namespace: namespace, workloadByApp: workloadByApp,
            otherApps: Set(others).subtracting(workloadByApp.keys),
            clientByAddress: Self.clients(stores), workloadsByService: [:])
        for service in stores.services.list(namespace: namespace) {
            let selector = service.spec["selector"]?.stringMap ?? [:]
            guard !selector.isEmpty else { continue }
            workloadsByService[service.name] = workloads.filter { deployment in
                let labels = Self.podLabels(deployment)
                return selector.allSatisfy { labels[$0.key] == $0.value }
            }.map(\.name)
        }
    }

    /// The pod label that Prometheus' targets carry as `app`.
    private static let appLabels = ["app.kubernetes.io/name", "app"]

    private static func podLabels(_ deployment: KubeObject) -> [String: String] {
        deployment.spec[path: "template", "metadata", "labels"]?.stringMap ?? [:]
    }

    private static func app(of deployment: KubeObject) -> String? {
        let labels = podLabels(deployment)
        return appLabels.lazy.compactMap { labels[$0] }.first
    }

    private static func clients(_ stores: ClusterStores) -> [String: String] {
        var clients: [String: String] = [:]
        for pod in stores.pods.list() {
            // Pods that ended keep an address that may be another's by now.
            guard let address = pod.status["podIP"]?.string,
                !["Succeeded", "Failed"].contains(pod.status["phase"]?.string ?? "")
            else { continue }
            clients[address] = "\(pod.namespace)/\(owner(of: pod, stores))"
        }
        return clients
    }

    /// The workload that a pod belongs to, without the ReplicaSet in between.
    private static func owner(of pod: KubeObject, _ stores: ClusterStores) -> String {
        guard let owner = pod.controllerReference else { return pod.name }
        let set = stores.replicaSets.get(namespace: pod.namespace, name: owner.name)
        return set?.controllerReference?.name ?? owner.name
    }
}
