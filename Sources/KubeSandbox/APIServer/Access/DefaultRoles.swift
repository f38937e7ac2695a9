import KubeCore

/// The roles and bindings that every cluster begins with, as far as a development cluster needs them.
enum DefaultRoles {
    /// ClusterRoles by name: their rules.
    static let roles: [(name: String, object: JSONValue)] = [
        role("cluster-admin", [all, ["nonResourceURLs": ["*"], "verbs": ["*"]]]),
        role(
            "system:basic-user",
            [
                rule(
                    "authorization.k8s.io", ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
                rule("authentication.k8s.io", ["selfsubjectreviews"], ["create"]),
            ]),
        role(
            "system:discovery",
            [
                [
                    "verbs": ["get"],
                    "nonResourceURLs": [
                        "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz",
                        "/version", "/version/",
                    ],
                ]
            ]),
        aggregate("admin"), aggregate("edit"), aggregate("view"),
        part("view", of: ["view", "edit", "admin"], [reads]),
        part("edit", of: ["edit", "admin"], [writes]),
        part(
            "admin", of: ["admin"], [rule("rbac.authorization.k8s.io", ["roles", "rolebindings"], ["*"])]),
    ]

    /// ClusterRoleBindings by name: role and group.
    static let bindings: [(name: String, role: String, group: String)] = [
        ("cluster-admin", "cluster-admin", "system:masters"),
        ("system:basic-user", "system:basic-user", "system:authenticated"),
        ("system:discovery", "system:discovery", "system:authenticated"),
    ]

    private static let all: JSONValue = ["apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]]

    private static let reads: JSONValue = [
        "apiGroups": ["", "apps", "autoscaling", "batch", "discovery.k8s.io", "networking.k8s.io", "policy"],
        "resources": [
            "bindings", "configmaps", "controllerrevisions", "cronjobs", "daemonsets", "deployments",
            "deployments/scale",
            "endpoints", "endpointslices", "events", "horizontalpodautoscalers", "ingresses", "jobs", "limitranges",
            "namespaces", "networkpolicies", "persistentvolumeclaims", "poddisruptionbudgets", "pods", "pods/log",
            "pods/status", "replicasets", "replicasets/scale", "resourcequotas", "serviceaccounts", "services",
            "statefulsets", "statefulsets/scale",
        ], "verbs": ["get", "list", "watch"],
    ]

    private static let writes: JSONValue = [
        "apiGroups": ["", "apps", "autoscaling", "batch", "networking.k8s.io", "policy"],
        "resources": [
            "configmaps", "cronjobs", "daemonsets", "deployments", "deployments/scale", "endpoints",
            "horizontalpodautoscalers", "ingresses", "jobs", "networkpolicies", "persistentvolumeclaims",
            "poddisruptionbudgets", "pods", "pods/eviction", "replicasets", "replicasets/scale", "secrets",
            "serviceaccounts", "serviceaccounts/token", "services", "statefulsets", "statefulsets/scale",
        ], "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    ]

    private static func rule(_ group: String, _ resources: [String], _ verbs: [String]) -> JSONValue {
        ["apiGroups": [.string(group)], "resources": JSONValue(resources), "verbs": JSONValue(verbs)]
    }

    private static func role(_ name: String, _ rules: [JSONValue], labels: [String: String] = [:]) -> (
        name: String, object: JSONValue
    ) {
        var metadata: JSONValue = ["name": .string(name)]
        var all = labels
        all["kubernetes.io/bootstrapping"] = "rbac-defaults"
        metadata["labels"] = JSONValue(all)
        return (
            name,
            [
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata,
                "rules": .array(rules),
            ]
        )
    }

    private static func label(_ name: String) -> String { "rbac.authorization.k8s.io/aggregate-to-\(name)" }

    private static func aggregate(_ name: String) -> (name: String, object: JSONValue) {
        var role = role(name, [])
        role.object["aggregationRule"] = ["clusterRoleSelectors": [["matchLabels": [label(name): "true"]]]]
        return role
    }

    private static func part(_ name: String, of wholes: [String], _ rules: [JSONValue]) -> (
        name: String, object: JSONValue
    ) {
        role(
            "system:aggregate-to-\(name)", rules,
            labels: .init(uniqueKeysWithValues: wholes.map { (label($0), "true") }))
    }
}
