#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A way out to the API server through another host.
package struct Proxy: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// HTTP's CONNECT, spoken in plain text; the TLS to the API server goes through it untouched.
        case connect = "http"
        case socks5
    }

    package var kind: Kind
    package var host: String
    package var port: Int
    package var user: String?
    package var password: String?

    package init(kind: Kind = .connect, host: String, port: Int, user: String? = nil, password: String? = nil) {
        self.kind = kind
        self.host = host
        self.port = port
        self.user = user
        self.password = password
    }

    package var description: String { "\(kind.rawValue)://\(host):\(port)" }

    /// What is wrong with a proxy's address.
    struct Fault: Error {
        var message: String
    }

    /// Reads `http://user:password@host:port` or `socks5://host:port`.
    init(address text: String) throws(Fault) {
        guard let address = ServerAddress(text) else {
            throw Fault(message: "is not an address such as http://proxy:3128")
        }
        switch address.scheme.lowercased() {
        case "http": self.init(host: address.host, port: address.port ?? 80)
        case "socks5", "socks5h":
            if address.userInfo != nil { throw Fault(message: "names a user, which is not supported with SOCKS") }
            self.init(kind: .socks5, host: address.host, port: address.port ?? 1080)
        case "https":
            throw Fault(
                message: "is a proxy that is itself spoken to over TLS, which is not supported; use its http:// port")
        case let other: throw Fault(message: "has the scheme \(other); supported are http and socks5")
        }
        if let info = address.userInfo {
            let parts = info.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = Self.decoded(parts[0])
            password = parts.count > 1 ? Self.decoded(parts[1]) : ""
        }
    }

    /// The environment's proxy for this server, by Go's rules (`golang.org/x/net/http/httpproxy`), which kubectl
    /// follows.
    static func inEnvironment(_ environment: [String: String], for server: String) throws(ConfigurationError) -> Proxy?
    {
        guard let address = ServerAddress(server) else { return nil }
        let names = address.scheme == "https" ? ["HTTPS_PROXY", "https_proxy"] : ["HTTP_PROXY", "http_proxy"]
        guard let name = names.first(where: { !(environment[$0] ?? "").isEmpty }), let text = environment[name] else {
            return nil
        }
        let exceptions = ["NO_PROXY", "no_proxy"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        let port = address.port ?? (address.scheme == "https" ? 443 : 80)
        if NoProxy(exceptions).covers(host: address.host, port: port) { return nil }
        do {
            return try Proxy(address: text.contains("://") ? text : "http://" + text)
        } catch {
            throw ConfigurationError(file: "environment", field: name, message: error.message)
        }
    }

    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The hosts that are reached without the environment's proxy: the list in `NO_PROXY`, and this machine itself.
struct NoProxy {
    private enum Rule {
        case everything
        case network([UInt8], bits: Int)
        case address([UInt8], port: Int?)
        /// The name itself when `includesName`, and the names below it.
        case domain(String, includesName: Bool, port: Int?)
    }

    private var rules: [Rule] = []

    init(_ list: String) {
        for part in list.split(separator: ",") {
            let text = part.lowercased().filter { !$0.isWhitespace }
            if text == "*" {
                rules = [.everything]
                return
            }
            if let slash = text.firstIndex(of: "/"), let bits = Int(text[text.index(after: slash)...]),
                let address = Self.bytes(String(text[..<slash])), bits >= 0, bits <= address.count * 8
            {
                rules.append(.network(address, bits: bits))
                continue
            }
            if let address = Self.bytes(text) {
                rules.append(.address(address, port: nil))
                continue
            }
            guard let parts = ServerAddress("x://" + text) else { continue }
            if let address = Self.bytes(parts.host) {
                rules.append(.address(address, port: parts.port))
            } else {
                var name = parts.host
                if name.hasPrefix("*.") { name.removeFirst() }
                let isBelowOnly = name.hasPrefix(".")
                if isBelowOnly { name.removeFirst() }
                rules.append(.domain(name, includesName: !isBelowOnly, port: parts.port))
            }
        }
    }

    func covers(host: String, port: Int) -> Bool {
        let host = host.lowercased()
        let address = Self.bytes(host)
        if host == "localhost" || address?.first == 127 && address?.count == 4 { return true }
        if let address, address.count == 16, address.dropLast().allSatisfy({ $0 == 0 }), address.last == 1 {
            return true
        }
        return rules.contains { rule in
            switch rule {
            case .everything: true
            case .network(let network, let bits): address.map { Self.contains(network, bits, $0) } ?? false
            case .address(let other, let only): other == address && (only ?? port) == port
            case .domain(let name, let includesName, let only):
                (only ?? port) == port && (includesName && host == name || host.hasSuffix("." + name))
            }
        }
    }

    private static func contains(_ network: [UInt8], _ bits: Int, _ address: [UInt8]) -> Bool {
        guard network.count == address.count else { return false }
        let whole = bits / 8
        if network[..<whole] != address[..<whole] { return false }
        let rest = bits % 8
        if rest == 0 { return true }
        let mask = UInt8(truncatingIfNeeded: 0xFF00 >> rest)
        return network[whole] & mask == address[whole] & mask
    }

    /// An IP address in network order: 4 or 16 bytes.
    private static func bytes(_ text: String) -> [UInt8]? {
        for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
            var out = [UInt8](repeating: 0, count: size)
            if inet_pton(family, text, &out) == 1 { return out }
        }
        return nil
    }
}
