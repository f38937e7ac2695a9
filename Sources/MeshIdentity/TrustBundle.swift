package import FoundationEssentials
import SwiftASN1
@_spi(FixedExpiryValidationTime) package import X509

/// The roots that a mesh trusts: one in peace, two while a root is being replaced. Order is kept, doubles are dropped.
package struct TrustBundle: Sendable, Equatable {
    package private(set) var roots: [Certificate]

    package init(roots: [Certificate] = []) {
        self.roots = []
        for root in roots where !self.roots.contains(root) { self.roots.append(root) }
    }

    /// Reads one or more certificates.
    ///
    /// - Throws: `invalidCertificate`, naming the block that cannot be read, or that there is none.
    package init(pem: String) throws(IdentityError) {
        self.init(roots: try PEM.certificates(pem, what: "trust bundle"))
    }

    /// All roots in PEM, in order.
    package var pem: String {
        get throws(IdentityError) { try PEM.text(roots) }
    }

    /// This bundle and what `other` adds to it.
    package func merging(_ other: TrustBundle) -> TrustBundle {
        TrustBundle(roots: roots + other.roots)
    }

    /// This bundle without the roots of `other`.
    package func removing(_ other: TrustBundle) -> TrustBundle {
        TrustBundle(roots: roots.filter { !other.roots.contains($0) })
    }

    /// This bundle without roots that have lapsed at `now`.
    package func pruned(at now: Date) -> TrustBundle {
        TrustBundle(roots: roots.filter { $0.notValidAfter > now })
    }

    /// Verifies a chain, leaf first, against these roots at `now`, and gives the identity in its leaf.
    ///
    /// - Throws: `invalidCertificate` when no path leads to a root; `invalidIdentity` when the leaf names no workload.
    package func verify(chainPEM: String, at now: Date) async throws(IdentityError) -> SPIFFEIdentity {
        let chain = try PEM.certificates(chainPEM, what: "certificate chain")
        var verifier = Verifier(rootCertificates: CertificateStore(roots)) {
            RFC5280Policy(fixedExpiryValidationTime: now)
            WorkloadPolicy()
        }
        let result = await verifier.validate(
            leaf: chain[0], intermediates: CertificateStore(chain.dropFirst()))
        guard case .validCertificate = result else {
            throw IdentityError(.invalidCertificate, "certificate chain: no valid path to a root of the trust bundle")
        }
        return try chain[0].spiffeIdentity()
    }
}

/// Answers for the subject alternative names, which are critical in a workload's certificate (its subject is empty).
private struct WorkloadPolicy: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [.X509ExtensionID.subjectAlternativeName]

    mutating func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        do {
            _ = try chain.leaf.spiffeIdentity()
            return .meetsPolicy
        } catch {
            return .failsToMeetPolicy(reason: error.message)
        }
    }
}

extension Certificate {
    /// The one SPIFFE id among the subject alternative names.
    ///
    /// - Throws: `invalidIdentity` when there is none, more than one, or it is not of the mesh's form.
    func spiffeIdentity() throws(IdentityError) -> SPIFFEIdentity {
        let names: SubjectAlternativeNames?
        do {
            names = try extensions.subjectAlternativeNames
        } catch {
            throw IdentityError(.invalidCertificate, "certificate: subject alternative names cannot be read: \(error)")
        }
        var uris: [String] = []
        for case .uniformResourceIdentifier(let uri) in names ?? SubjectAlternativeNames([]) { uris.append(uri) }
        guard uris.count == 1, let uri = uris.first else {
            throw IdentityError(
                .invalidIdentity, "certificate has \(uris.count) URI names; a workload's has exactly one")
        }
        return try SPIFFEIdentity(uri: uri)
    }
}
