import FoundationEssentials

/// A JSON document under construction: what the bootstrap and the file secrets are written as.
///
/// Envoy reads its bootstrap once, from a file; JSON keeps it readable for a person who debugs a pod. Object keys are
/// written sorted, so that equal documents are equal text.
package enum BootstrapJSON: Equatable, Sendable {
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([BootstrapJSON])
    case object([String: BootstrapJSON])

    /// The document as indented text with sorted keys and a newline at the end.
    package var text: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        // Encoding can only fail for a non-finite number, and every number here is a literal or a count.
        guard let data = try? encoder.encode(self) else { return "{}\n" }
        return String(decoding: data, as: UTF8.self) + "\n"
    }
}

extension BootstrapJSON: Encodable {
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

extension BootstrapJSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral {
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int) { self = .int(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
}

extension BootstrapJSON: ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(arrayLiteral elements: BootstrapJSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, BootstrapJSON)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
    }
}
