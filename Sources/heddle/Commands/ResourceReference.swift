import ArgumentParser
import HeddleAPI
import KubeCore

/// An object of Heddle's as people name it: `canary/catalog`, `adoptions/shop`, `adoption.heddle.dev/shop`.
struct ResourceReference: Sendable, Hashable, ExpressibleByArgument {
    enum Kind: String, Sendable, CaseIterable {
        case canary, adoption

        /// Plural, singular and short names, as kubectl takes them.
        fileprivate var spellings: Set<String> {
            switch self {
            case .canary: ["canary", "canaries", "cn"]
            case .adoption: ["adoption", "adoptions", "adopt"]
            }
        }
    }

    var kind: Kind
    var name: String

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        var word = parts[0].lowercased()
        let group = "." + HeddleGroup.name
        if word.hasSuffix(group) { word.removeLast(group.count) }
        guard let kind = Kind.allCases.first(where: { $0.spellings.contains(word) }) else { return nil }
        self.kind = kind
        name = String(parts[1])
    }
}
