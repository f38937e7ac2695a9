package import KubeCore

/// What Heddle reads of the kinds that a cluster has most of; their caches keep nothing else.
///
/// A field that is read from a cached pod, slice or ReplicaSet belongs here, or it is never seen: the tests of the
/// controllers run with these selections too.
package enum WatchedFields {
    /// Written by `kubectl apply`, as long as the object itself.
    private static let lastApplied: FieldSelection.Path = [
        "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration",
    ]

    package static let pods = FieldSelection.only(
        [
            "spec.serviceAccountName", "spec.nodeName", "spec.hostNetwork", "spec.containers.name",
            "spec.containers.image", "spec.containers.ports", "spec.initContainers.name", "spec.initContainers.image",
            "spec.initContainers.restartPolicy", "spec.restartPolicy", "status.phase", "status.reason",
            "status.podIP", "status.conditions.type", "status.conditions.status", "status.conditions.reason",
            "status.containerStatuses.name", "status.containerStatuses.ready",
            "status.containerStatuses.restartCount", "status.containerStatuses.state.waiting",
            "status.containerStatuses.state.terminated", "status.containerStatuses.lastState.terminated",
        ], dropping: [lastApplied])

    package static let endpointSlices = FieldSelection.only(
        [
            "addressType", "ports", "endpoints.addresses", "endpoints.conditions", "endpoints.targetRef.kind",
            "endpoints.targetRef.namespace", "endpoints.targetRef.name",
        ], dropping: [["metadata", "annotations"]])

    /// With the template: it tells which release a ReplicaSet is of.
    package static let replicaSets = FieldSelection.only(
        [
            "spec.replicas", "spec.selector", "spec.template", "status.replicas", "status.readyReplicas",
            "status.availableReplicas", "status.observedGeneration",
        ],
        dropping: [lastApplied])
}
