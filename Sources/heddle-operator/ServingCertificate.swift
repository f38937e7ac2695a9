import FoundationEssentials
import HeddleServer
import Logging
import MeshIdentity
import NIOCertificateReloading
import NIOSSL
import ServiceLifecycle
import XDSServer

/// The certificate of the operator's own ports, signed by the mesh's authority and renewed long before it lapses, and when
/// the authority changes.
struct ServingCertificate {
    let authority: @Sendable () -> AuthorityState
    let names: [String]
    let logger: Logger

    private static let renewal: Duration = .seconds(6 * 3600)

    func issue(now: Date) throws -> ServerCertificates {
        let state = authority()
        let issued = try certificate(now: now)
        return try ServerCertificates(chainPEM: issued.chainPEM, keyPEM: issued.keyPEM, rootsPEM: state.bundlePEM)
    }

    func tlsConfiguration(_ certificates: ServerCertificates) throws -> TLSConfiguration {
        try TLSConfiguration.makeServerConfiguration(certificateReloader: certificates)
    }

    func keepFresh(_ certificates: ServerCertificates) async throws {
        while !Task.isShuttingDownGracefully {
            try await cancelWhenGracefulShutdown { try await Task.sleep(for: Self.renewal) }
            renew(certificates, now: Date())
        }
    }

    /// Signs anew, and takes the authority's roots. What fails is logged; the certificate before serves on.
    func renew(_ certificates: ServerCertificates, now: Date) {
        do {
            let issued = try certificate(now: now)
            try certificates.update(rootsPEM: authority().bundlePEM)
            try certificates.update(chainPEM: issued.chainPEM, keyPEM: issued.keyPEM)
            logger.info("serving certificate renewed", metadata: ["until": "\(issued.notAfter)"])
        } catch {
            logger.error("serving certificate not renewed", metadata: ["error": "\(error)"])
        }
    }

    private func certificate(now: Date) throws -> ServerCertificate {
        try authority().authority.serverCertificate(dnsNames: names, ipAddresses: ["127.0.0.1"], now: now)
    }
}
