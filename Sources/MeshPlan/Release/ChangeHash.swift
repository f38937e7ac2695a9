import HeddleAPI
package import KubeCore

/// Tells pod templates apart as releases see them: `v1:` and 16 hexadecimal digits.
///
/// FNV-1a (64 bit) over the canonical JSON (members sorted, nulls and empty containers left out, so that neither the order
/// nor a server's habits matter) of the template without what is no change of the user's: restart annotations, Heddle's
/// own labels and annotations, and the label that Kubernetes adds to a ReplicaSet's template. The hash is over JSON, not
/// over Swift types, so an upgrade of the operator changes it only together with its version.
package enum ChangeHash {
    package static let version = "v1"
    static let restartAnnotations: Set<String> = [HeddleAnnotation.restartedAt, "kubectl.kubernetes.io/restartedAt"]
    private static let ownPrefix = "heddle.dev/"

    /// - Parameter template: a pod template, of a Deployment or of one of its ReplicaSets.
    package static func of(template: JSONValue) -> String {
        var template = template
        template[path: "metadata", "creationTimestamp"] = nil
        for field in ["annotations", "labels"] {
            guard let entries = template[path: "metadata", field]?.object else { continue }
            template[path: "metadata", field] = .object(
                entries.filter { name, _ in
                    !name.hasPrefix(ownPrefix) && !restartAnnotations.contains(name)
                        && name != HeddleLabel.podTemplateHash
                })
        }
        return version + ":" + hex(fnv1a((canonical(template) ?? [:]).serializedBytes()))
    }

    /// Whether a hash was made by this version's rules; another version's hashes cannot be compared with ours.
    package static func isCurrent(_ hash: String) -> Bool { hash.hasPrefix(version + ":") }

    /// Eight hexadecimal digits that name one run.
    static func runId(change: String, at now: Timestamp) -> String {
        String(hex(fnv1a(Array("\(change)@\(now.milliseconds)".utf8))).prefix(8))
    }

    private static func canonical(_ value: JSONValue) -> JSONValue? {
        switch value {
        case .null: return .none
        case .object(let members):
            let kept = members.compactMapValues(canonical)
            return kept.isEmpty ? .none : .object(kept)
        case .array(let elements): return elements.isEmpty ? .none : .array(elements.map { canonical($0) ?? .null })
        default: return value
        }
    }

    private static func fnv1a(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(14_695_981_039_346_656_037) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
    }

    private static func hex(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
