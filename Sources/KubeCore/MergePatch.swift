extension JSONValue {
    /// Applies a JSON merge patch (RFC 7396): members of `patch` replace, null removes, objects merge.
    package func merging(_ patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var members = object ?? [:]
        for (name, change) in changes {
            members[name] = change.isNull ? .none : (members[name] ?? .null).merging(change)
        }
        return .object(members)
    }

    /// The smallest merge patch that turns `self` into `target`; nil when they are equal.
    package func mergePatch(to target: JSONValue) -> JSONValue? {
        if self == target { return nil }
        guard case .object(let old) = self, case .object(let new) = target else { return target }
        var changes = JSONObject()
        for name in old.keys where new[name] == nil { changes[name] = .null }
        for (name, value) in new {
            if let before = old[name] {
                if let change = before.mergePatch(to: value) { changes[name] = change }
            } else {
                changes[name] = value
            }
        }
        return .object(changes)
    }
}
