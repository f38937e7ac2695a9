/// Why an identity, key, certificate or request could not be read or made.
package struct IdentityError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was being read or made.
    package enum Code: String, Sendable {
        /// A SPIFFE id, or a part of one, that breaks the grammar.
        case invalidIdentity
        /// A private key that is no PEM, or of a kind that is not supported.
        case invalidPrivateKey
        /// A certificate, or a bundle of them, that cannot be read.
        case invalidCertificate
        /// A signing request that cannot be read, or whose signature does not match its key.
        case invalidRequest
        /// A certificate authority that cannot sign (expired, not a CA, key and certificate do not belong together).
        case unusableAuthority
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
