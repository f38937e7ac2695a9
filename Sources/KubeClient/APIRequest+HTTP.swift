import AsyncHTTPClient
import KubeCore
import NIOCore
import NIOHTTP1
import NIOSSL

extension APIRequest {
    var method: HTTPMethod {
        switch verb {
        case .get, .list, .watch: .GET
        case .create: .POST
        case .update: .PUT
        case .patch: .PATCH
        case .delete, .deleteCollection: .DELETE
        }
    }

    /// An applied object is sent as JSON, which is YAML.
    var contentType: String {
        if case .patch(let type) = verb { type.rawValue } else { "application/json" }
    }

    /// `?a=b&c=d`, sorted by name; empty without parameters.
    var queryString: String {
        if query.isEmpty { return "" }
        let pairs = query.sorted { $0.key < $1.key }.map { "\(Self.encoded($0.key))=\(Self.encoded($0.value))" }
        return "?" + pairs.joined(separator: "&")
    }

    /// Percent-encodes all but RFC 3986's unreserved characters.
    private static func encoded(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                out += byte < 16 ? "%0" : "%"
                out += String(byte, radix: 16, uppercase: true)
            }
        }
        return out
    }

    /// Whether sending again after this failure can do no harm.
    ///
    /// A repeated update or merge patch that was done the first time conflicts or changes nothing; a repeated create or
    /// JSON patch may act twice.
    func mayRepeat(after failure: APIError) -> Bool {
        if failure.reason == "InvalidAnswer" || failure.reason == "Unauthorized" { return false }
        if failure.code == 429 { return subresource != "eviction" }
        guard failure.isRetryable, failure.code != 501 else { return false }
        return switch verb {
        case .get, .list, .watch, .update, .delete, .deleteCollection: true
        case .patch(.apply), .patch(.merge): true
        case .create, .patch(.json), .patch(.strategic): false
        }
    }
}

extension APIError {
    /// Whatever failed on the way, as the one error of this door.
    init(transport error: any Error, _ request: APIRequest) {
        if let error = error as? APIError {
            self = error
            return
        }
        let what = "\(request.verb.rbacName) \(request.path)"
        if error is CancellationError || error as? HTTPClientError == .cancelled {
            self.init(code: 0, reason: "Cancelled", message: "\(what) was cancelled")
        } else if let error = error as? HTTPClientError, error == .deadlineExceeded || error == .readTimeout {
            self.init(code: 0, reason: "Timeout", message: "\(what): no answer in time")
        } else {
            self.init(code: 0, reason: "Unreachable", message: "\(what): \(error)")
        }
    }
}

extension ClientConfiguration {
    func tls() throws(ConfigurationError) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        do {
            if let certificateAuthority {
                tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(certificateAuthority)))
            }
        } catch {
            throw ConfigurationError(file: server, field: "certificate-authority", message: "is not PEM: \(error)")
        }
        if let clientCertificate {
            do {
                tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(clientCertificate.chain)).map {
                    .certificate($0)
                }
            } catch {
                throw ConfigurationError(file: server, field: "client-certificate", message: "is not PEM: \(error)")
            }
            do {
                tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(clientCertificate.key), format: .pem))
            } catch {
                throw ConfigurationError(file: server, field: "client-key", message: "is not a PEM key: \(error)")
            }
        }
        if skipsTLSVerification { tls.certificateVerification = .none }
        return tls
    }

    /// The address to ask; with a `tlsServerName`, that name stands in the address and `overrides` leads it to the host.
    func address(overriding overrides: inout [String: String]) -> String {
        guard let tlsServerName, let scheme = server.firstRange(of: "://") else { return server }
        let rest = server[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        let host: Substring
        if authority.hasPrefix("["), let close = authority.firstIndex(of: "]") {
            host = authority[authority.index(after: authority.startIndex)..<close]
        } else {
            host = authority.prefix { $0 != ":" }
        }
        overrides[tlsServerName] = String(host)
        let port = authority.hasSuffix("]") ? "" : authority.lastIndex(of: ":").map { String(authority[$0...]) } ?? ""
        return server[..<scheme.upperBound] + tlsServerName + (port.contains("]") ? "" : port)
            + rest.dropFirst(authority.count)
    }
}
