import KubeCore

@testable import HeddleAPI

extension Schema {
    /// A value with every property of the schema set, lists with one entry.
    var example: JSONValue {
        switch shape {
        case .object(let properties):
            return .object(Dictionary(properties.map { ($0.name, $0.schema.example) }, uniquingKeysWith: { $1 }))
        case .map(let values): return ["key": values.example]
        case .array(let items, _): return [items.example]
        case .boolean: return true
        case .integer: return .int(Int(minimum ?? 0) + 1)
        case .number: return .double(((minimum ?? 0) + (maximum ?? (minimum ?? 0) + 1)) / 2)
        case .string:
            if let first = allowed.last { return .string(first) }
            if format == "date-time" { return "2026-01-31T12:00:00Z" }
            switch pattern {
            case .duration: return "1m30s"
            case .quantity: return "100m"
            case .hostPort: return "host:4317"
            case .httpURL: return "http://host:9090"
            case .day: return "2026-12-31"
            default: return "text"
            }
        }
    }

    /// Names of all properties below this schema, as paths.
    func paths(at path: String = "") -> Set<String> {
        switch shape {
        case .object(let properties):
            return properties.reduce(into: []) { all, property in
                all.insert("\(path).\(property.name)")
                all.formUnion(property.schema.paths(at: "\(path).\(property.name)"))
            }
        case .map(let values): return values.paths(at: "\(path)[*]")
        case .array(let items, _): return items.paths(at: "\(path)[]")
        default: return []
        }
    }
}

extension JSONValue {
    /// Names of all members below this value, as paths of the same form.
    func paths(like schema: Schema, at path: String = "") -> Set<String> {
        switch (schema.shape, self) {
        case (.object(let properties), .object(let members)):
            return members.reduce(into: []) { all, member in
                let place = "\(path).\(member.key)"
                all.insert(place)
                guard let property = properties.first(where: { $0.name == member.key }) else { return }
                all.formUnion(member.value.paths(like: property.schema, at: place))
            }
        case (.map(let values), .object(let members)):
            return members.values.reduce(into: []) { $0.formUnion($1.paths(like: values, at: "\(path)[*]")) }
        case (.array(let items, _), .array(let elements)):
            return elements.reduce(into: []) { $0.formUnion($1.paths(like: items, at: "\(path)[]")) }
        default: return []
        }
    }
}

/// Names of all stored properties of a Swift value, as paths of the same form; `leaves` are types with a JSON form of
/// their own.
func storedPaths(of value: Any, at path: String = "") -> Set<String> {
    let mirror = Mirror(reflecting: value)
    switch value {
    case is GoDuration, is Quantity, is Timestamp, is String, is Int, is Double, is Bool: return []
    default: break
    }
    switch mirror.displayStyle {
    case .struct:
        return mirror.children.reduce(into: []) { all, child in
            let place = "\(path).\(child.label ?? "?")"
            all.insert(place)
            all.formUnion(storedPaths(of: child.value, at: place))
        }
    case .optional: return mirror.children.first.map { storedPaths(of: $0.value, at: path) } ?? []
    case .collection: return mirror.children.first.map { storedPaths(of: $0.value, at: "\(path)[]") } ?? []
    case .dictionary:
        guard let pair = mirror.children.first.map({ Array(Mirror(reflecting: $0.value).children) }), pair.count == 2
        else { return [] }
        return storedPaths(of: pair[1].value, at: "\(path)[*]")
    default: return []
    }
}
