import AsyncHTTPClient
import KubeCore
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension APIError {
    /// Whatever failed on the way, as the one error of this door. Reasons of code 0:
    ///
    /// - `Unreachable`: no connection, or it was lost before the answer began. `isUnprocessed` tells which.
    /// - `Interrupted`: the connection was lost in the middle of the answer.
    /// - `Untrusted`: TLS failed: a certificate, a name, or what either side accepts.
    /// - `Timeout`, `Cancelled`, `InvalidAnswer`, `Unauthorized` (there is no credential to show).
    init(transport error: any Error, _ what: String, answerHadBegun: Bool = false) {
        if let error = error as? APIError {
            self = error
            return
        }
        if error is CancellationError || error as? HTTPClientError == .cancelled {
            self.init(code: 0, reason: "Cancelled", message: "\(what) was cancelled")
            return
        }
        if let error = error as? ConfigurationError {
            self.init(code: 0, reason: "Unauthorized", message: "\(what): \(error)")
            return
        }
        let isTLS = error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError
        if isTLS, !Self.isUncleanEnd(error) {
            self.init(code: 0, reason: "Untrusted", message: "\(what): TLS failed: \(error)")
            return
        }
        switch error as? HTTPClientError {
        case .some(.deadlineExceeded), .some(.readTimeout):
            self.init(code: 0, reason: "Timeout", message: "\(what): no answer in time")
        case .some(.proxyAuthenticationRequired):
            self.init(code: 0, reason: "Untrusted", message: "\(what): the proxy asks for a user and password")
        case let client:
            self.init(
                code: 0, reason: answerHadBegun ? "Interrupted" : "Unreachable",
                message: "\(what): \(answerHadBegun ? "the answer broke off" : "no connection"): \(error)")
            isUnprocessed = !answerHadBegun && (Self.isNoConnection(error) || Self.beforeSending(client))
        }
    }

    /// A peer that hangs up without TLS' goodbye: a lost connection rather than a distrusted one.
    private static func isUncleanEnd(_ error: any Error) -> Bool {
        if case NIOSSLError.uncleanShutdown = error { return true }
        return false
    }

    /// Nobody listens: of a name (its addresses were tried in turn), or of an address.
    private static func isNoConnection(_ error: any Error) -> Bool {
        error is NIOConnectionError || (error as? IOError)?.errnoCode == ECONNREFUSED
    }

    /// Errors that come while a connection is being made, so before a byte of the request has left.
    private static func beforeSending(_ error: HTTPClientError?) -> Bool {
        guard let error else { return false }
        return [
            .connectTimeout, .tlsHandshakeTimeout, .httpProxyHandshakeTimeout, .socksHandshakeTimeout,
            .getConnectionFromPoolTimeout, .invalidProxyResponse,
        ].contains(error)
    }
}
