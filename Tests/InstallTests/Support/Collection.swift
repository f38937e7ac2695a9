import KubeCore

/// Where objects of a manifest live in the API.
enum Collection {
    private static let plurals = [
        "Namespace": "namespaces", "Service": "services", "ServiceAccount": "serviceaccounts", "Pod": "pods",
        "Deployment": "deployments", "PodDisruptionBudget": "poddisruptionbudgets", "Role": "roles",
        "RoleBinding": "rolebindings", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings",
        "NetworkPolicy": "networkpolicies", "CustomResourceDefinition": "customresourcedefinitions",
        "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
        "ValidatingWebhookConfiguration": "validatingwebhookconfigurations", "Mesh": "meshes",
        "Adoption": "adoptions", "Canary": "canaries", "ServicePolicy": "servicepolicies",
        "MetricTemplate": "metrictemplates", "ServiceMonitor": "servicemonitors", "PodMonitor": "podmonitors",
        "Certificate": "certificates",
    ]

    /// The path of the collection that an object belongs to; nil for a kind that no manifest of ours has.
    static func path(of object: KubeObject) -> String? {
        guard let plural = plurals[object.kind] else { return nil }
        let base = object.apiVersion.contains("/") ? "/apis/\(object.apiVersion)" : "/api/\(object.apiVersion)"
        let space = object.namespace.isEmpty ? "" : "/namespaces/\(object.namespace)"
        return "\(base)\(space)/\(plural)"
    }

    /// The version of a group that Heddle speaks.
    static func version(of group: String) -> String {
        switch group {
        case "heddle.dev": "v1alpha1"
        default: "v1"
        }
    }
}
