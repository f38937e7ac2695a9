/// A page in Prometheus' text format 0.0.4, as it is written.
///
/// Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
struct PrometheusText: Sendable {
    private(set) var text = ""

    mutating func open(_ name: String, type: String, help: String) {
        if !help.isEmpty { text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n" }
        text += "# TYPE \(name) \(type)\n"
    }

    /// - Parameter labels: as from `labels(_:)`.
    mutating func line(_ name: String, labels: String, _ value: Double) {
        text += labels.isEmpty ? "\(name) \(Self.number(value))\n" : "\(name){\(labels)} \(Self.number(value))\n"
    }

    /// `a="x",b="y"`, sorted by name; of two of one name the last counts.
    static func labels(_ dimensions: [(String, String)]) -> String {
        Dictionary(dimensions.map { (name($0.0, colons: false), $0.1) }, uniquingKeysWith: { $1 })
            .sorted { $0.key < $1.key }
            .map { "\($0.key)=\"\(escaped($0.value, quotes: true))\"" }.joined(separator: ",")
    }

    /// What is not allowed in a name becomes `_`.
    static func name(_ label: String, colons: Bool = true) -> String {
        let name = String(
            label.unicodeScalars.map { scalar -> Character in
                switch scalar {
                case "a"..."z", "A"..."Z", "0"..."9", "_": Character(scalar)
                case ":" where colons: ":"
                default: "_"
                }
            })
        return name.first.map { $0.isNumber ? "_" + name : name } ?? "_"
    }

    /// A whole number without a point; the shortest text that reads back as the same number.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value), abs(whole) < 1 << 53 { return String(whole) }
        return "\(value)"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "\\": result += "\\\\"
            case "\n", "\r\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.append(character)
            }
        }
    }
}
