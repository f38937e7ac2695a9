package import KubeCore

/// The API group of Heddle's own resources and the version that this build reads and writes.
package enum HeddleGroup {
    package static let name = "heddle.dev"
    package static let version = "v1alpha1"
    /// `kubectl get heddle` lists every kind of the group.
    package static let category = "heddle"
}

extension GroupVersionResource {
    package static let meshes = Self(
        group: HeddleGroup.name, version: HeddleGroup.version, resource: "meshes", kind: "Mesh", isNamespaced: false)
    package static let adoptions = Self(
        group: HeddleGroup.name, version: HeddleGroup.version, resource: "adoptions", kind: "Adoption")
    package static let canaries = Self(
        group: HeddleGroup.name, version: HeddleGroup.version, resource: "canaries", kind: "Canary")
    package static let servicePolicies = Self(
        group: HeddleGroup.name, version: HeddleGroup.version, resource: "servicepolicies", kind: "ServicePolicy")
    package static let metricTemplates = Self(
        group: HeddleGroup.name, version: HeddleGroup.version, resource: "metrictemplates", kind: "MetricTemplate")
}

/// Labels that Heddle sets or reads.
package enum HeddleLabel {
    /// Asks for (`"true"`) or refuses (`"false"`) a sidecar, on a pod template or a namespace; the pod's word wins.
    package static let inject = "heddle.dev/inject"
    /// `"true"` on every pod that got a sidecar.
    package static let injected = "heddle.dev/injected"
    /// On objects that Heddle made: the name of the Canary that they serve.
    package static let canary = "heddle.dev/canary"
    /// On objects that Heddle made: always `heddle`.
    package static let managedBy = "app.kubernetes.io/managed-by"
    /// Set by Kubernetes on every pod of a Deployment: tells the stable track from the canary track.
    package static let podTemplateHash = "pod-template-hash"
}

/// Annotations that Heddle sets or reads.
package enum HeddleAnnotation {
    /// As the label of the same name, on a pod template.
    package static let inject = "heddle.dev/inject"
    /// On a pod template: when Heddle last restarted the workload (RFC 3339). Starts no release.
    package static let restartedAt = "heddle.dev/restartedAt"
    /// On an injected pod: JSON of what was injected.
    package static let status = "heddle.dev/status"
    /// On a Deployment that the admission webhook paused for a release: the hash of the change that waits.
    package static let heldChange = "heddle.dev/held-change"
    /// On a Canary: `<runId>/<step index>` lets a step with `pause: true` end; `<runId>/promote` skips the rest.
    package static let approve = "heddle.dev/approve"
    /// On a Canary: `<runId>` takes the run back to 0 % at once.
    package static let abort = "heddle.dev/abort"
}

/// Field managers of server-side apply, one a controller.
package enum HeddleFieldManager {
    package static let adoption = "heddle-adoption"
    package static let canary = "heddle-canary"
    package static let servicePolicy = "heddle-servicepolicy"
    package static let mesh = "heddle-mesh"
}

/// Where the operator runs and listens, unless its manifests were changed.
package enum HeddleOperator {
    package static let namespace = "heddle-system"
    package static let service = "heddle-operator"
    package static let caConfigMap = "heddle-ca-root"
    package static let injectorWebhook = "heddle-injector"
    package static let releaseWebhook = "heddle-release"
    package static let validatorWebhook = "heddle-validator"
}
