import Foundation
import KubeCore
import Yams

/// Reads the objects of a YAML text, one a document; empty documents are left out.
func objects(inYAML text: String) throws -> [KubeObject] {
    try Yams.load_all(yaml: text).compactMap { document -> KubeObject? in
        let value = try json(document)
        return value.isNull ? nil : KubeObject(json: value)
    }
}

struct UnreadableYAML: Error { var what: String }

private func json(_ value: Any?) throws -> JSONValue {
    switch value {
    case nil, is NSNull: return .null
    case let value as Bool: return .bool(value)
    case let value as Int: return .int(value)
    case let value as Double: return .double(value)
    case let value as String: return .string(value)
    case let value as [Any]: return .array(try value.map(json))
    case let value as [AnyHashable: Any]:
        return .object(
            try Dictionary(uniqueKeysWithValues: value.map { key, member in ("\(key.base)", try json(member)) }))
    default: throw UnreadableYAML(what: "\(value.map { type(of: $0) }, default: "nil")")
    }
}
