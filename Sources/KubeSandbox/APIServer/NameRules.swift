/// Kubernetes' rules for names, as predicates with the message that a refusal gives.
enum NameRules {
    static func isLabel(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 63 && text.utf8.allSatisfy { isLower($0) || $0 == UInt8(ascii: "-") }
            && text.utf8.first.map(isLower) == true && text.utf8.last.map(isLower) == true
    }

    static func isSubdomain(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 253
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
                !part.isEmpty && part.utf8.allSatisfy { isLower($0) || $0 == UInt8(ascii: "-") }
                    && part.utf8.first.map(isLower) == true && part.utf8.last.map(isLower) == true
            }
    }

    /// Label keys and annotation keys: `[prefix/]name`.
    static func isQualifiedName(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return isLabelPart(parts[0])
        case 2: return isSubdomain(String(parts[0])) && isLabelPart(parts[1])
        default: return false
        }
    }

    static func isLabelValue(_ text: String) -> Bool { text.isEmpty || isLabelPart(text[...]) }

    /// Keys of ConfigMaps and Secrets.
    static func isDataKey(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 253 && text != "." && !text.hasPrefix("..")
            && text.utf8.allSatisfy { isAlphanumeric($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    /// Role names and the like: anything that is safe in a path.
    static func isPathSegment(_ text: String) -> Bool {
        !text.isEmpty && text != "." && text != ".." && !text.contains("/") && !text.contains("%")
    }

    static let labelMessage =
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
        + " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
        + " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    static let subdomainMessage =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
        + " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
        + " '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    static let qualifiedNameMessage =
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
        + " character (e.g. 'MyName',  or 'my.name',  or '123-abc')"
    static let labelValueMessage =
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
        + " end with an alphanumeric character, at most 63 of them"

    private static func isLabelPart(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.count <= 63
            && text.utf8.allSatisfy {
                isAlphanumeric($0) || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains($0)
            }
            && text.utf8.first.map(isAlphanumeric) == true && text.utf8.last.map(isAlphanumeric) == true
    }

    private static func isLower(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isLower(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
}
