import FoundationEssentials
import SwiftASN1
import X509

/// Puts certificates together, field by field.
enum Issuer {
    /// From when to when, in whole seconds as X.509 has them.
    struct Validity {
        let start: Date
        let end: Date

        /// From `now`, backdated, until `end`.
        init(now: Date, end: Date) {
            start = now.addingTimeInterval(-LifetimePolicy.backdating.inSeconds)
            self.end = end
        }
    }

    static func root(
        trustDomain: String, privateKey: PrivateKey, validity: Validity
    ) throws(IdentityError) -> Certificate {
        let key = privateKey.certificateKey
        let identifier = SubjectKeyIdentifier(hash: key.publicKey)
        do {
            // A part of the key's hash in the name tells two roots of one trust domain apart while both are trusted.
            let mark = identifier.keyIdentifier.prefix(4).map {
                String($0 >> 4, radix: 16) + String($0 & 15, radix: 16)
            }
            let name = try DistinguishedName {
                OrganizationName(trustDomain)
                CommonName("Heddle root \(mark.joined())")
            }
            return try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
                notValidBefore: validity.start, notValidAfter: validity.end, issuer: name, subject: name,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    identifier
                    SubjectAlternativeNames([.uniformResourceIdentifier("spiffe://\(trustDomain)")])
                },
                issuerPrivateKey: key)
        } catch {
            throw IdentityError(.unusableAuthority, "root for \(trustDomain) cannot be made: \(error)")
        }
    }

    static func leaf(
        publicKey: Certificate.PublicKey, names: [GeneralName], usages: [ExtendedKeyUsage.Usage], issuer: Certificate,
        issuerKey: PrivateKey, validity: Validity
    ) throws(IdentityError) -> Certificate {
        do {
            let issuerIdentifier =
                try issuer.extensions.subjectKeyIdentifier?.keyIdentifier
                ?? SubjectKeyIdentifier(hash: issuer.publicKey).keyIdentifier
            return try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey,
                notValidBefore: max(validity.start, issuer.notValidBefore), notValidAfter: validity.end,
                issuer: issuer.subject, subject: DistinguishedName(), signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage(usages)
                    SubjectKeyIdentifier(hash: publicKey)
                    AuthorityKeyIdentifier(keyIdentifier: issuerIdentifier)
                    // RFC 5280, 4.2.1.6: critical, since the subject is empty.
                    Critical(SubjectAlternativeNames(names))
                },
                issuerPrivateKey: issuerKey.certificateKey)
        } catch {
            throw IdentityError(.unusableAuthority, "certificate cannot be signed: \(error)")
        }
    }
}
