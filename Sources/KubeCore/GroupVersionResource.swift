/// Which collection of the API an object lives in, and the kind of the objects there.
///
/// Heddle names the resources that it uses as constants (`GroupVersionResource.pods`), so no discovery is needed to
/// build a path.
package struct GroupVersionResource: Sendable, Hashable, CustomStringConvertible {
    /// API group; empty for the core group.
    package var group: String
    package var version: String
    /// Plural, lower case, as in the path.
    package var resource: String
    package var kind: String
    package var isNamespaced: Bool

    package init(group: String = "", version: String = "v1", resource: String, kind: String, isNamespaced: Bool = true)
    {
        self.group = group
        self.version = version
        self.resource = resource
        self.kind = kind
        self.isNamespaced = isNamespaced
    }

    /// As in an object's `apiVersion` field.
    package var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }

    /// As people write it: `deployments.apps`.
    package var description: String { group.isEmpty ? resource : "\(resource).\(group)" }

    /// The path of the collection, or of one object or its subresource.
    package func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if isNamespaced, let namespace, !namespace.isEmpty { path += "/namespaces/\(namespace)" }
        path += "/\(resource)"
        if let name { path += "/\(name)" }
        if let subresource { path += "/\(subresource)" }
        return path
    }
}

extension GroupVersionResource {
    package static let namespaces = Self(resource: "namespaces", kind: "Namespace", isNamespaced: false)
    package static let nodes = Self(resource: "nodes", kind: "Node", isNamespaced: false)
    package static let pods = Self(resource: "pods", kind: "Pod")
    package static let services = Self(resource: "services", kind: "Service")
    package static let serviceAccounts = Self(resource: "serviceaccounts", kind: "ServiceAccount")
    package static let configMaps = Self(resource: "configmaps", kind: "ConfigMap")
    package static let secrets = Self(resource: "secrets", kind: "Secret")
    package static let endpoints = Self(resource: "endpoints", kind: "Endpoints")
    package static let events = Self(resource: "events", kind: "Event")
    package static let endpointSlices = Self(
        group: "discovery.k8s.io", resource: "endpointslices", kind: "EndpointSlice")
    package static let deployments = Self(group: "apps", resource: "deployments", kind: "Deployment")
    package static let replicaSets = Self(group: "apps", resource: "replicasets", kind: "ReplicaSet")
    package static let statefulSets = Self(group: "apps", resource: "statefulsets", kind: "StatefulSet")
    package static let daemonSets = Self(group: "apps", resource: "daemonsets", kind: "DaemonSet")
    package static let leases = Self(group: "coordination.k8s.io", resource: "leases", kind: "Lease")
    package static let horizontalPodAutoscalers = Self(
        group: "autoscaling", version: "v2", resource: "horizontalpodautoscalers", kind: "HorizontalPodAutoscaler")
    package static let podDisruptionBudgets = Self(
        group: "policy", resource: "poddisruptionbudgets", kind: "PodDisruptionBudget")
    package static let customResourceDefinitions = Self(
        group: "apiextensions.k8s.io", resource: "customresourcedefinitions", kind: "CustomResourceDefinition",
        isNamespaced: false)
    package static let mutatingWebhookConfigurations = Self(
        group: "admissionregistration.k8s.io", resource: "mutatingwebhookconfigurations",
        kind: "MutatingWebhookConfiguration", isNamespaced: false)
    package static let validatingWebhookConfigurations = Self(
        group: "admissionregistration.k8s.io", resource: "validatingwebhookconfigurations",
        kind: "ValidatingWebhookConfiguration", isNamespaced: false)
    package static let tokenReviews = Self(
        group: "authentication.k8s.io", resource: "tokenreviews", kind: "TokenReview", isNamespaced: false)
    package static let selfSubjectReviews = Self(
        group: "authentication.k8s.io", resource: "selfsubjectreviews", kind: "SelfSubjectReview", isNamespaced: false)
    package static let subjectAccessReviews = Self(
        group: "authorization.k8s.io", resource: "subjectaccessreviews", kind: "SubjectAccessReview",
        isNamespaced: false)
    package static let selfSubjectAccessReviews = Self(
        group: "authorization.k8s.io", resource: "selfsubjectaccessreviews", kind: "SelfSubjectAccessReview",
        isNamespaced: false)

    package static let virtualServices = Self(
        group: "networking.istio.io", resource: "virtualservices", kind: "VirtualService")
    package static let destinationRules = Self(
        group: "networking.istio.io", resource: "destinationrules", kind: "DestinationRule")
    package static let sidecars = Self(group: "networking.istio.io", resource: "sidecars", kind: "Sidecar")
    package static let peerAuthentications = Self(
        group: "security.istio.io", resource: "peerauthentications", kind: "PeerAuthentication")
    package static let telemetries = Self(group: "telemetry.istio.io", resource: "telemetries", kind: "Telemetry")
}
