import SwiftASN1
import X509

/// Reading and writing certificates as PEM.
enum PEM {
    /// Reads every certificate of a PEM text, in order.
    ///
    /// - Parameter what: What the text is, for the error message ("trust bundle").
    /// - Throws: `invalidCertificate` when the text has no certificate, another kind of block, or one that cannot be
    ///   read.
    static func certificates(_ text: String, what: String) throws(IdentityError) -> [Certificate] {
        let documents: [PEMDocument]
        do {
            documents = try PEMDocument.parseMultiple(pemString: text)
        } catch {
            throw IdentityError(.invalidCertificate, "\(what): not PEM: \(error)")
        }
        guard !documents.isEmpty else {
            throw IdentityError(.invalidCertificate, "\(what): no CERTIFICATE block in it")
        }
        var certificates: [Certificate] = []
        for (index, document) in documents.enumerated() {
            guard document.discriminator == Certificate.defaultPEMDiscriminator else {
                throw IdentityError(
                    .invalidCertificate,
                    "\(what): block \(index + 1) of \(documents.count) is a \(document.discriminator), not a CERTIFICATE"
                )
            }
            do {
                certificates.append(try Certificate(pemDocument: document))
            } catch {
                throw IdentityError(
                    .invalidCertificate,
                    "\(what): certificate \(index + 1) of \(documents.count) cannot be read: \(error)")
            }
        }
        return certificates
    }

    /// Joins certificates to one PEM text that ends with a newline.
    static func text(_ certificates: some Sequence<Certificate>) throws(IdentityError) -> String {
        do {
            return try certificates.map { try $0.serializeAsPEM().pemString + "\n" }.joined()
        } catch {
            throw IdentityError(.invalidCertificate, "certificate cannot be written as PEM: \(error)")
        }
    }
}
