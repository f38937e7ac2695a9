/// JSON Patch (RFC 6902): a list of operations that applies as a whole or not at all.
package enum JSONPatch {
    /// Applies `patch` (the list of operations) to a document.
    /// - Throws: `FieldError` whose path names the operation (`[2]`) that cannot be done, or whose `test` does not hold.
    package static func apply(_ patch: JSONValue, to document: JSONValue) throws(FieldError) -> JSONValue {
        guard let operations = patch.array else {
            throw FieldError(path: "", message: "a JSON patch is a list of operations")
        }
        var result = document
        for (index, operation) in operations.enumerated() {
            do {
                try apply(operation: operation, to: &result)
            } catch {
                throw FieldError(path: "[\(index)]", message: error.message)
            }
        }
        return result
    }

    /// A member name as one part of a JSON pointer: `~` and `/` escaped.
    package static func escaped(_ name: String) -> String {
        var text = ""
        for character in name {
            switch character {
            case "~": text += "~0"
            case "/": text += "~1"
            default: text.append(character)
            }
        }
        return text
    }

    private static func apply(operation: JSONValue, to document: inout JSONValue) throws(FieldError) {
        let path = try pointer(operation, "path")
        switch operation["op"]?.string {
        case "add": document = try adding(try value(operation), to: document, at: path[...])
        case "remove": document = try removing(from: document, at: path[...]).rest
        case "replace":
            document = path.isEmpty ? document : try removing(from: document, at: path[...]).rest
            document = try adding(try value(operation), to: document, at: path[...])
        case "move":
            let from = try pointer(operation, "from")
            guard !(path.starts(with: from) && path.count > from.count) else {
                throw FieldError(path: "", message: "cannot move a value into itself")
            }
            let (rest, moved) = try removing(from: document, at: from[...])
            document = try adding(moved, to: rest, at: path[...])
        case "copy":
            let copied = try lookUp(in: document, at: try pointer(operation, "from"))
            document = try adding(copied, to: document, at: path[...])
        case "test":
            guard try lookUp(in: document, at: path) == (try value(operation)) else {
                throw FieldError(path: "", message: "the test of '\(operation["path"]?.string ?? "")' does not hold")
            }
        case let other:
            throw FieldError(path: "", message: "unknown operation '\(other ?? "")'")
        }
    }

    private static func value(_ operation: JSONValue) throws(FieldError) -> JSONValue {
        guard let value = operation["value"] else { throw FieldError(path: "", message: "the operation has no value") }
        return value
    }

    private static func pointer(_ operation: JSONValue, _ member: String) throws(FieldError) -> [String] {
        guard let text = operation[member]?.string else {
            throw FieldError(path: "", message: "the operation has no '\(member)'")
        }
        if text.isEmpty { return [] }
        guard text.hasPrefix("/") else { throw FieldError(path: "", message: "'\(text)' is not a JSON pointer") }
        return text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
            String(part).replacing("~1", with: "/").replacing("~0", with: "~")
        }
    }

    private static func lookUp(in document: JSONValue, at path: [String]) throws(FieldError) -> JSONValue {
        var current = document
        for part in path {
            let next: JSONValue? =
                switch current {
                case .object(let members): members[part]
                case .array(let elements): index(part, upTo: elements.count - 1).map { elements[$0] }
                default: nil
                }
            guard let next else { throw missing(part) }
            current = next
        }
        return current
    }

    private static func adding(_ value: JSONValue, to document: JSONValue, at path: ArraySlice<String>)
        throws(FieldError)
        -> JSONValue
    {
        guard let first = path.first else { return value }
        let isLast = path.count == 1
        switch document {
        case .object(var members):
            if isLast {
                members[first] = value
            } else {
                guard let child = members[first] else { throw missing(first) }
                members[first] = try adding(value, to: child, at: path.dropFirst())
            }
            return .object(members)
        case .array(var elements):
            if isLast {
                guard let at = first == "-" ? elements.count : index(first, upTo: elements.count) else {
                    throw missing(first)
                }
                elements.insert(value, at: at)
            } else {
                guard let at = index(first, upTo: elements.count - 1) else { throw missing(first) }
                elements[at] = try adding(value, to: elements[at], at: path.dropFirst())
            }
            return .array(elements)
        default: throw missing(first)
        }
    }

    private static func removing(from document: JSONValue, at path: ArraySlice<String>) throws(FieldError)
        -> (rest: JSONValue, removed: JSONValue)
    {
        guard let first = path.first else { return (.null, document) }
        let isLast = path.count == 1
        switch document {
        case .object(var members):
            guard let child = members[first] else { throw missing(first) }
            let (rest, removed) = isLast ? (.null, child) : try removing(from: child, at: path.dropFirst())
            members[first] = isLast ? .none : rest
            return (.object(members), removed)
        case .array(var elements):
            guard let at = index(first, upTo: elements.count - 1) else { throw missing(first) }
            if isLast { return (.array(elements.indices.filter { $0 != at }.map { elements[$0] }), elements[at]) }
            let (rest, removed) = try removing(from: elements[at], at: path.dropFirst())
            elements[at] = rest
            return (.array(elements), removed)
        default: throw missing(first)
        }
    }

    /// An array index as RFC 6901 writes it: digits without a leading zero.
    private static func index(_ text: String, upTo last: Int) -> Int? {
        guard text == "0" || (text.first != "0" && text.allSatisfy { $0.isASCII && $0.isNumber }),
            let value = Int(text),
            value <= last
        else { return nil }
        return value
    }

    private static func missing(_ part: String) -> FieldError {
        FieldError(path: "", message: "there is nothing at '\(part)'")
    }
}
