extension JSONPatch {
    /// The operations that turn one document into another: members are added, replaced and removed one by one, lists that
    /// differ are replaced whole.
    package static func diff(from old: JSONValue, to new: JSONValue) -> JSONValue {
        var operations: [JSONValue] = []
        collect(old, new, at: "", into: &operations)
        return .array(operations)
    }

    private static func collect(_ old: JSONValue, _ new: JSONValue, at path: String, into operations: inout [JSONValue])
    {
        if old == new { return }
        guard case .object(let before) = old, case .object(let after) = new else {
            operations.append(["op": "replace", "path": .string(path), "value": new])
            return
        }
        for name in before.keys.sorted() where after[name] == nil {
            operations.append(["op": "remove", "path": .string("\(path)/\(escaped(name))")])
        }
        for (name, value) in after.sorted(by: { $0.key < $1.key }) {
            let child = "\(path)/\(escaped(name))"
            if let old = before[name] {
                collect(old, value, at: child, into: &operations)
            } else {
                operations.append(["op": "add", "path": .string(child), "value": value])
            }
        }
    }
}
