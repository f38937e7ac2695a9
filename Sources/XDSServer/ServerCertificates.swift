import NIOCertificateReloading
package import NIOCore
package import NIOSSL
import SwiftASN1
import Synchronization
import X509

/// The server's own certificate and the roots that vouch for proxies. Both can be replaced while it serves: the next
/// handshake uses them.
package final class ServerCertificates: CertificateReloader, Sendable {
    private struct State {
        var chain: [NIOSSLCertificate]
        var key: NIOSSLPrivateKey
        var roots: [Certificate]
    }

    private let state: Mutex<State>

    /// - Throws: When one of the texts is no PEM of its kind.
    package init(chainPEM: String, keyPEM: String, rootsPEM: String) throws {
        let (chain, key) = try Self.read(chainPEM: chainPEM, keyPEM: keyPEM)
        state = Mutex(State(chain: chain, key: key, roots: try Self.read(rootsPEM: rootsPEM)))
    }

    /// Replaces the server's certificate and key.
    package func update(chainPEM: String, keyPEM: String) throws {
        let (chain, key) = try Self.read(chainPEM: chainPEM, keyPEM: keyPEM)
        state.withLock {
            $0.chain = chain
            $0.key = key
        }
    }

    /// Replaces the roots that proxies' certificates are checked against.
    package func update(rootsPEM: String) throws {
        let roots = try Self.read(rootsPEM: rootsPEM)
        state.withLock { $0.roots = roots }
    }

    package var sslContextConfigurationOverride: NIOSSLContextConfigurationOverride {
        state.withLock { state in
            var override = NIOSSLContextConfigurationOverride()
            override.certificateChain = state.chain.map { .certificate($0) }
            override.privateKey = .privateKey(state.key)
            return override
        }
    }

    /// Checks a proxy's chain, leaf first, in the handshake.
    package func verify(
        _ chain: [NIOSSLCertificate], _ promise: EventLoopPromise<NIOSSLVerificationResultWithMetadata>
    ) {
        let roots = state.withLock { $0.roots }
        promise.completeWithTask {
            let certificates = try chain.map { try Certificate(derEncoded: $0.toDERBytes()) }
            guard let leaf = certificates.first else { return .failed }
            var verifier = Verifier(rootCertificates: CertificateStore(roots)) {
                RFC5280Policy()
                SPIFFEPolicy()
            }
            let result = await verifier.validate(
                leaf: leaf, intermediates: CertificateStore(certificates.dropFirst()))
            guard case .validCertificate(let path) = result else { return .failed }
            let validated = try path.map { certificate in
                var serializer = DER.Serializer()
                try serializer.serialize(certificate)
                return try NIOSSLCertificate(bytes: serializer.serializedBytes, format: .der)
            }
            return .certificateVerified(VerificationMetadata(NIOSSL.ValidatedCertificateChain(validated)))
        }
    }

    private static func read(chainPEM: String, keyPEM: String) throws -> ([NIOSSLCertificate], NIOSSLPrivateKey) {
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(chainPEM.utf8))
        return (chain, try NIOSSLPrivateKey(bytes: Array(keyPEM.utf8), format: .pem))
    }

    private static func read(rootsPEM: String) throws -> [Certificate] {
        try PEMDocument.parseMultiple(pemString: rootsPEM).map { try Certificate(pemDocument: $0) }
    }
}

/// Accepts a leaf with exactly one SPIFFE id, which is how a proxy is known.
struct SPIFFEPolicy: VerifierPolicy {
    let verifyingCriticalExtensions: [ASN1ObjectIdentifier] = [.X509ExtensionID.subjectAlternativeName]

    mutating func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        chain.leaf.spiffeID == nil
            ? .failsToMeetPolicy(reason: "the certificate has no single SPIFFE id") : .meetsPolicy
    }
}

extension Certificate {
    /// The one SPIFFE id among the subject alternative names; nil when there is none or more than one URI.
    var spiffeID: String? {
        guard let names = try? extensions.subjectAlternativeNames else { return nil }
        var uris: [String] = []
        for case .uniformResourceIdentifier(let uri) in names { uris.append(uri) }
        guard uris.count == 1, let uri = uris.first, uri.hasPrefix("spiffe://") else { return nil }
        return uri
    }
}
