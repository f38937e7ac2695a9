import EnvoyConfig
import MeshModel

/// Which services each workload has been seen to call: what its proxies asked for clusters of.
///
/// A workload is all pods of a namespace with the same labels but for those that tell versions apart, so a new pod gets at
/// once what its siblings have come to need. A proxy that reconnects brings along what it has, so nothing is lost with the
/// process that holds this.
struct CalledServices: Sendable {
    private struct Workload: Hashable {
        let namespace: String
        let serviceAccount: String
        let labels: [String: String]

        init(_ pod: WorkloadInstance) {
            namespace = pod.namespace
            serviceAccount = pod.serviceAccount
            labels = pod.labels.filter { !Self.versionLabels.contains($0.key) }
        }

        /// Set by Kubernetes' controllers, other with each template or each pod.
        private static let versionLabels: Set<String> = [
            "pod-template-hash", "controller-revision-hash", "pod-template-generation",
            "statefulset.kubernetes.io/pod-name",
            "apps.kubernetes.io/pod-index", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name",
            "controller-uid", "job-name", "batch.kubernetes.io/job-completion-index",
        ]
    }

    private var services: [Workload: Set<ServiceID>] = [:]

    /// What a pod's workload calls.
    func services(calledBy pod: WorkloadInstance) -> Set<ServiceID> { services[Workload(pod)] ?? [] }

    /// A pod's proxy has asked for these clusters; names that are no service's are left out.
    mutating func note(_ clusters: Set<String>, by pod: WorkloadInstance, clusterDomain: String) {
        let called = clusters.compactMap { ResourceNames.service(ofCluster: $0, clusterDomain: clusterDomain) }
        guard !called.isEmpty else { return }
        services[Workload(pod), default: []].formUnion(called)
    }

    /// Forgets workloads that have no pod, and services that do not exist, so that what is kept is bounded by the cluster.
    mutating func keep(_ pods: some Sequence<WorkloadInstance>, _ known: [ServiceID: MeshService]) {
        guard !services.isEmpty else { return }
        let workloads = Set(pods.map(Workload.init))
        services = services.filter { workloads.contains($0.key) }.mapValues { $0.filter { known[$0] != nil } }
    }
}
