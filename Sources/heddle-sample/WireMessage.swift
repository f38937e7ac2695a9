import NIOCore
import NIOHTTP1

/// Where a request goes: `http://host:port/path`.
struct WireURL: Hashable, Sendable, CustomStringConvertible {
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    let host: String
    let port: Int
    let path: String

    /// Parses an absolute `http` URL. IPv6 hosts are written in brackets.
    init(_ text: String) throws {
        guard text.hasPrefix("http://") else { throw Malformed(description: "'\(text)' is no http:// URL") }
        let rest = text.dropFirst("http://".count)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let authority = rest[..<slash]
        path = slash == rest.endIndex ? "/" : String(rest[slash...])
        if authority.hasPrefix("["), let close = authority.firstIndex(of: "]") {
            host = String(authority[authority.index(after: authority.startIndex)..<close])
            let tail = authority[authority.index(after: close)...]
            port = try Self.port(tail.hasPrefix(":") ? tail.dropFirst() : "80", in: text)
        } else if let colon = authority.firstIndex(of: ":") {
            host = String(authority[..<colon])
            port = try Self.port(authority[authority.index(after: colon)...], in: text)
        } else {
            host = String(authority)
            port = 80
        }
        guard !host.isEmpty else { throw Malformed(description: "'\(text)' names no host") }
    }

    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == 80 ? name : "\(name):\(port)"
    }
    var origin: String { "\(host)|\(port)" }
    var description: String { "http://\(authority)\(path)" }

    private static func port(_ digits: Substring, in text: String) throws -> Int {
        guard let port = Int(digits), (1...65535).contains(port) else {
            throw Malformed(description: "'\(text)' has no valid port")
        }
        return port
    }
}

/// One request to send.
struct WireRequest: Sendable {
    var url: WireURL
    var method: HTTPMethod = .GET
    var headers: HTTPHeaders = [:]
    var body: String?

    /// Whether it may be sent again when the first try left no trace (RFC 9110, section 9.2.2).
    var isIdempotent: Bool {
        switch method {
        case .GET, .HEAD, .PUT, .DELETE, .OPTIONS, .TRACE: true
        default: false
        }
    }
}

/// One answer received; of the body at most ``WireConnection/bodyLimit`` bytes are kept.
struct WireResponse: Sendable {
    var head: HTTPResponseHead
    var body: String

    var status: Int { Int(head.status.code) }
    var isSuccess: Bool { status < 400 }
}

/// Why there was no answer.
enum WireFailure: Error, Hashable, Sendable, CustomStringConvertible {
    case resolve
    case connectionRefused
    case connectTimeout
    case unreachable
    case connectionReset
    /// The peer closed in order, but before the answer was complete.
    case connectionClosed
    case timeout
    case invalidResponse
    case other(String)

    var description: String {
        switch self {
        case .resolve: "name not resolved"
        case .connectionRefused: "connection refused"
        case .connectTimeout: "connect timeout"
        case .unreachable: "unreachable"
        case .connectionReset: "connection reset"
        case .connectionClosed: "connection closed"
        case .timeout: "timeout"
        case .invalidResponse: "invalid response"
        case .other(let text): text
        }
    }
}
