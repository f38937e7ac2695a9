import KubeCore

/// A set of field paths of an object: what one manager owns, in the structure of `FieldsV1`.
///
/// Path elements keep their wire form: `f:name` a member, `k:{...}` a list element by its keys, `v:...` an element of a
/// set.
struct FieldSet: Sendable, Hashable {
    /// Whether the path that leads here is itself in the set.
    var isMember = false
    var children: [String: FieldSet] = [:]

    static let member = FieldSet(isMember: true)

    var isEmpty: Bool { !isMember && children.isEmpty }

    func union(_ other: FieldSet) -> FieldSet {
        FieldSet(
            isMember: isMember || other.isMember,
            children: children.merging(other.children) { $0.union($1) })
    }

    func subtracting(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember && !other.isMember)
        for (element, child) in children {
            let rest = other.children[element].map(child.subtracting) ?? child
            if !rest.isEmpty { result.children[element] = rest }
        }
        return result
    }

    func intersection(_ other: FieldSet) -> FieldSet {
        var result = FieldSet(isMember: isMember && other.isMember)
        for (element, child) in children {
            guard let common = other.children[element].map(child.intersection), !common.isEmpty else { continue }
            result.children[element] = common
        }
        return result
    }

    mutating func insert(_ path: some Collection<String>) {
        guard let first = path.first else {
            isMember = true
            return
        }
        children[first, default: FieldSet()].insert(path.dropFirst())
    }

    /// Every path of the set as Kubernetes prints it: `.spec.containers[name="app"].image`; sorted.
    var paths: [String] {
        var result: [String] = []
        collect(into: &result, prefix: "")
        return result.sorted()
    }

    private func collect(into result: inout [String], prefix: String) {
        if isMember { result.append(prefix) }
        for (element, child) in children { child.collect(into: &result, prefix: prefix + Self.render(element)) }
    }

    private static func render(_ element: String) -> String {
        let text = element.dropFirst(2)
        switch element.prefix(2) {
        case "f:": return "." + text
        case "k:":
            let keys = ((try? JSONValue.parse(String(text))) ?? [:]).object ?? [:]
            return "["
                + keys.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.serialized())" }
                .joined(separator: ",") + "]"
        case "v:": return "[=\(text)]"
        default: return "[\(text)]"
        }
    }
}

// MARK: - FieldsV1

extension FieldSet {
    init(fieldsV1: JSONValue) {
        let members = fieldsV1.object ?? [:]
        isMember = members.isEmpty || members["."] != nil
        for (element, child) in members where element != "." { children[element] = FieldSet(fieldsV1: child) }
    }

    /// Reads the value of a `fieldsV1` member; the root itself is never in the set.
    init(root: JSONValue) {
        self.init(fieldsV1: root)
        isMember = false
    }

    var fieldsV1: JSONValue {
        var members = children.mapValues(\.fieldsV1)
        if isMember, !members.isEmpty { members["."] = [:] }
        return .object(members)
    }
}

// MARK: - From objects

extension FieldSet {
    static func element(field: String) -> String { "f:" + field }

    /// How a list's element is known; nil when it lacks a key.
    static func element(_ value: JSONValue, in list: MergeSchema.List) -> String? {
        switch list {
        case .atomic: return nil
        case .set: return "v:" + value.serialized()
        case .map(let keys):
            guard value.object != nil else { return nil }
            var identity: [String: JSONValue] = [:]
            for key in keys { identity[key] = value[key] ?? MergeSchema.keyDefault(key) }
            guard !identity.isEmpty else { return nil }
            return "k:" + JSONValue.object(identity).serialized()
        }
    }

    /// The children of a value by path element; nil for a leaf: a scalar or a value owned as one.
    static func parts(of value: JSONValue, _ schema: MergeSchema) -> [(
        element: String, value: JSONValue, schema: MergeSchema
    )]? {
        switch value {
        case .object(let members):
            guard !schema.isAtomicMap else { return nil }
            return members.map { (element(field: $0.key), $0.value, schema.member($0.key)) }
        case .array(let elements):
            let list = schema.list
            guard list != .atomic else { return nil }
            var parts: [(element: String, value: JSONValue, schema: MergeSchema)] = []
            for value in elements {
                guard let element = element(value, in: list) else { return nil }
                parts.append((element, value, schema.element))
            }
            return parts
        default: return nil
        }
    }

    /// What an applier owns by sending `value`: its leaves, its list elements, and containers that it sends empty.
    static func applied(_ value: JSONValue, _ schema: MergeSchema, isElement: Bool = false) -> FieldSet {
        guard let parts = parts(of: value, schema), !parts.isEmpty else { return .member }
        var set = FieldSet(isMember: isElement)
        for part in parts {
            set.children[part.element] = applied(part.value, part.schema, isElement: !part.element.hasPrefix("f:"))
        }
        return set
    }

    /// What a write changed: `set` has what it added or gave another value, `gone` what it removed.
    static func difference(from old: JSONValue?, to new: JSONValue?, _ schema: MergeSchema) -> (
        set: FieldSet, gone: FieldSet
    ) {
        var set = FieldSet()
        var gone = FieldSet()
        difference(old, new, schema, set: &set, gone: &gone)
        return (set, gone)
    }

    private static func difference(
        _ old: JSONValue?, _ new: JSONValue?, _ schema: MergeSchema, set: inout FieldSet, gone: inout FieldSet
    ) {
        if old == new { return }
        let oldParts = old.flatMap { parts(of: $0, schema) }
        let newParts = new.flatMap { parts(of: $0, schema) }
        if old == nil || (newParts != nil && oldParts == nil) { set.isMember = true }
        if new == nil || (oldParts != nil && newParts == nil) { gone.isMember = true }
        guard oldParts != nil || newParts != nil else {
            if new != nil { set.isMember = true }
            return
        }
        if new != nil, newParts == nil { set.isMember = true }
        let before = Dictionary((oldParts ?? []).map { ($0.element, $0) }, uniquingKeysWith: { $1 })
        let after = Dictionary((newParts ?? []).map { ($0.element, $0) }, uniquingKeysWith: { $1 })
        for (element, part) in after {
            step(before[element]?.value, part.value, part.schema, element, &set, &gone)
        }
        for (element, part) in before where after[element] == nil {
            step(part.value, nil, part.schema, element, &set, &gone)
        }
    }

    private static func step(
        _ old: JSONValue?, _ new: JSONValue?, _ schema: MergeSchema, _ element: String, _ set: inout FieldSet,
        _ gone: inout FieldSet
    ) {
        var childSet = FieldSet()
        var childGone = FieldSet()
        difference(old, new, schema, set: &childSet, gone: &childGone)
        if !childSet.isEmpty { set.children[element] = childSet }
        if !childGone.isEmpty { gone.children[element] = childGone }
    }
}
