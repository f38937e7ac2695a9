import KubeCore

/// What somebody wants to do, as access rules see it.
struct AccessAttributes: Sendable, Hashable {
    var verb: String
    var group = ""
    /// Plural; empty when a path is asked for.
    var resource = ""
    var subresource = ""
    var name = ""
    /// Empty: all namespaces, or no namespaced resource.
    var namespace = ""
    /// A path that is no resource's; nil for a resource.
    var path: String?

    /// As rules write it: `deployments/scale`.
    var qualifiedResource: String { subresource.isEmpty ? resource : "\(resource)/\(subresource)" }
}

extension AccessAttributes {
    init(_ request: APIRequest, _ type: ResourceType) {
        self.init(
            verb: request.verb.rbacName, group: type.group, resource: type.resource,
            subresource: request.subresource ?? "", name: request.name ?? "",
            namespace: type.isNamespaced ? request.namespace ?? "" : "")
    }

    /// Reads the question of an access review; nil when it asks nothing.
    init?(review spec: JSONValue) {
        if let path = spec["nonResourceAttributes"] {
            self.init(verb: path["verb"]?.string ?? "", path: path["path"]?.string ?? "")
        } else if let asked = spec["resourceAttributes"] {
            func text(_ name: String) -> String { asked[name]?.string ?? "" }
            self.init(
                verb: text("verb"), group: text("group"), resource: text("resource"),
                subresource: text("subresource"), name: text("name"), namespace: text("namespace"))
        } else {
            return nil
        }
    }

    /// The refusal, worded as a real API server words it.
    func refusal(to caller: Caller) -> APIError {
        if let path { return .forbidden("forbidden: User \"\(caller.name)\" cannot \(verb) path \"\(path)\"") }
        let qualified = group.isEmpty ? resource : "\(resource).\(group)"
        let what = name.isEmpty ? qualified : "\(qualified) \"\(name)\""
        let place = namespace.isEmpty ? "at the cluster scope" : "in the namespace \"\(namespace)\""
        return .forbidden(
            "\(what) is forbidden: User \"\(caller.name)\" cannot \(verb) resource \"\(qualifiedResource)\" in API group"
                + " \"\(group)\" \(place)")
    }
}
