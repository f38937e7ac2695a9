import KubeCore
import Yams

extension JSONValue {
    /// A YAML node with the plain scalars of the JSON schema resolved.
    init(yaml node: Node) {
        switch node {
        case .mapping(let mapping):
            self = .object(
                Dictionary(
                    mapping.compactMap { key, value in key.string.map { ($0, JSONValue(yaml: value)) } },
                    uniquingKeysWith: { $1 }))
        case .sequence(let sequence): self = .array(sequence.map(JSONValue.init(yaml:)))
        case .scalar(let scalar):
            guard scalar.style == .plain || scalar.style == .any else {
                self = .string(scalar.string)
                return
            }
            switch scalar.string {
            case "", "~", "null": self = .null
            case "true": self = .bool(true)
            case "false": self = .bool(false)
            case let text: self = Int(text).map(JSONValue.int) ?? .string(text)
            }
        case .alias: self = .null
        }
    }
}
