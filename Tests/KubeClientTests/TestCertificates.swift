import Crypto
import FoundationEssentials
import NIOSSL
import SwiftASN1
import X509

/// A certificate authority made for one test, and what it signs.
struct TestAuthority {
    let key = P256.Signing.PrivateKey()
    let certificate: Certificate
    private let name: DistinguishedName

    init() throws {
        name = try DistinguishedName { CommonName("test authority") }
        let key = Certificate.PrivateKey(key)
        certificate = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: key.publicKey,
            notValidBefore: Date(timeIntervalSinceNow: -60),
            notValidAfter: Date(timeIntervalSinceNow: 3600), issuer: name, subject: name,
            signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                Critical(KeyUsage(keyCertSign: true))
            }, issuerPrivateKey: key)
    }

    var pem: String { get throws { try certificate.serializeAsPEM().pemString } }

    /// Certificate and key as PEM.
    func issue(_ commonName: String, names: [GeneralName]) throws -> (certificate: String, key: String) {
        let leaf = P256.Signing.PrivateKey()
        let signed = try Certificate(
            version: .v3, serialNumber: .init(), publicKey: .init(leaf.publicKey),
            notValidBefore: Date(timeIntervalSinceNow: -60), notValidAfter: Date(timeIntervalSinceNow: 3600),
            issuer: name,
            subject: try DistinguishedName { CommonName(commonName) }, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                SubjectAlternativeNames(names)
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
            }, issuerPrivateKey: .init(key))
        return (try signed.serializeAsPEM().pemString, leaf.pemRepresentation)
    }

    /// - Parameter clients: asks clients for a certificate of this authority.
    func serverContext(names: [GeneralName], clients: Bool = false) throws -> NIOSSLContext {
        let (certificate, key) = try issue("server", names: names)
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem)))
        if clients {
            tls.certificateVerification = .noHostnameVerification
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(try pem.utf8)))
        }
        return try NIOSSLContext(configuration: tls)
    }
}

/// A directory for one test's files, removed at its end.
@discardableResult
func withFiles<Result>(
    _ files: [String: String], _ body: (_ directory: String) async throws -> Result
) async throws -> Result {
    let directory = FileManager.default.temporaryDirectory.path() + "kubeclient-\(UInt64.random(in: 0..<UInt64.max))"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    for (name, text) in files { try Data(text.utf8).write(to: URL(filePath: directory + "/" + name)) }
    return try await body(directory)
}
