import FoundationEssentials
import Logging
import NIOSSL
import Synchronization

/// Gives the TLS settings for the next connection, with certificates and keys read again from their files as they
/// change.
///
/// Connections that are open stay: they were trusted when they were made. What cannot be read or is not PEM (a file
/// that is just being written) leaves the last good settings in place.
final class TLSSource: Sendable {
    private struct Material: Equatable {
        var authority: Data?
        var certificate: ClientConfiguration.ClientCertificate?
    }

    private struct State {
        var material: Material
        var tls: TLSConfiguration
        /// With a credential plugin's certificate in place of the configured one.
        var plugin: (certificate: ClientConfiguration.ClientCertificate, tls: TLSConfiguration)?
        var readAt: ContinuousClock.Instant
    }

    private let configuration: ClientConfiguration
    private let lifetime: Duration
    private let logger: Logger
    private let state: Mutex<State>

    /// - Throws: `ConfigurationError` for what is not PEM.
    init(_ configuration: ClientConfiguration, lifetime: Duration = .seconds(10), logger: Logger)
        throws(ConfigurationError)
    {
        self.configuration = configuration
        self.lifetime = lifetime
        self.logger = logger
        let material = Material(
            authority: configuration.certificateAuthority, certificate: configuration.clientCertificate)
        let tls = try configuration.tls(authority: material.authority, certificate: material.certificate)
        state = Mutex(State(material: material, tls: tls, readAt: .now))
    }

    /// - Parameter certificate: a credential plugin's, in place of the configured one.
    /// - Throws: `ConfigurationError` when that is not PEM.
    func current(_ certificate: ClientConfiguration.ClientCertificate?) throws(ConfigurationError) -> TLSConfiguration {
        let isStale = state.withLock { ContinuousClock.now - $0.readAt >= lifetime }
        if isStale { _ = refresh() }
        guard let certificate else { return state.withLock { $0.tls } }
        if let known = state.withLock({ $0.plugin }), known.certificate == certificate { return known.tls }
        let authority = state.withLock { $0.material.authority }
        let tls = try configuration.tls(authority: authority, certificate: certificate)
        state.withLock { $0.plugin = (certificate, tls) }
        return tls
    }

    /// Reads the files now. True when there is something new, so that what failed may go well now.
    func refresh() -> Bool {
        let files = configuration.files
        if files == ClientConfiguration.CertificateFiles() { return false }
        let old = state.withLock { state in
            state.readAt = .now
            return state.material
        }
        do {
            var material = old
            if let path = files.authority { material.authority = try Self.read(path, "certificate-authority") }
            if let chain = files.clientCertificate, let key = files.clientKey {
                material.certificate = .init(
                    chain: try Self.read(chain, "client-certificate"), key: try Self.read(key, "client-key"))
            } else if let chain = files.clientCertificate, let key = old.certificate?.key {
                material.certificate = .init(chain: try Self.read(chain, "client-certificate"), key: key)
            } else if let key = files.clientKey, let chain = old.certificate?.chain {
                material.certificate = .init(chain: chain, key: try Self.read(key, "client-key"))
            }
            if material == old { return false }
            let tls = try configuration.tls(authority: material.authority, certificate: material.certificate)
            state.withLock { state in
                state.material = material
                state.tls = tls
                state.plugin = nil
            }
            logger.info("certificates have changed and were read again", metadata: ["files": "\(files.names)"])
            return true
        } catch {
            logger.warning("certificates cannot be read again; the last ones stay", metadata: ["error": "\(error)"])
            return false
        }
    }

    private static func read(_ path: String, _ field: String) throws(ConfigurationError) -> Data {
        try ClientConfiguration.readFile(path, field: field)
    }
}

extension ClientConfiguration.CertificateFiles {
    fileprivate var names: String {
        [authority, clientCertificate, clientKey].compactMap { $0 }.joined(separator: ", ")
    }
}
