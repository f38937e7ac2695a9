import Crypto
import X509

/// An EC P-256 private key. It prints as `[redacted]`; only `pem` gives its value.
package struct PrivateKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let key: P256.Signing.PrivateKey

    /// Makes a new key from the system's randomness.
    package init() {
        key = P256.Signing.PrivateKey()
    }

    /// Reads a key in PKCS #8 (`PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`) PEM.
    ///
    /// - Throws: `invalidPrivateKey`. The message never carries any of the text.
    package init(pem: String) throws(IdentityError) {
        do {
            key = try P256.Signing.PrivateKey(pemRepresentation: pem)
        } catch {
            throw IdentityError(
                .invalidPrivateKey, "private key: not an EC P-256 key in PEM (PRIVATE KEY or EC PRIVATE KEY)")
        }
    }

    /// The key in PKCS #8 PEM, for a file that only its owner may read or a Secret.
    package var pem: String { key.pemRepresentation + "\n" }

    package var description: String { "[redacted]" }
    package var debugDescription: String { "[redacted]" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    var certificateKey: Certificate.PrivateKey { Certificate.PrivateKey(key) }
}
