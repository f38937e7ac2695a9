import FoundationEssentials
import NIOSSL

extension ClientConfiguration {
    /// TLS as configured, with the given PEM in place of this configuration's own.
    /// - Throws: `ConfigurationError` for what is not PEM.
    func tls(authority: Data?, certificate: ClientCertificate?) throws(ConfigurationError) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        do {
            if let authority {
                let certificates = try NIOSSLCertificate.fromPEMBytes(Array(authority))
                tls.trustRoots = .certificates(certificates)
            }
        } catch {
            throw ConfigurationError(
                file: files.authority ?? server, field: "certificate-authority", message: "is not PEM: \(error)")
        }
        if let certificate {
            do {
                tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.chain)).map {
                    .certificate($0)
                }
            } catch {
                throw ConfigurationError(
                    file: files.clientCertificate ?? server, field: "client-certificate",
                    message: "is not PEM: \(error)")
            }
            do {
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(certificate.key), format: .pem))
            } catch {
                throw ConfigurationError(
                    file: files.clientKey ?? server, field: "client-key", message: "is not a PEM key: \(error)")
            }
        }
        if skipsTLSVerification { tls.certificateVerification = .none }
        return tls
    }

    /// The address to ask; with a `tlsServerName`, that name stands in the address and `overrides` leads it to the
    /// host.
    func address(overriding overrides: inout [String: String]) -> String {
        guard let tlsServerName, let authority = ServerAddress(server) else { return server }
        overrides[tlsServerName] = authority.host
        return authority.scheme + "://" + tlsServerName + (authority.port.map { ":\($0)" } ?? "") + authority.path
    }
}

/// The parts of an address such as `https://[::1]:6443/path`.
struct ServerAddress: Equatable {
    var scheme: String
    /// `user:password` before an `@`, as written.
    var userInfo: String?
    /// Without brackets.
    var host: String
    var port: Int?
    /// Empty, or from the first slash on.
    var path: String

    /// Nil for what is not an address with a scheme and a host.
    init?(_ text: String) {
        guard let mark = text.firstRange(of: "://") else { return nil }
        scheme = String(text[..<mark.lowerBound])
        let rest = text[mark.upperBound...]
        var authority = rest.prefix { $0 != "/" && $0 != "?" }
        path = String(rest.dropFirst(authority.count))
        if let at = authority.lastIndex(of: "@") {
            userInfo = String(authority[..<at])
            authority = authority[authority.index(after: at)...]
        }
        let after: Substring
        if authority.hasPrefix("["), let close = authority.firstIndex(of: "]") {
            host = String(authority[authority.index(after: authority.startIndex)..<close])
            after = authority[authority.index(after: close)...]
        } else {
            host = String(authority.prefix { $0 != ":" })
            after = authority.dropFirst(host.count)
        }
        if after.hasPrefix(":") {
            guard let number = Int(after.dropFirst()), (1...65_535).contains(number) else { return nil }
            port = number
        } else if !after.isEmpty {
            return nil
        }
        if host.isEmpty || scheme.isEmpty { return nil }
    }
}
