/// A workload's name in the mesh: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
///
/// A value of this type always follows the SPIFFE grammar, so that its `uri` can be put into a certificate and compared
/// as a string.
package struct SPIFFEIdentity: Hashable, Sendable, CustomStringConvertible {
    package let trustDomain: String
    package let namespace: String
    package let serviceAccount: String

    /// - Throws: `invalidIdentity`, naming the part that breaks the grammar.
    package init(trustDomain: String, namespace: String, serviceAccount: String) throws(IdentityError) {
        try Self.checkTrustDomain(trustDomain)
        try Self.checkSegment(namespace, "namespace")
        try Self.checkSegment(serviceAccount, "service account")
        self.trustDomain = trustDomain
        self.namespace = namespace
        self.serviceAccount = serviceAccount
    }

    /// Reads a SPIFFE id of the mesh's form.
    ///
    /// - Throws: `invalidIdentity` for another scheme, another path than `/ns/<namespace>/sa/<service account>`, or a
    ///   part that breaks the grammar.
    package init(uri: String) throws(IdentityError) {
        guard uri.hasPrefix(Self.scheme) else {
            throw IdentityError(.invalidIdentity, "SPIFFE id \"\(uri)\" does not begin with \(Self.scheme)")
        }
        let parts = uri.dropFirst(Self.scheme.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[1] == "ns", parts[3] == "sa" else {
            throw IdentityError(
                .invalidIdentity,
                "SPIFFE id \"\(uri)\" is not of the form spiffe://<trust domain>/ns/<namespace>/sa/<service account>")
        }
        try self.init(
            trustDomain: String(parts[0]), namespace: String(parts[2]), serviceAccount: String(parts[4]))
    }

    package var uri: String { "\(Self.scheme)\(trustDomain)/ns/\(namespace)/sa/\(serviceAccount)" }
    package var description: String { uri }

    private static let scheme = "spiffe://"

    /// The trust domain's grammar: at most 255 of lower-case letters, digits, dot, hyphen and underscore.
    static func checkTrustDomain(_ name: String) throws(IdentityError) {
        let isValid = name.utf8.allSatisfy { isLowerOrDigit($0) || isMark($0) }
        guard !name.isEmpty, name.utf8.count <= 255, isValid else {
            throw IdentityError(
                .invalidIdentity,
                "trust domain \"\(name)\" must be 1 to 255 of lower-case letters, digits, '.', '-' and '_'")
        }
    }

    private static func checkSegment(_ segment: String, _ what: String) throws(IdentityError) {
        let isValid = segment.utf8.allSatisfy {
            isLowerOrDigit($0) || isMark($0) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
        }
        guard !segment.isEmpty, segment != ".", segment != "..", segment.utf8.count <= 253, isValid else {
            throw IdentityError(
                .invalidIdentity,
                "\(what) \"\(segment)\" must be 1 to 253 of letters, digits, '.', '-' and '_'")
        }
    }

    private static func isLowerOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isMark(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
}
