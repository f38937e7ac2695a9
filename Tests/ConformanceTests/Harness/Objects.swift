import KubeCore

/// Objects as tests write them; the namespace comes with the request.
enum Objects {
    static func configMap(_ name: String, _ data: [String: String] = [:], labels: [String: String] = [:]) -> KubeObject
    {
        var object = KubeObject(.configMaps, name: name)
        if !data.isEmpty { object.json["data"] = JSONValue(data) }
        object.labels = labels
        return object
    }

    /// A pod that no scheduler takes.
    static func pod(_ name: String, labels: [String: String] = [:], node: String? = nil) -> KubeObject {
        var object = KubeObject(.pods, name: name)
        object.labels = labels
        object.spec = [
            "schedulerName": "heddle-conformance", "terminationGracePeriodSeconds": 30,
            "containers": [["name": "app", "image": "registry.invalid/app:1"]],
        ]
        if let node { object.json[path: "spec", "nodeName"] = .string(node) }
        return object
    }

    /// A Deployment without pods.
    static func deployment(_ name: String = "web", replicas: Int = 0) -> KubeObject {
        var object = KubeObject(.deployments, name: name)
        object.spec = [
            "replicas": .int(replicas), "selector": ["matchLabels": ["app": .string(name)]],
            "template": [
                "metadata": ["labels": ["app": .string(name)]],
                "spec": [
                    "schedulerName": "heddle-conformance",
                    "containers": [
                        [
                            "name": "app", "image": "registry.invalid/app:1", "env": [["name": "A", "value": "1"]],
                            "ports": [["containerPort": 80, "name": "http"]],
                        ]
                    ],
                ],
            ],
        ]
        return object
    }

    static func service(_ name: String) -> KubeObject {
        var object = KubeObject(.services, name: name)
        object.spec = ["selector": ["app": "web"], "ports": [["name": "http", "port": 80]]]
        return object
    }
}

extension KubeObject {
    /// A reference that makes `self` an owner.
    func owner(blocks: Bool = false) -> JSONValue {
        var reference: JSONValue = [
            "apiVersion": .string(apiVersion), "kind": .string(kind), "name": .string(name), "uid": .string(uid),
        ]
        if blocks { reference["blockOwnerDeletion"] = true }
        return reference
    }

    /// The entries of `metadata.managedFields`.
    var managers: [JSONValue] { json[path: "metadata", "managedFields"]?.array ?? [] }

    /// What a manager owns, as `fieldsV1`.
    func owned(by manager: String, _ operation: String = "Apply", subresource: String? = nil) -> JSONValue? {
        managers.first {
            $0["manager"]?.string == manager && $0["operation"]?.string == operation
                && ($0["subresource"]?.string ?? "") == (subresource ?? "")
        }?["fieldsV1"]
    }
}
