import KubeCore

/// One entry of a webhook configuration.
struct AdmissionWebhook: Sendable {
    struct Rule: Sendable {
        var operations: [String]
        var groups: [String]
        var versions: [String]
        var resources: [String]
        var scope: String
    }

    var name: String
    var rules: [Rule]
    var namespaceSelector: LabelSelector?
    var objectSelector: LabelSelector?
    var isEquivalent: Bool
    var ignoresFailure: Bool
    var isReinvoked: Bool
    var timeoutSeconds: Int
    var clientConfig: JSONValue

    init(_ json: JSONValue) {
        func strings(_ value: JSONValue?) -> [String] { value?.array?.compactMap(\.string) ?? [] }
        func selector(_ name: String) -> LabelSelector? {
            guard let selector = try? json[name]?.decode(LabelSelector.self), !selector.isEmpty else { return nil }
            return selector
        }
        name = json["name"]?.string ?? ""
        rules = (json["rules"]?.array ?? []).map { rule in
            Rule(
                operations: strings(rule["operations"]), groups: strings(rule["apiGroups"]),
                versions: strings(rule["apiVersions"]), resources: strings(rule["resources"]),
                scope: rule["scope"]?.string ?? "*")
        }
        namespaceSelector = selector("namespaceSelector")
        objectSelector = selector("objectSelector")
        isEquivalent = json["matchPolicy"]?.string != "Exact"
        ignoresFailure = json["failurePolicy"]?.string == "Ignore"
        isReinvoked = json["reinvocationPolicy"]?.string == "IfNeeded"
        timeoutSeconds = json["timeoutSeconds"]?.int ?? 10
        clientConfig = json["clientConfig"] ?? [:]
    }

    /// - Parameter isServed: whether a group, version and resource exist; for rules that name another version.
    func matches(
        _ operation: Admission.Operation, _ type: ResourceType, subresource: String?,
        isServed: (String, String, String) -> Bool
    ) -> Bool {
        rules.contains { rule in
            guard rule.operations.contains("*") || rule.operations.contains(operation.rawValue) else { return false }
            guard rule.groups.contains("*") || rule.groups.contains(type.group) else { return false }
            let isVersion =
                rule.versions.contains("*") || rule.versions.contains(type.version)
                || (isEquivalent && rule.versions.contains { isServed(type.group, $0, type.resource) })
            guard isVersion else { return false }
            guard rule.scope == "*" || rule.scope == (type.isNamespaced ? "Namespaced" : "Cluster") else {
                return false
            }
            return rule.resources.contains { Self.matches($0, type.resource, subresource) }
        }
    }

    /// `pods`, `pods/status`, `pods/*`, `*`, `*/status`, `*/*`: a pattern without a slash means the resource itself only, one
    /// that ends in `/*` means it and its subresources.
    static func matches(_ pattern: String, _ resource: String, _ subresource: String?) -> Bool {
        let parts = pattern.split(separator: "/", maxSplits: 1).map(String.init)
        guard let first = parts.first, first == "*" || first == resource else { return false }
        if parts.count == 1 { return subresource == nil }
        return parts[1] == "*" || parts[1] == subresource
    }
}
