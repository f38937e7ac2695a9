import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

extension WireFailure {
    /// Names the kind of an error that NIO reported.
    init(_ error: any Error) {
        switch error {
        case let failure as WireFailure: self = failure
        case let error as NIOConnectionError:
            if let attempt = error.connectionErrors.last {
                self = WireFailure(attempt.error)
            } else {
                self = .resolve
            }
        case let error as IOError: self = WireFailure(errno: error.errnoCode)
        case ChannelError.connectTimeout: self = .connectTimeout
        case ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed, ChannelError.eof, ChannelError.inputClosed,
            ChannelError.outputClosed:
            self = .connectionClosed
        case is HTTPParserError: self = .invalidResponse
        default: self = .other(String(describing: type(of: error)))
        }
    }

    init(errno code: CInt) {
        switch code {
        case ECONNREFUSED: self = .connectionRefused
        case ECONNRESET, EPIPE: self = .connectionReset
        case ETIMEDOUT: self = .connectTimeout
        case EHOSTUNREACH, ENETUNREACH: self = .unreachable
        default: self = .other("errno \(code)")
        }
    }

    /// Whether the peer may have closed an idle connection just as we used it.
    var isLostConnection: Bool { self == .connectionReset || self == .connectionClosed }
}
