import KubeCore

/// `?fieldSelector=`: equality of single fields.
struct FieldSelector: Sendable, Hashable {
    struct Requirement: Sendable, Hashable {
        var path: [String]
        var value: String
        var isEqual: Bool
    }

    var requirements: [Requirement]

    init(requirements: [Requirement]) { self.requirements = requirements }

    /// - Parameter supported: the field paths that the resource can be selected by.
    /// - Throws: `BadRequest` for a malformed selector or another field.
    init(query: String, supported: Set<String>) throws(APIError) {
        var requirements: [Requirement] = []
        for part in query.split(separator: ",") {
            guard let separator = ["!=", "==", "="].lazy.compactMap({ part.firstRange(of: $0) }).first else {
                throw .badRequest("invalid field selector: '\(part)' is not of the form field=value")
            }
            let path = String(part[..<separator.lowerBound])
            guard supported.contains(path) else { throw .badRequest("field label not supported: \(path)") }
            requirements.append(
                Requirement(
                    path: path.split(separator: ".").map(String.init), value: String(part[separator.upperBound...]),
                    isEqual: !part[separator].hasPrefix("!")))
        }
        self.requirements = requirements
    }

    /// A missing field equals the empty string.
    func matches(_ json: JSONValue) -> Bool {
        requirements.allSatisfy { requirement in
            let text =
                switch json.value(at: requirement.path[...]) {
                case .string(let text)?: text
                case .bool(let value)?: value ? "true" : "false"
                case .int(let value)?: String(value)
                default: requirement.path == ["spec", "unschedulable"] ? "false" : ""
                }
            return (text == requirement.value) == requirement.isEqual
        }
    }
}
