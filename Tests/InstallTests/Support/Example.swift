import Foundation
import HeddleAPI
import KubeCore

/// A file of `Examples/<kind>/{valid,invalid}`: one object, and above it the refusals that an invalid one must get.
struct Example: Sendable, CustomStringConvertible {
    var path: String
    var object: KubeObject
    /// What the API server's refusal must contain; empty for a valid one.
    var serverRefusal: [String] = []
    /// What Heddle's own check (the admission webhook, and the condition where no webhook ran) must contain.
    var ownRefusal: [String] = []

    var description: String { path }
    var isValid: Bool { path.contains("/valid/") }

    /// All examples, by path.
    static let all: [Example] = {
        let folder = here.appendingPathComponent("Examples")
        let files = (FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String]) ?? []
        return files.filter { $0.hasSuffix(".yaml") }.sorted().compactMap {
            try? Example($0, text: String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8))
        }
    }()

    init(_ path: String, text: String) throws {
        self.path = path
        guard let object = try objects(inYAML: text).first else { throw UnreadableYAML(what: path) }
        self.object = object
        for line in text.split(separator: "\n") {
            func words(after prefix: String) -> [String] {
                line.hasPrefix(prefix) ? [String(line.dropFirst(prefix.count))] : []
            }
            // Field path and message are apart in the server's text: `<path>: Invalid value: <message>`.
            let both = words(after: "# refused: ")
            serverRefusal += words(after: "# refused by the API server: ") + both
            ownRefusal += words(after: "# refused by Heddle: ") + both
        }
    }

    var resource: GroupVersionResource? {
        CustomResourceDefinition.heddle.map(\.resource).first { $0.kind == object.kind }
    }

    /// What Heddle itself says of the object.
    var problems: [FieldError] {
        switch object.kind {
        case "Mesh": Mesh.problems(in: object)
        case "Adoption": Adoption.problems(in: object)
        case "Canary": Canary.problems(in: object)
        case "ServicePolicy": ServicePolicy.problems(in: object)
        case "MetricTemplate": MetricTemplate.problems(in: object)
        default: [FieldError(path: "kind", message: "\(object.kind) is none of ours")]
        }
    }
}
