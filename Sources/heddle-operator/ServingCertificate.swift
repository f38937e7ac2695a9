import FoundationEssentials
import Logging
import MeshIdentity
import NIOCertificateReloading
import NIOSSL
import ServiceLifecycle
import XDSServer

/// The certificate of the operator's own ports, signed by the mesh's authority and renewed long before it lapses.
struct ServingCertificate {
    let authority: CertificateAuthority
    let names: [String]
    let logger: Logger

    private static let renewal: Duration = .seconds(6 * 3600)

    func issue(now: Date) throws -> ServerCertificates {
        let issued = try authority.serverCertificate(dnsNames: names, ipAddresses: ["127.0.0.1"], now: now)
        return try ServerCertificates(
            chainPEM: issued.chainPEM, keyPEM: issued.keyPEM, rootsPEM: try authority.trustBundle.pem)
    }

    func tlsConfiguration(_ certificates: ServerCertificates) throws -> TLSConfiguration {
        try TLSConfiguration.makeServerConfiguration(certificateReloader: certificates)
    }

    func keepFresh(_ certificates: ServerCertificates) async throws {
        while !Task.isShuttingDownGracefully {
            try await cancelWhenGracefulShutdown { try await Task.sleep(for: Self.renewal) }
            let issued = try authority.serverCertificate(dnsNames: names, ipAddresses: ["127.0.0.1"], now: Date())
            try certificates.update(chainPEM: issued.chainPEM, keyPEM: issued.keyPEM)
            logger.info("serving certificate renewed", metadata: ["until": "\(issued.notAfter)"])
        }
    }
}
