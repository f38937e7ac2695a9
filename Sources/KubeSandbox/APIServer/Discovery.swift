import KubeCore

/// What the server says about itself: groups, versions and resources, in both forms that clients ask for.
struct Discovery: Sendable {
    let types: [ResourceType]

    /// Versions of a group in the order of preference: `v2`, `v1`, then betas and alphas.
    private func versions(of group: String) -> [String] {
        var seen: Set<String> = []
        return types.filter { $0.group == group && seen.insert($0.version).inserted }.map(\.version)
            .sorted { Self.rank($0) > Self.rank($1) }
    }

    private static func rank(_ version: String) -> (Int, Int, Int) {
        let numbers = version.split { !$0.isNumber }.compactMap { Int($0) }
        let stability = version.contains("alpha") ? 0 : version.contains("beta") ? 1 : 2
        return (stability, numbers.first ?? 0, numbers.dropFirst().first ?? 0)
    }

    private var groups: [String] { Array(Set(types.map(\.group))).filter { !$0.isEmpty }.sorted() }

    /// `/api`
    var core: JSONValue { ["kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []] }

    /// `/apis`
    var groupList: JSONValue {
        ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(groups.compactMap { group($0) })]
    }

    /// `/apis/<group>`; nil when there is no such group.
    func group(_ name: String) -> JSONValue? {
        let versions = versions(of: name).map { version -> JSONValue in
            ["groupVersion": .string("\(name)/\(version)"), "version": .string(version)]
        }
        guard let preferred = versions.first else { return nil }
        return [
            "kind": "APIGroup", "apiVersion": "v1", "name": .string(name), "versions": .array(versions),
            "preferredVersion": preferred,
        ]
    }

    /// `/api/v1`, `/apis/<group>/<version>`; nil when there is no such version.
    func resources(group: String, version: String) -> JSONValue? {
        let own = types.filter { $0.group == group && $0.version == version }
        guard !own.isEmpty else { return nil }
        return [
            "kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": .string(group.isEmpty ? version : "\(group)/\(version)"),
            "resources": .array(own.flatMap(Self.entries)),
        ]
    }

    private static func entries(_ type: ResourceType) -> [JSONValue] {
        var main: JSONValue = [
            "name": .string(type.resource), "singularName": .string(type.singular),
            "namespaced": .bool(type.isNamespaced),
            "kind": .string(type.kind), "verbs": JSONValue(type.verbs),
        ]
        if !type.shortNames.isEmpty { main["shortNames"] = JSONValue(type.shortNames) }
        if !type.categories.isEmpty { main["categories"] = JSONValue(type.categories) }
        return [main]
            + subresources(type).map { part in
                var entry: JSONValue = [
                    "name": .string("\(type.resource)/\(part.name)"), "singularName": "",
                    "namespaced": .bool(type.isNamespaced), "kind": .string(part.kind), "verbs": JSONValue(part.verbs),
                ]
                if part.groupVersion != type.apiVersion {
                    let (group, version) = split(part.groupVersion)
                    entry["group"] = .string(group)
                    entry["version"] = .string(version)
                }
                return entry
            }
    }

    private static func subresources(_ type: ResourceType) -> [(
        name: String, kind: String, groupVersion: String, verbs: [String]
    )] {
        var parts: [(name: String, kind: String, groupVersion: String, verbs: [String])] = []
        if type.hasStatus { parts.append(("status", type.kind, type.apiVersion, ["get", "patch", "update"])) }
        if type.scale != nil { parts.append(("scale", "Scale", "autoscaling/v1", ["get", "patch", "update"])) }
        for action in type.actions {
            let verbs = action.name == "log" ? ["get"] : action.name == "finalize" ? ["update"] : ["create"]
            parts.append((action.name, action.kind, action.groupVersion, verbs))
        }
        return parts
    }

    private static func split(_ groupVersion: String) -> (group: String, version: String) {
        let parts = groupVersion.split(separator: "/").map(String.init)
        return parts.count == 2 ? (parts[0], parts[1]) : ("", groupVersion)
    }

    // MARK: - Aggregated

    /// All in one answer: `APIGroupDiscoveryList`.
    /// - Parameter isCore: for `/api` (the core group only) or `/apis` (the others).
    func aggregated(isCore: Bool) -> JSONValue {
        let names = isCore ? [""] : groups
        return [
            "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": [:],
            "items": .array(
                names.map { name in
                    [
                        "metadata": name.isEmpty ? [:] : ["name": .string(name)],
                        "versions": .array(versions(of: name).map { aggregated(group: name, version: $0) }),
                    ]
                }),
        ]
    }

    private func aggregated(group: String, version: String) -> JSONValue {
        let own = types.filter { $0.group == group && $0.version == version }
        return [
            "version": .string(version), "freshness": "Current",
            "resources": .array(
                own.map { type in
                    var entry: JSONValue = [
                        "resource": .string(type.resource), "singularResource": .string(type.singular),
                        "scope": type.isNamespaced ? "Namespaced" : "Cluster", "verbs": JSONValue(type.verbs),
                        "responseKind": Self.kind(type.kind, type.apiVersion),
                    ]
                    if !type.shortNames.isEmpty { entry["shortNames"] = JSONValue(type.shortNames) }
                    if !type.categories.isEmpty { entry["categories"] = JSONValue(type.categories) }
                    let parts = Self.subresources(type)
                    if !parts.isEmpty {
                        entry["subresources"] = .array(
                            parts.map { part in
                                [
                                    "subresource": .string(part.name), "verbs": JSONValue(part.verbs),
                                    "responseKind": Self.kind(part.kind, part.groupVersion),
                                ]
                            })
                    }
                    return entry
                }),
        ]
    }

    private static func kind(_ kind: String, _ groupVersion: String) -> JSONValue {
        let (group, version) = split(groupVersion)
        return ["group": .string(group), "version": .string(version), "kind": .string(kind)]
    }
}
