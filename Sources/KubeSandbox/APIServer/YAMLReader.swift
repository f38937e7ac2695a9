import KubeCore
import Yams

extension JSONValue {
    /// Reads a request body that may be YAML; JSON, which most of them are, is tried first.
    static func parse(yaml bytes: [UInt8]) throws -> JSONValue {
        if let json = try? parse(bytes) { return json }
        return try Yams.compose(yaml: String(decoding: bytes, as: UTF8.self)).map(value) ?? .null
    }

    /// A node with the plain scalars of YAML 1.2's core schema resolved.
    private static func value(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            return .object(
                Dictionary(
                    mapping.compactMap { key, value in key.string.map { ($0, Self.value(value)) } },
                    uniquingKeysWith: { $1 }))
        case .sequence(let sequence): return .array(sequence.map(value))
        case .scalar(let scalar):
            guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
            switch scalar.string {
            case "", "~", "null", "Null", "NULL": return .null
            case "true", "True", "TRUE": return .bool(true)
            case "false", "False", "FALSE": return .bool(false)
            case let text:
                if let number = Int(text) { return .int(number) }
                let isNumber = text.first.map { $0.isNumber || "+-.".contains($0) } ?? false
                return isNumber ? Double(text).map(JSONValue.double) ?? .string(text) : .string(text)
            }
        case .alias: return .null
        }
    }
}
