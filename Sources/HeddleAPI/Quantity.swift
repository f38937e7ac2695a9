import KubeCore

/// A Kubernetes resource quantity such as `100m` or `150Mi`; keeps the text as it was written.
package struct Quantity: Sendable, Hashable, Codable, ExpressibleByStringLiteral, CustomStringConvertible {
    package var text: String
    /// In base units: cores, bytes.
    package var value: Double

    /// Nil when the text is not a quantity.
    package init?(_ text: String) {
        guard let value = Self.parse(text) else { return nil }
        self.text = text
        self.value = value
    }

    /// A literal that is no quantity counts as zero; tests hold Heddle's own literals to be quantities.
    package init(stringLiteral text: String) {
        self.text = text
        value = Self.parse(text) ?? 0
    }

    package var description: String { text }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let quantity = Quantity(text) else {
            throw FieldError(
                path: FieldError.path(decoder.codingPath),
                message: "'\(text)' is not a quantity; write e.g. 100m, 0.5 or 150Mi")
        }
        self = quantity
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    private static let suffixes: [(String, Double)] = [
        ("Ki", 1024), ("Mi", 1_048_576), ("Gi", 1_073_741_824), ("Ti", 1_099_511_627_776), ("n", 1e-9), ("u", 1e-6),
        ("m", 1e-3), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("", 1),
    ]

    private static func parse(_ text: String) -> Double? {
        for (suffix, size) in suffixes where text.hasSuffix(suffix) {
            let number = text.dropLast(suffix.count)
            guard number.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let value = Double(number) else {
                return nil
            }
            return value * size
        }
        return nil
    }
}
