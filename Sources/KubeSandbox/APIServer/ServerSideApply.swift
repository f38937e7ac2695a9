import KubeCore

/// Server-side apply: merges what a manager sends into an object, by who owns what.
struct ServerSideApply {
    struct Result {
        var object: JSONValue
        var managed: ManagedFields
    }

    let schema: MergeSchema
    let manager: ManagedFields.Manager
    let force: Bool
    /// Time stamp of the entries that change.
    let time: String

    /// - Parameters:
    ///   - applied: the manager's whole intent: what it sent before and does not send now, it gives up.
    ///   - live: the present object; nil makes a new one.
    ///   - managed: the present owners.
    /// - Throws: `Conflict` with one cause a field that another manager owns with another value, unless `force`.
    func apply(_ applied: JSONValue, to live: JSONValue?, managed: ManagedFields) throws(APIError) -> Result {
        var managed = managed
        let intent = Self.withoutNulls(applied)
        let set = FieldSet.applied(intent, schema).subtracting(ManagedFields.unowned)
        let before = live ?? [:]
        var merged = merge(live, intent, schema)

        let changed = FieldSet.difference(from: before, to: merged, schema).set.intersection(set)
        try settleConflicts(over: changed, in: &managed)

        let last = managed.entries[manager]
        if let last {
            let others = managed.entries.filter { $0.key != manager }.map(\.value.fields).reduce(FieldSet()) {
                $0.union($1)
            }
            let given = last.fields.subtracting(set)
            if !given.isEmpty { merged = prune(merged, given: given, kept: set.union(others), schema) }
        }
        managed.keep(set, of: manager, time: time, before: last)
        return Result(object: merged, managed: managed)
    }

    private func settleConflicts(over changed: FieldSet, in managed: inout ManagedFields) throws(APIError) {
        var conflicts: [(who: String, path: String)] = []
        for (other, entry) in managed.entries where other != manager {
            let contested = entry.fields.intersection(changed)
            if contested.isEmpty { continue }
            let who = other.description(time: entry.time)
            conflicts += contested.paths.map { (who, $0) }
            managed.keep(entry.fields.subtracting(contested), of: other, time: entry.time, before: entry)
        }
        guard !force, !conflicts.isEmpty else { return }
        conflicts.sort { ($0.who, $0.path) < ($1.who, $1.path) }
        let text: String
        if conflicts.count == 1 {
            text = "Apply failed with 1 conflict: conflict with \(conflicts[0].who): \(conflicts[0].path)"
        } else {
            var parts: [String] = []
            for (index, conflict) in conflicts.enumerated() {
                if index == 0 || conflicts[index - 1].who != conflict.who {
                    parts.append("conflicts with \(conflict.who):")
                }
                parts.append("- \(conflict.path)")
            }
            text = "Apply failed with \(conflicts.count) conflicts: " + parts.joined(separator: "\n")
        }
        throw APIError(
            code: 409, reason: "Conflict", message: text,
            causes: conflicts.map { FieldError(path: $0.path, message: "conflict with \($0.who)") })
    }

    // MARK: - Merging

    private func merge(_ live: JSONValue?, _ applied: JSONValue, _ schema: MergeSchema) -> JSONValue {
        switch (live, applied) {
        case (.object(var members)?, .object(let changes)) where !schema.isAtomicMap:
            for (name, change) in changes { members[name] = merge(members[name], change, schema.member(name)) }
            return .object(members)
        case (.array(let elements)?, .array(let changes)):
            return mergeList(elements, changes, schema) ?? applied
        default: return applied
        }
    }

    /// Nil when the list is one value.
    private func mergeList(_ live: [JSONValue], _ applied: [JSONValue], _ schema: MergeSchema) -> JSONValue? {
        let list = schema.list
        guard list != .atomic else { return nil }
        var merged: [(element: String, value: JSONValue)] = []
        for value in live {
            guard let element = FieldSet.element(value, in: list) else { return nil }
            merged.append((element, value))
        }
        var order: [String] = []
        for value in applied {
            guard let element = FieldSet.element(value, in: list) else { return nil }
            order.append(element)
            if let position = merged.firstIndex(where: { $0.element == element }) {
                merged[position].value = merge(merged[position].value, value, schema.element)
            } else {
                merged.append((element, value))
            }
        }
        // The applier's order holds for the elements it names; the others keep their places.
        var named = order.compactMap { element in merged.first { $0.element == element } }[...]
        return .array(
            merged.map { item in order.contains(item.element) ? (named.popFirst() ?? item).value : item.value })
    }

    // MARK: - Giving up

    /// Removes what the manager gave up and nobody else owns.
    /// - Parameter kept: what the manager still owns, and what others do.
    private func prune(_ value: JSONValue, given: FieldSet, kept: FieldSet, _ schema: MergeSchema) -> JSONValue {
        switch value {
        case .object(var members):
            for (name, member) in members {
                let element = FieldSet.element(field: name)
                guard let gone = given.children[element] else { continue }
                members[name] = pruned(member, gone, kept.children[element], schema.member(name))
            }
            return .object(members)
        case .array(let elements):
            let list = schema.list
            return .array(
                elements.compactMap { value in
                    guard let element = FieldSet.element(value, in: list), let gone = given.children[element] else {
                        return value
                    }
                    return pruned(value, gone, kept.children[element], schema.element)
                })
        default: return value
        }
    }

    /// What is left of one field or element; nil: nothing.
    private func pruned(_ value: JSONValue, _ gone: FieldSet, _ kept: FieldSet?, _ schema: MergeSchema) -> JSONValue? {
        if gone.isMember, kept == nil { return nil }
        if gone.children.isEmpty { return value }
        let rest = prune(value, given: gone, kept: kept ?? FieldSet(), schema)
        let isEmptied = rest != value && (rest.object?.isEmpty ?? rest.array?.isEmpty ?? false)
        return isEmptied && kept == nil ? .none : rest
    }

    private static func withoutNulls(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let members): .object(members.filter { !$0.value.isNull }.mapValues(withoutNulls))
        case .array(let elements): .array(elements.map(withoutNulls))
        default: value
        }
    }
}
