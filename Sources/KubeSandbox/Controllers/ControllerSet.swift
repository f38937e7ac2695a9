import KubeCore
import Logging

/// All of the sandbox's controllers, as kube-controller-manager and kube-scheduler in one.
struct ControllerSet: Sendable {
    let api: any ClusterAPI
    let cache: ClusterCache
    let nodeName: String
    let rootCertificate: String
    let logger: Logger

    /// The collections that the controllers and the node look at; custom ones join as they are defined.
    static let resources: [GroupVersionResource] = [
        .namespaces, .nodes, .pods, .services, .serviceAccounts, .configMaps, .secrets, .endpoints, .endpointSlices,
        .events,
        .deployments, .replicaSets, .leases, .podDisruptionBudgets, .horizontalPodAutoscalers,
        .customResourceDefinitions, .clusterRoles,
    ]

    func run() async {
        let reconcilers: [any Reconciler] = [
            DeploymentController(api: api, cache: cache), ReplicaSetController(api: api, cache: cache),
            EndpointSliceController(api: api, cache: cache), DisruptionController(api: api, cache: cache),
            NamespaceController(api: api, cache: cache, rootCertificate: rootCertificate),
            Scheduler(api: api, cache: cache, nodeName: nodeName), RoleAggregation(api: api, cache: cache),
        ]
        await withDiscardingTaskGroup { group in
            for reconciler in reconcilers {
                group.addTask { await ControllerLoop(reconciler: reconciler, cache: cache, logger: logger).run() }
            }
            group.addTask { await GarbageCollector(api: api, cache: cache, logger: logger).run() }
        }
    }
}
