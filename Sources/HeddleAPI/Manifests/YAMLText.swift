package import KubeCore

/// Writes a JSON value as YAML: members sorted by name, two spaces a level, strings quoted unless plainly harmless.
///
/// Equal values give equal text, which is what makes a generated manifest comparable with a committed one.
package enum YAMLText {
    package static func document(_ value: JSONValue) -> String {
        var lines: [String] = []
        write(value, indent: 0, to: &lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ value: JSONValue, indent: Int, to lines: inout [String]) {
        let margin = String(repeating: " ", count: indent)
        switch value {
        case .object(let members) where !members.isEmpty:
            for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                if let inline = inline(member) {
                    lines.append("\(margin)\(scalar(name)): \(inline)")
                } else {
                    lines.append("\(margin)\(scalar(name)):")
                    write(member, indent: member.array == nil ? indent + 2 : indent, to: &lines)
                }
            }
        case .array(let elements) where !elements.isEmpty:
            for element in elements {
                if let inline = inline(element) {
                    lines.append("\(margin)- \(inline)")
                } else {
                    let first = lines.count
                    write(element, indent: indent + 2, to: &lines)
                    lines[first] = "\(margin)- " + lines[first].dropFirst(indent + 2)
                }
            }
        default:
            lines.append(margin + (inline(value) ?? ""))
        }
    }

    /// The value on one line; nil for a list or object with content.
    private static func inline(_ value: JSONValue) -> String? {
        switch value {
        case .object(let members): members.isEmpty ? "{}" : nil
        case .array(let elements): elements.isEmpty ? "[]" : nil
        case .string(let text): scalar(text)
        case .null, .bool, .int, .double: value.serialized()
        }
    }

    private static let harmless = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./-(),;%$")
    private static let reserved: Set<String> = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]

    private static func scalar(_ text: String) -> String {
        if let first = text.first, first.isASCII, first.isLetter || first == "$", text.last != " ",
            text.allSatisfy(harmless.contains), !reserved.contains(text.lowercased())
        {
            return text
        }
        return JSONValue.string(text).serialized()
    }
}
