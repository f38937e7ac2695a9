/// A label selector: `matchLabels` and `matchExpressions`, or its query-string form.
package struct LabelSelector: Sendable, Hashable, Codable {
    package struct Requirement: Sendable, Hashable, Codable {
        package enum Operator: String, Sendable, Codable {
            case `in` = "In"
            case notIn = "NotIn"
            case exists = "Exists"
            case doesNotExist = "DoesNotExist"
        }
        package var key: String
        package var `operator`: Operator
        package var values: [String]?

        package init(key: String, operator: Operator, values: [String]? = nil) {
            self.key = key
            self.operator = `operator`
            self.values = values
        }

        package func matches(_ labels: [String: String]) -> Bool {
            let value = labels[key]
            return switch `operator` {
            case .in: value.map { (values ?? []).contains($0) } ?? false
            case .notIn: value.map { !(values ?? []).contains($0) } ?? true
            case .exists: value != nil
            case .doesNotExist: value == nil
            }
        }
    }

    package var matchLabels: [String: String]?
    package var matchExpressions: [Requirement]?

    package init(matchLabels: [String: String]? = nil, matchExpressions: [Requirement]? = nil) {
        self.matchLabels = matchLabels
        self.matchExpressions = matchExpressions
    }

    /// An empty selector matches everything.
    package var isEmpty: Bool { (matchLabels ?? [:]).isEmpty && (matchExpressions ?? []).isEmpty }

    package func matches(_ labels: [String: String]) -> Bool {
        (matchLabels ?? [:]).allSatisfy { labels[$0.key] == $0.value }
            && (matchExpressions ?? []).allSatisfy { $0.matches(labels) }
    }

    /// The form for `?labelSelector=`: `app=web,tier in (a,b),!legacy`.
    package var query: String {
        let equal = (matchLabels ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        let rest = (matchExpressions ?? []).map { requirement in
            let values = (requirement.values ?? []).joined(separator: ",")
            return switch requirement.operator {
            case .in: "\(requirement.key) in (\(values))"
            case .notIn: "\(requirement.key) notin (\(values))"
            case .exists: requirement.key
            case .doesNotExist: "!\(requirement.key)"
            }
        }
        return (equal + rest).joined(separator: ",")
    }

    /// Reads the query form.
    /// - Throws: `FieldError` naming the part that is not a requirement.
    package init(query: String) throws(FieldError) {
        var requirements: [Requirement] = []
        if !Self.trimmed(query).isEmpty {
            for part in Self.split(query) { requirements.append(try Self.requirement(Self.trimmed(part))) }
        }
        self.init(matchExpressions: requirements)
    }

    /// Splits at commas outside parentheses.
    private static func split(_ query: String) -> [String] {
        var parts: [String] = []
        var current = ""
        var depth = 0
        for character in query {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == ",", depth == 0 {
                parts.append(current)
                current = ""
            } else {
                current.append(character)
            }
        }
        parts.append(current)
        return parts
    }

    private static func requirement(_ text: String) throws(FieldError) -> Requirement {
        guard let requirement = parsed(text), isName(requirement.key, extra: "./"),
            (requirement.values ?? []).allSatisfy({ $0.isEmpty || isName($0, extra: ".") })
        else {
            throw FieldError(
                path: "labelSelector", message: "'\(text)' is not a requirement such as 'app=web' or 'tier in (a,b)'")
        }
        return requirement
    }

    /// The parts of a requirement; whether they are names is for the caller to see.
    private static func parsed(_ text: String) -> Requirement? {
        for (separator, isEqual) in [("!=", false), ("==", true), ("=", true)] {
            if let range = text.firstRange(of: separator) {
                let key = trimmed(text[..<range.lowerBound])
                let value = trimmed(text[range.upperBound...])
                return Requirement(key: key, operator: isEqual ? .in : .notIn, values: [value])
            }
        }
        if let open = text.firstIndex(of: "(") {
            let words = text[..<open].split(separator: " ")
            guard words.count == 2, words[1] == "in" || words[1] == "notin", text.last == ")" else { return nil }
            let list = text[text.index(after: open)...].dropLast()
            let values = list.split(separator: ",", omittingEmptySubsequences: false).map(trimmed)
            return Requirement(key: String(words[0]), operator: words[1] == "in" ? .in : .notIn, values: values)
        }
        return text.hasPrefix("!")
            ? Requirement(key: trimmed(text.dropFirst()), operator: .doesNotExist)
            : Requirement(key: text, operator: .exists)
    }

    private static func isName(_ text: String, extra: String) -> Bool {
        !text.isEmpty
            && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0) || extra.contains($0)) }
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var slice = text.drop { $0 == " " }[...]
        while slice.last == " " { slice = slice.dropLast() }
        return String(slice)
    }
}
