import SwiftASN1
import X509

/// What a workload sends to get its certificate: a new key, which stays, and a signing request over it, which travels.
package struct CertificateRequest: Sendable {
    package let privateKey: PrivateKey
    /// The signing request in PEM.
    package let csrPEM: String

    /// Makes a key and a request that names `identity`.
    ///
    /// The name is a courtesy to whoever reads the request: an authority takes the identity from the caller's token.
    package init(identity: SPIFFEIdentity, privateKey: PrivateKey = PrivateKey()) throws(IdentityError) {
        self.privateKey = privateKey
        do {
            let extensions = try Certificate.Extensions {
                SubjectAlternativeNames([.uniformResourceIdentifier(identity.uri)])
            }
            let request = try CertificateSigningRequest(
                version: .v1, subject: DistinguishedName(), privateKey: privateKey.certificateKey,
                attributes: .init([.init(ExtensionRequest(extensions: extensions))]))
            csrPEM = try request.serializeAsPEM().pemString + "\n"
        } catch {
            throw IdentityError(.invalidRequest, "certificate request for \(identity) cannot be made: \(error)")
        }
    }

    /// Reads a request and checks that its sender holds the key.
    ///
    /// - Throws: `invalidRequest` for text that is no request, a key other than EC P-256 or P-384, or a signature that
    ///   does not match the key.
    static func verifiedPublicKey(csrPEM: String) throws(IdentityError) -> Certificate.PublicKey {
        let request: CertificateSigningRequest
        do {
            request = try CertificateSigningRequest(pemEncoded: csrPEM)
        } catch {
            throw IdentityError(.invalidRequest, "certificate request: not a CERTIFICATE REQUEST in PEM: \(error)")
        }
        guard request.publicKey.isEllipticCurve else {
            throw IdentityError(
                .invalidRequest, "certificate request: its key is \(request.publicKey); use EC P-256 or P-384")
        }
        guard request.publicKey.isValidSignature(request.signature, for: request) else {
            throw IdentityError(
                .invalidRequest, "certificate request: the signature does not match the key; sign it with the same key")
        }
        return request.publicKey
    }
}
