#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// An IPv4 or IPv6 network: `10.0.0.0/8`, `fd00::/8`, or a single address.
struct CIDR: Equatable, Sendable {
    let text: String
    let isIPv6: Bool

    /// Nil when the text is neither an address nor an address with a prefix length that fits it.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2, let address = parts.first else { return nil }
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, address, &buffer) == 1 {
            isIPv6 = false
        } else if inet_pton(AF_INET6, address, &buffer) == 1 {
            isIPv6 = true
        } else {
            return nil
        }
        if parts.count == 2 {
            guard parts[1].allSatisfy(\.isNumber), let length = Int(parts[1]), length <= (isIPv6 ? 128 : 32) else {
                return nil
            }
        }
        self.text = text
    }

    /// The nftables expression that matches destinations in the network.
    var match: String { "\(isIPv6 ? "ip6" : "ip") daddr \(text)" }
}
