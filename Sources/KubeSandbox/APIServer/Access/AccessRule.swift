import KubeCore

/// One rule of a Role or ClusterRole.
struct AccessRule: Sendable, Hashable {
    var verbs: [String]
    var groups: [String]
    var resources: [String]
    var names: [String]
    var paths: [String]

    init(_ json: JSONValue) {
        func strings(_ name: String) -> [String] { json[name]?.array?.compactMap(\.string) ?? [] }
        verbs = strings("verbs")
        groups = strings("apiGroups")
        resources = strings("resources")
        names = strings("resourceNames")
        paths = strings("nonResourceURLs")
    }

    func allows(_ wanted: AccessAttributes) -> Bool {
        guard verbs.contains("*") || verbs.contains(wanted.verb) else { return false }
        if let path = wanted.path { return paths.contains { Self.matches($0, path: path) } }
        return (groups.contains("*") || groups.contains(wanted.group))
            && resources.contains { matches($0, wanted) }
            && (names.isEmpty || names.contains(wanted.name))
    }

    private func matches(_ pattern: String, _ wanted: AccessAttributes) -> Bool {
        pattern == "*" || pattern == wanted.qualifiedResource
            || (!wanted.subresource.isEmpty && pattern == "*/\(wanted.subresource)")
    }

    private static func matches(_ pattern: String, path: String) -> Bool {
        pattern == "*" || pattern == path || (pattern.hasSuffix("*") && path.hasPrefix(pattern.dropLast()))
    }

    /// As SelfSubjectRulesReview lists it.
    var json: JSONValue {
        var json: JSONValue = ["verbs": JSONValue(verbs)]
        if !paths.isEmpty { json["nonResourceURLs"] = JSONValue(paths) }
        if !resources.isEmpty {
            json["apiGroups"] = JSONValue(groups)
            json["resources"] = JSONValue(resources)
        }
        if !names.isEmpty { json["resourceNames"] = JSONValue(names) }
        return json
    }
}
