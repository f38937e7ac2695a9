import KubeCore

/// Strategic merge patch: a merge patch that merges known lists by key and understands directives.
///
/// Understood: `$patch: replace | delete | merge` in objects and list elements, `$retainKeys`,
/// `$setElementOrder/<list>` and `$deleteFromPrimitiveList/<list>`.
enum StrategicMerge {
    /// - Throws: a `FieldError` naming the element of a keyed list that lacks its key.
    static func apply(_ patch: JSONValue, to original: JSONValue, schema: MergeSchema) throws(FieldError) -> JSONValue {
        try object(patch, original, schema, at: "")
    }

    private static func object(_ patch: JSONValue, _ original: JSONValue?, _ schema: MergeSchema, at path: String)
        throws(FieldError) -> JSONValue
    {
        guard var changes = patch.object else { return patch }
        switch changes.removeValue(forKey: "$patch")?.string {
        case "replace": return .object(withoutDirectives(changes))
        case "delete": return .object([:])
        default: break
        }
        var members = original?.object ?? [:]
        if let retained = changes.removeValue(forKey: "$retainKeys")?.array?.compactMap(\.string) {
            members = members.filter { retained.contains($0.key) }
        }
        var orders: [String: [JSONValue]] = [:]
        for (name, change) in changes {
            let at = path.isEmpty ? name : "\(path).\(name)"
            if let list = name.directive("$setElementOrder/") {
                orders[list] = change.array
            } else if let list = name.directive("$deleteFromPrimitiveList/") {
                let gone = change.array ?? []
                members[list] = members[list].map { .array(($0.array ?? []).filter { !gone.contains($0) }) }
            } else if change.isNull {
                members[name] = nil
            } else {
                let merged = try value(change, members[name], schema.member(name), at: at)
                // A list that was emptied by directives is left out, as one that was never there.
                let isEmptied = merged == [] && change != []
                members[name] = isEmptied ? .none : merged
            }
        }
        for (name, order) in orders {
            guard let elements = members[name]?.array else { continue }
            members[name] = .array(sort(elements, order, key: schema.member(name).strategicKey))
        }
        return .object(members)
    }

    private static func value(_ change: JSONValue, _ old: JSONValue?, _ schema: MergeSchema, at path: String)
        throws(FieldError) -> JSONValue
    {
        switch change {
        case .object: return try object(change, old, schema, at: path)
        case .array(let elements):
            if let key = schema.strategicKey {
                return try list(elements, old?.array ?? [], key, schema.element, at: path)
            }
            if schema.list == .set {
                let old = old?.array ?? []
                return .array(old + elements.filter { !old.contains($0) })
            }
            return .array(elements.map(clean))
        default: return change
        }
    }

    private static func list(
        _ patches: [JSONValue], _ old: [JSONValue], _ key: String, _ schema: MergeSchema, at path: String
    ) throws(FieldError) -> JSONValue {
        // `[{"$patch": "replace"}, ...]` replaces the whole list.
        if patches.contains(where: { $0["$patch"]?.string == "replace" }) {
            return .array(patches.filter { $0["$patch"]?.string != "replace" }.map(clean))
        }
        var result = old
        for (index, patch) in patches.enumerated() {
            guard let identity = patch[key] else {
                throw FieldError(
                    path: "\(path)[\(index)]", message: "map does not contain the merge key '\(key)' of its list")
            }
            let position = result.firstIndex { $0[key] == identity }
            if patch["$patch"]?.string == "delete" {
                result.removeAll { $0[key] == identity }
            } else if let position {
                result[position] = try object(patch, result[position], schema, at: "\(path)[\(position)]")
            } else {
                result.append(clean(try object(patch, nil, schema, at: "\(path)[\(result.count)]")))
            }
        }
        return .array(result)
    }

    /// Elements that the order names stand in that order; the others keep their place relative to what precedes them.
    private static func sort(_ elements: [JSONValue], _ order: [JSONValue], key: String?) -> [JSONValue] {
        func identity(_ element: JSONValue) -> JSONValue { key.flatMap { element[$0] } ?? element }
        let wanted = order.map(identity)
        var named = wanted.compactMap { want in elements.first { identity($0) == want } }[...]
        var result: [JSONValue] = []
        for element in elements {
            if wanted.contains(identity(element)) {
                if let next = named.popFirst() { result.append(next) }
            } else {
                result.append(element)
            }
        }
        return result + named
    }

    private static func withoutDirectives(_ members: JSONObject) -> JSONObject {
        members.filter { !$0.key.hasPrefix("$") }.mapValues(clean)
    }

    private static func clean(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members): .object(withoutDirectives(members))
        case .array(let elements): .array(elements.map(clean))
        default: value
        }
    }
}

extension String {
    fileprivate func directive(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
