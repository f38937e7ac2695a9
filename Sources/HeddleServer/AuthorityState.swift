package import FoundationEssentials
package import MeshIdentity

/// The authority as one replica knows it: who signs, and what is trusted.
package struct AuthorityState: Sendable {
    package var authority: CertificateAuthority
    /// What pods and the API server are to trust: the signing root, and the next and previous ones during a rotation.
    package var bundle: TrustBundle
    /// When something is due: the start or the next stage of a rotation; nil: not before the Secret changes.
    package var nextLook: Date?
    /// What is wrong and could not be mended, for a log; nil when all is well.
    package var problem: String?

    /// The bundle in PEM; empty when a root cannot be written, which a root that was read never is.
    package var bundlePEM: String { (try? bundle.pem) ?? "" }

    /// Whether pods, the API server or servers have to learn something new.
    package func differs(from other: AuthorityState) -> Bool {
        bundle != other.bundle || (try? authority.certificatePEM) != (try? other.authority.certificatePEM)
    }
}
