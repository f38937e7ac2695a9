import FoundationEssentials
package import HeddleAPI
package import KubeCore
import MeshIdentity

/// What the authority's Secret holds, as texts.
///
/// | member | meaning |
/// |---|---|
/// | `tls.crt`, `tls.key` | the root that signs |
/// | `ca.crt` | its issuer, where `tls.crt` is none: an authority that cert-manager or a person made |
/// | `next.crt`, `next.key` | a new root that is handed out already and does not sign yet |
/// | `previous.crt` | roots that signed until the last change; trusted until their last leaf has lapsed |
///
/// The annotation `heddle.dev/rotated-at` says since when the stage of a rotation holds.
package struct AuthoritySecret: Sendable, Equatable {
    package var certificatePEM: String?
    package var keyPEM: String?
    package var issuerPEM: String?
    package var nextPEM: String?
    package var nextKeyPEM: String?
    package var previousPEM: String?
    package var stageSince: Timestamp?
    /// Somebody else makes and renews it: it is read and never written.
    package var isForeign = false

    package static let stageAnnotation = "heddle.dev/rotated-at"
    /// On a Secret: `"false"` says that Heddle must not write it.
    package static let managedAnnotation = "heddle.dev/managed"
    private static let certManagerAnnotation = "cert-manager.io/certificate-name"

    package init() {}

    package init(_ secret: KubeObject) {
        func text(_ name: String) -> String? {
            secret.json["data"]?[name]?.string.flatMap(Base64.decodeText).flatMap { $0.isEmpty ? nil : $0 }
        }
        certificatePEM = text("tls.crt")
        keyPEM = text("tls.key")
        issuerPEM = text("ca.crt")
        nextPEM = text("next.crt")
        nextKeyPEM = text("next.key")
        previousPEM = text("previous.crt")
        stageSince = secret.annotations[Self.stageAnnotation].flatMap(Timestamp.init)
        isForeign =
            secret.annotations[Self.managedAnnotation] == "false"
            || secret.annotations[Self.certManagerAnnotation] != nil
    }

    /// `secret` with these texts in place of its own; other members and metadata stay.
    package func written(into secret: KubeObject) -> KubeObject {
        var secret = secret
        // The type of a Secret cannot change: only a new one gets it.
        if secret.uid.isEmpty { secret.json["type"] = "kubernetes.io/tls" }
        var data = secret.json["data"]?.object ?? [:]
        for (name, text) in [
            ("tls.crt", certificatePEM), ("tls.key", keyPEM), ("ca.crt", issuerPEM), ("next.crt", nextPEM),
            ("next.key", nextKeyPEM), ("previous.crt", previousPEM),
        ] { data[name] = text.map { .string(Base64.encode($0)) } }
        secret.json["data"] = .object(data)
        secret.annotations[Self.stageAnnotation] = stageSince?.description
        return secret
    }

    /// The authority that signs.
    /// - Throws: what is missing, unreadable, lapsed or of another key.
    func authority(trustDomain: String, now: Date) throws(IdentityError) -> CertificateAuthority {
        guard var certificatePEM else { throw IdentityError(.invalidCertificate, "tls.crt is missing or empty") }
        guard let keyPEM else { throw IdentityError(.invalidPrivateKey, "tls.key is missing or empty") }
        if let issuerPEM, issuerPEM != certificatePEM { certificatePEM += "\n" + issuerPEM }
        return try CertificateAuthority(
            trustDomain: trustDomain, certificatePEM: certificatePEM, privateKeyPEM: keyPEM, now: now)
    }

    /// Roots beside the signing one: the next and the previous, as far as they can be read and have not lapsed.
    func otherRoots(now: Date) -> TrustBundle {
        [nextPEM, previousPEM].compactMap { $0.flatMap { try? TrustBundle(pem: $0) } }
            .reduce(TrustBundle()) { $0.merging($1) }.pruned(at: now)
    }
}
