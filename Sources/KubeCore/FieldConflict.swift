/// One field that a server-side apply wanted and another manager owns.
package struct FieldConflict: Sendable, Hashable, CustomStringConvertible {
    /// Path as the server writes it, e.g. `.spec.replicas`.
    package var field: String
    /// The owner's field manager, e.g. `kubectl-client-side-apply`.
    package var manager: String
    /// Set when the owner wrote through a subresource, e.g. `status`.
    package var subresource: String?
    /// The version of the kind that the owner wrote, e.g. `apps/v1`; only said of an owner that updates instead of
    /// applying.
    package var apiVersion: String?
    /// When it last did, RFC 3339; said of the same owners.
    package var time: String?

    package var description: String {
        "\(field) is owned by \(manager)" + (subresource.map { " (through \($0))" } ?? "")
            + (time.map { ", since \($0)" } ?? "")
    }
}

extension FieldConflict {
    /// Reads a cause such as `conflict with "hpa" with subresource "scale" using apps/v1 at 2026-01-31T12:00:00Z`
    /// (apimachinery's `fieldmanager.ConflictError`); nil for a cause of another sort.
    init?(_ cause: FieldError) {
        guard cause.message.hasPrefix("conflict with ") else { return nil }
        var rest = cause.message.dropFirst("conflict with ".count)
        guard let manager = Self.quoted(&rest) else { return nil }
        self.init(field: cause.path, manager: manager)
        while !rest.isEmpty {
            if rest.hasPrefix(" with subresource ") {
                rest = rest.dropFirst(" with subresource ".count)
                subresource = Self.quoted(&rest)
            } else if rest.hasPrefix(" using ") {
                rest = rest.dropFirst(" using ".count)
                apiVersion = Self.word(&rest)
            } else if rest.hasPrefix(" at ") {
                rest = rest.dropFirst(" at ".count)
                time = Self.word(&rest)
            } else {
                return
            }
        }
    }

    private static func word(_ text: inout Substring) -> String {
        let word = text.prefix { $0 != " " }
        text = text.dropFirst(word.count)
        return String(word)
    }

    /// A text in quotation marks as Go writes it, taken off the front.
    private static func quoted(_ text: inout Substring) -> String? {
        guard text.first == "\"" else { return nil }
        var out = ""
        var index = text.index(after: text.startIndex)
        while index < text.endIndex {
            let character = text[index]
            index = text.index(after: index)
            if character == "\"" {
                text = text[index...]
                return out
            }
            if character == "\\", index < text.endIndex {
                out.append(text[index])
                index = text.index(after: index)
            } else {
                out.append(character)
            }
        }
        return nil
    }
}

extension APIError {
    /// Who owns which of the fields that an apply wanted; empty for any other error.
    package var fieldConflicts: [FieldConflict] { isConflict ? causes.compactMap(FieldConflict.init) : [] }
}
