import KubeCore

/// Role-based access control over the roles and bindings in the store.
///
/// It looks at every binding for each question: right for a development cluster's dozens of them, not for thousands.
struct Authorizer: Sendable {
    let store: Store

    static let bindings = "rolebindings.rbac.authorization.k8s.io"
    static let clusterBindings = "clusterrolebindings.rbac.authorization.k8s.io"
    static let roles = "roles.rbac.authorization.k8s.io"
    static let clusterRoles = "clusterroles.rbac.authorization.k8s.io"

    func allows(_ caller: Caller, _ wanted: AccessAttributes) -> Bool {
        if caller.groups.contains("system:masters") { return true }
        return rules(of: caller, namespace: wanted.namespace).contains { $0.allows(wanted) }
    }

    /// All rules that hold for a caller in a namespace (empty: cluster-wide ones only).
    func rules(of caller: Caller, namespace: String) -> [AccessRule] {
        var rules: [AccessRule] = []
        for binding in store.list(Self.clusterBindings).items where isSubject(caller, of: binding) {
            rules += self.rules(of: binding)
        }
        guard !namespace.isEmpty else { return rules }
        for binding in store.list(Self.bindings, matching: WatchFilter(namespace: namespace)).items
        where isSubject(caller, of: binding) {
            rules += self.rules(of: binding)
        }
        return rules
    }

    private func rules(of binding: StoredObject) -> [AccessRule] {
        let reference = binding.json["roleRef"] ?? [:]
        let isCluster = reference["kind"]?.string == "ClusterRole"
        let key = ObjectKey(
            namespace: isCluster ? "" : binding.key.namespace, name: reference["name"]?.string ?? "")
        let role = store.get(isCluster ? Self.clusterRoles : Self.roles, key)
        return (role?.json["rules"]?.array ?? []).map(AccessRule.init)
    }

    private func isSubject(_ caller: Caller, of binding: StoredObject) -> Bool {
        (binding.json["subjects"]?.array ?? []).contains { subject in
            let name = subject["name"]?.string ?? ""
            switch subject["kind"]?.string {
            case "User": return name == caller.name
            case "Group": return caller.groups.contains(name)
            case "ServiceAccount":
                let namespace = subject["namespace"]?.string ?? binding.key.namespace
                return caller.name == "system:serviceaccount:\(namespace):\(name)"
            default: return false
            }
        }
    }
}

extension APIServer {
    /// - Throws: `Forbidden`.
    func authorize(_ caller: Caller, _ wanted: AccessAttributes) throws(APIError) {
        guard configuration.authorization == .rbac, !Authorizer(store: store).allows(caller, wanted) else { return }
        throw wanted.refusal(to: caller)
    }

    /// The status of an access review about `caller`.
    func accessStatus(_ caller: Caller, _ spec: JSONValue) -> JSONValue {
        guard configuration.authorization == .rbac else {
            return ["allowed": true, "reason": "the sandbox allows everything"]
        }
        guard let wanted = AccessAttributes(review: spec) else {
            return ["allowed": false, "evaluationError": "neither resourceAttributes nor nonResourceAttributes"]
        }
        return ["allowed": .bool(Authorizer(store: store).allows(caller, wanted))]
    }

    /// The status of a SelfSubjectRulesReview.
    func rulesStatus(_ caller: Caller, namespace: String) -> JSONValue {
        var rules: [JSONValue] = [["verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "nonResourceURLs": ["*"]]]
        if configuration.authorization == .rbac, !caller.groups.contains("system:masters") {
            rules = Authorizer(store: store).rules(of: caller, namespace: namespace).map(\.json)
        }
        func part(_ name: String, without other: String) -> JSONValue {
            .array(
                rules.filter { $0[name] != nil }.map { rule in
                    var rule = rule
                    rule[other] = nil
                    if name == "nonResourceURLs" { rule["apiGroups"] = nil }
                    return rule
                })
        }
        return [
            "incomplete": false, "resourceRules": part("resources", without: "nonResourceURLs"),
            "nonResourceRules": part("nonResourceURLs", without: "resources"),
        ]
    }
}
