package import KubeCore

/// Finds what no Prometheus would take in a query: quotes, brackets and ranges. Not a parser: what it lets pass may still be
/// refused, and the metric's evidence says so then; what it reports is certainly wrong.
package enum PromQLLint {
    /// - Parameters:
    ///   - query: with its variables filled in.
    ///   - path: of the query in its object, for messages.
    package static func problems(in query: String, path: String) -> [FieldError] {
        func fault(_ message: String) -> [FieldError] { [FieldError(path: path, message: message)] }
        if query.allSatisfy(\.isWhitespace) {
            return fault("is empty; write a PromQL expression that yields one number")
        }
        var open: [Character] = []
        var text = query[...]
        while let next = text.popFirst() {
            switch next {
            case "\"", "'", "`":
                guard skipString(&text, quote: next) else {
                    return fault("a string that starts with \(next) does not end")
                }
            case "#": text = text.drop { $0 != "\n" }
            case "(", "[", "{":
                if open.last == "{" || open.last == "[" {
                    return fault("'\(next)' cannot stand between braces or brackets")
                }
                open.append(next)
            case ")", "]", "}":
                guard let opened = open.popLast(), pairs[opened] == next else {
                    return fault("'\(next)' closes nothing that is open")
                }
            default: break
            }
        }
        return open.last.map { fault("'\($0)' is never closed") } ?? []
    }

    private static let pairs: [Character: Character] = ["(": ")", "[": "]", "{": "}"]

    /// Skips to behind the closing quote; false when there is none.
    private static func skipString(_ text: inout Substring, quote: Character) -> Bool {
        while let next = text.popFirst() {
            if next == quote { return true }
            // Backquoted strings are raw.
            if next == "\\", quote != "`" { _ = text.popFirst() }
        }
        return false
    }
}
