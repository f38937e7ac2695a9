import KubeCore

/// The JSONPath of printer columns: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`, `.items[0].name`,
/// `.spec.hosts[*]`, `.metadata.annotations.heddle\.dev/status`.
struct JSONPath: Sendable {
    private enum Step: Sendable {
        case member(String)
        case index(Int)
        case all
        /// Elements whose value below the path is (or is not) the given one; a nil value asks for presence.
        case filter(path: [String], value: JSONValue?, isEqual: Bool)
    }

    private let steps: [Step]

    /// Nil when the path is not understood.
    init?(_ text: String) {
        var steps: [Step] = []
        var rest = Substring(text)
        if rest.hasPrefix("{"), rest.hasSuffix("}") { rest = rest.dropFirst().dropLast() }
        if rest.hasPrefix("$") { rest = rest.dropFirst() }
        while let first = rest.first {
            if first == "[" {
                guard let end = Self.closing(rest) else { return nil }
                let inner = rest[rest.index(after: rest.startIndex)..<end]
                rest = rest[rest.index(after: end)...]
                guard let step = Self.bracket(inner) else { return nil }
                steps.append(step)
            } else {
                if first == "." { rest = rest.dropFirst() }
                let name = Self.name(&rest)
                if name.isEmpty {
                    if rest.isEmpty { break }
                    if rest.first == "[" { continue }
                    return nil
                }
                steps.append(name == "*" ? .all : .member(name))
            }
        }
        self.steps = steps
    }

    func values(in json: JSONValue) -> [JSONValue] {
        steps.reduce([json]) { values, step in values.flatMap { Self.apply(step, to: $0) } }
    }

    private static func apply(_ step: Step, to value: JSONValue) -> [JSONValue] {
        switch step {
        case .member(let name): return value[name].map { [$0] } ?? []
        case .index(let index):
            let count = value.array?.count ?? 0
            return value[index < 0 ? count + index : index].map { [$0] } ?? []
        case .all: return value.array ?? value.object.map { Array($0.values) } ?? []
        case .filter(let path, let wanted, let isEqual):
            return (value.array ?? []).filter { element in
                let found = element.value(at: path[...])
                guard let wanted else { return found != nil }
                return (found == wanted) == isEqual
            }
        }
    }

    private static func name(_ rest: inout Substring) -> String {
        var name = ""
        while let character = rest.first, character != ".", character != "[" {
            rest = rest.dropFirst()
            if character == "\\", let escaped = rest.first {
                name.append(escaped)
                rest = rest.dropFirst()
            } else {
                name.append(character)
            }
        }
        return name
    }

    /// The bracket that closes the one at the start, not counting those in quotes.
    private static func closing(_ text: Substring) -> Substring.Index? {
        var quote: Character?
        var depth = 0
        for index in text.indices {
            let character = text[index]
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "\"" || character == "'" {
                quote = character
            } else if character == "[" {
                depth += 1
            } else if character == "]" {
                depth -= 1
                if depth == 0 { return index }
            }
        }
        return nil
    }

    private static func bracket(_ text: Substring) -> Step? {
        if text == "*" { return .all }
        if let index = Int(text) { return .index(index) }
        if let name = unquoted(text) { return .member(name) }
        guard text.hasPrefix("?("), text.hasSuffix(")") else { return nil }
        let condition = text.dropFirst(2).dropLast()
        for (mark, isEqual) in [("==", true), ("!=", false)] {
            guard let range = condition.firstRange(of: mark) else { continue }
            let right = trimmed(condition[range.upperBound...])
            let value = unquoted(right).map(JSONValue.string) ?? (try? JSONValue.parse(String(right)))
            guard let value, let path = field(condition[..<range.lowerBound]) else { return nil }
            return .filter(path: path, value: value, isEqual: isEqual)
        }
        return field(condition).map { .filter(path: $0, value: nil, isEqual: true) }
    }

    private static func field(_ text: Substring) -> [String]? {
        let text = trimmed(text)
        guard text.hasPrefix("@.") else { return nil }
        return text.dropFirst(2).split(separator: ".").map(String.init)
    }

    private static func unquoted(_ text: Substring) -> String? {
        guard text.count >= 2, let first = text.first, first == "\"" || first == "'", text.last == first else {
            return nil
        }
        return String(text.dropFirst().dropLast())
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var slice = text.drop { $0 == " " }
        while slice.last == " " { slice = slice.dropLast() }
        return slice
    }
}
