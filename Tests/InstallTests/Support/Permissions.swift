import Foundation
import KubeCore

/// One call of the API as `CallRecorder` (heddle-operator) writes it down, or one that a role grants.
struct Permission: Sendable, Hashable, Comparable, CustomStringConvertible {
    var verb: String
    /// `deployments.apps`, `canaries.heddle.dev/status`.
    var resource: String
    /// `own` (the operator's namespace), `any`, `cluster`.
    var scope: String
    /// Nil: no certain one.
    var name: String?

    var description: String { "\(verb) \(resource) \(scope) \(name ?? "*")" }
    static func < (a: Self, b: Self) -> Bool { a.description < b.description }

    /// Reads a recorded line; `apply` becomes what the API server asks for: `patch`, and `create` where nothing is there.
    static func read(_ line: Substring) -> [Permission] {
        let parts = line.split(separator: "#")[0].split(separator: " ").map(String.init)
        guard parts.count == 4 else { return [] }
        let verbs = parts[0] == "apply" ? ["patch", "create"] : [parts[0]]
        return verbs.map {
            Permission(
                verb: $0, resource: parts[1], scope: parts[2],
                name: parts[3] == "*" || $0 == "create" ? nil : parts[3])
        }
    }

    /// The calls of a file of `Recorded`.
    static func recorded(in file: String) throws -> [Permission] {
        let text = try String(contentsOf: here.appendingPathComponent("Recorded/\(file)"), encoding: .utf8)
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.flatMap(read)
    }

    /// What the rules of a Role or ClusterRole grant, one entry for each verb, resource and name.
    static func granted(by role: KubeObject, scope: (String) -> String) -> [Permission] {
        (role.json["rules"]?.array ?? []).flatMap { rule -> [Permission] in
            func strings(_ member: String) -> [String] { rule[member]?.array?.compactMap(\.string) ?? [] }
            let names: [String?] = strings("resourceNames").isEmpty ? [nil] : strings("resourceNames")
            return strings("apiGroups").flatMap { group in
                strings("resources").flatMap { resource -> [Permission] in
                    let parts = resource.split(separator: "/", maxSplits: 1).map(String.init)
                    let full =
                        (group.isEmpty ? parts[0] : "\(parts[0]).\(group)") + (parts.count > 1 ? "/\(parts[1])" : "")
                    return strings("verbs").flatMap { verb in
                        names.map { Permission(verb: verb, resource: full, scope: scope(full), name: $0) }
                    }
                }
            }
        }
    }

    /// Whether this grant lets a call through.
    func covers(_ call: Permission) -> Bool {
        verb == call.verb && resource == call.resource && (name == nil || name == call.name)
            && (scope != "own" || call.scope == "own")
    }
}

/// Cluster-scoped resources among those that roles name.
let clusterScoped: Set<String> = [
    "namespaces", "tokenreviews.authentication.k8s.io", "meshes.heddle.dev", "meshes.heddle.dev/status",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
]
