import Crypto
package import FoundationEssentials
import SwiftASN1
import X509

/// A certificate authority of the sandbox's own and the API server's certificate under it.
///
/// Keep it across restarts of the front end, so that kubeconfigs and running clients stay valid.
package struct ServingIdentity: Sendable {
    /// PEM; what clients trust.
    package let authority: String
    let certificate: String
    let key: String

    /// - Parameter addresses: IPv4 addresses, beside 127.0.0.1, at which the server can be reached.
    package static func make(addresses: [String] = [], names: [String] = [], now: Date = Date()) throws
        -> ServingIdentity
    {
        let rootKey = Certificate.PrivateKey(P256.Signing.PrivateKey())
        let rootName = try DistinguishedName { CommonName("heddle-sandbox-ca") }
        let rootIdentifier = SubjectKeyIdentifier(hash: rootKey.publicKey)
        // Valid from a day ago, as clocks differ, for a year: no cluster of processes lives longer.
        let start = now.addingTimeInterval(-86_400)
        let end = now.addingTimeInterval(365 * 86_400)
        let root = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: rootKey.publicKey, notValidBefore: start,
            notValidAfter: end, issuer: rootName, subject: rootName, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(digitalSignature: true, keyCertSign: true))
                rootIdentifier
            },
            issuerPrivateKey: rootKey)

        let key = P256.Signing.PrivateKey()
        let publicKey = Certificate.PublicKey(key.publicKey)
        let dns = [
            "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ]
        let sans =
            (dns + names).map(GeneralName.dnsName)
            + (["127.0.0.1"] + addresses).compactMap(octets).map {
                GeneralName.ipAddress(ASN1OctetString(contentBytes: $0))
            }
        let leaf = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: publicKey, notValidBefore: start,
            notValidAfter: end, issuer: rootName, subject: try DistinguishedName { CommonName("kube-apiserver") },
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth])
                AuthorityKeyIdentifier(keyIdentifier: rootIdentifier.keyIdentifier)
                SubjectAlternativeNames(sans)
            },
            issuerPrivateKey: rootKey)
        return ServingIdentity(
            authority: try root.serializeAsPEM().pemString + "\n",
            certificate: try leaf.serializeAsPEM().pemString + "\n",
            key: key.pemRepresentation)
    }

    private static func octets(_ address: String) -> ArraySlice<UInt8>? {
        let parts = address.split(separator: ".", omittingEmptySubsequences: false).compactMap { UInt8($0) }
        return parts.count == 4 ? parts[...] : nil
    }
}
