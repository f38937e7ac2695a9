import Crypto
import X509

extension Certificate.PublicKey {
    /// Whether this is a key on one of the curves that the mesh signs.
    var isEllipticCurve: Bool {
        P256.Signing.PublicKey(self) != nil || P384.Signing.PublicKey(self) != nil
    }
}
