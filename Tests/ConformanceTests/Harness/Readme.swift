import Foundation
import KubeCore
import Yams

/// What the README tells people to do with kubectl.
struct Readme: Sendable {
    /// The checkout that this file is in.
    static let checkout = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// Every kubectl command, in fences and in running text, without what stands before `kubectl`.
    let commands: [String]
    /// The YAML documents in fences.
    let documents: [String]

    init() throws {
        let text = try String(contentsOf: Self.checkout.appending(path: "README.md"), encoding: .utf8)
        var commands: [String] = []
        var documents: [String] = []
        var fence: (language: String, lines: [String])?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            if line.hasPrefix("```") {
                if let open = fence {
                    if open.language == "yaml" { documents.append(open.lines.joined(separator: "\n")) }
                    fence = nil
                } else {
                    fence = (String(line.dropFirst(3)), [])
                }
            } else if fence != nil {
                fence?.lines.append(line)
                if fence?.language == "sh", let command = Self.command(in: line.prefix { $0 != "#" }) {
                    commands.append(command)
                }
            } else {
                let spans = line.split(separator: "`", omittingEmptySubsequences: false)
                for span in spans.enumerated() where !span.offset.isMultiple(of: 2) {
                    if let command = Self.command(in: span.element) { commands.append(command) }
                }
            }
        }
        self.commands = commands
        self.documents = documents
    }

    /// `kubectl` and what follows it, when it is followed by something other than a name of the plugin.
    private static func command(in text: some StringProtocol) -> String? {
        guard let range = String(text).range(of: "kubectl "), !text.contains("kubectl heddle") else { return nil }
        return String(text)[range.lowerBound...].trimmingCharacters(in: .whitespaces)
    }

    /// The objects of a group among the documents.
    func objects(of group: String) throws -> [KubeObject] {
        try documents.flatMap { try Self.objects($0) }.filter { $0.apiVersion.hasPrefix(group + "/") }
    }

    /// Reads YAML documents.
    static func objects(_ text: String) throws -> [KubeObject] {
        try Array(Yams.compose_all(yaml: text)).compactMap { node in
            node.mapping == nil ? nil : KubeObject(json: json(node))
        }
    }

    private static func json(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            var members: [String: JSONValue] = [:]
            for (key, value) in mapping { members[key.string ?? ""] = json(value) }
            return .object(members.isEmpty ? [:] : .init(members))
        case .sequence(let sequence): return .array(sequence.map(json))
        default:
            if node.null != nil { return .null }
            if let value = node.bool { return .bool(value) }
            if let value = node.int { return .int(value) }
            if let value = node.float { return .double(value) }
            return .string(node.string ?? "")
        }
    }
}
