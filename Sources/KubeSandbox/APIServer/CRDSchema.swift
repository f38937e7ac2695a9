import KubeCore

/// The structural schema of one version of a custom resource: prunes, fills in defaults and validates.
///
/// Read as Kubernetes reads `openAPIV3Schema`, except that `x-kubernetes-validations` (CEL) is not evaluated: an object
/// that only a CEL rule forbids is accepted here and refused by a real API server.
struct CRDSchema: Sendable {
    /// The schema's root, marked so that `MergeSchema` knows it as one.
    let root: JSONValue

    init(_ schema: JSONValue) {
        var root = schema
        root["x-root"] = true
        self.root = root
    }

    /// Removes what the schema does not know.
    /// - Returns: the pruned object and the paths that were removed.
    func prune(_ object: JSONValue) -> (object: JSONValue, unknown: [String]) {
        var unknown: [String] = []
        let pruned = Self.prune(object, root, at: "", isRoot: true, &unknown)
        return (pruned, unknown.sorted())
    }

    /// Fills in defaults, also inside of defaults.
    func withDefaults(_ object: JSONValue) -> JSONValue { Self.withDefaults(object, root) }

    // MARK: - Pruning

    /// Known in every object, whatever the schema says.
    private static let always: Set<String> = ["apiVersion", "kind", "metadata"]

    private static func prune(
        _ value: JSONValue, _ schema: JSONValue, at path: String, isRoot: Bool, _ unknown: inout [String]
    ) -> JSONValue {
        switch value {
        case .object(let members):
            let isEmbedded = schema["x-kubernetes-embedded-resource"] == true
            let properties = schema["properties"]?.object
            let additional = schema["additionalProperties"]
            let keepsUnknown = schema["x-kubernetes-preserve-unknown-fields"] == true || additional == true
            var kept: [String: JSONValue] = [:]
            for (name, member) in members {
                let at = path.isEmpty ? name : "\(path).\(name)"
                if isRoot || isEmbedded, always.contains(name) {
                    kept[name] = member
                } else if let child = properties?[name] {
                    kept[name] = prune(member, child, at: at, isRoot: false, &unknown)
                } else if let additional, additional.object != nil {
                    kept[name] = prune(member, additional, at: at, isRoot: false, &unknown)
                } else if keepsUnknown {
                    kept[name] = member
                } else {
                    unknown.append(at)
                }
            }
            return .object(kept)
        case .array(let elements):
            guard let items = schema["items"] else { return value }
            return .array(
                elements.enumerated().map { prune($1, items, at: "\(path)[\($0)]", isRoot: false, &unknown) })
        default: return value
        }
    }

    // MARK: - Defaults

    private static func withDefaults(_ value: JSONValue, _ schema: JSONValue) -> JSONValue {
        switch value {
        case .object(var members):
            for (name, child) in schema["properties"]?.object ?? [:] {
                // A null for a field that has a default and is not nullable counts as absent.
                if members[name]?.isNull == true, child["nullable"] != true, child["default"] != nil {
                    members[name] = nil
                }
                if let member = members[name] {
                    members[name] = withDefaults(member, child)
                } else if let fallback = child["default"] {
                    members[name] = withDefaults(fallback, child)
                }
            }
            if let additional = schema["additionalProperties"], additional.object != nil {
                let named = schema["properties"]?.object ?? [:]
                for (name, member) in members where named[name] == nil {
                    members[name] = withDefaults(member, additional)
                }
            }
            return .object(members)
        case .array(let elements):
            guard let items = schema["items"] else { return value }
            return .array(elements.map { withDefaults($0, items) })
        default: return value
        }
    }
}
