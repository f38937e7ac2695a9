import Synchronization

/// Hands out the cluster addresses of Services, one after the other, from an IPv4 range.
final class ServiceAddresses: Sendable {
    private let base: UInt32
    private let size: UInt32
    private let next: Mutex<UInt32>

    /// - Parameter cidr: at most /16 and at least /28 in size; another text means `10.96.0.0/16`.
    init(cidr: String) {
        let parsed = Self.parse(cidr) ?? (base: 0x0A60_0000, prefix: 16)
        base = parsed.base
        size = 1 << (32 - parsed.prefix)
        // The first addresses are for well-known Services: .1 the API, .10 DNS.
        next = Mutex(min(16, size / 2))
    }

    /// The address of the Service `kubernetes`.
    var first: String { Self.text(base + 1) }

    /// An address that `isUsed` denies; nil when the range is exhausted.
    func allocate(isUsed: (String) -> Bool) -> String? {
        for _ in 0..<size {
            let offset = next.withLock { next in
                defer { next = next + 2 >= size ? min(16, size / 2) : next + 1 }
                return next
            }
            let address = Self.text(base + offset)
            if !isUsed(address) { return address }
        }
        return nil
    }

    func contains(_ address: String) -> Bool {
        guard let value = Self.value(address) else { return false }
        return value >= base && value - base < size
    }

    private static func parse(_ cidr: String) -> (base: UInt32, prefix: Int)? {
        let parts = cidr.split(separator: "/")
        guard parts.count == 2, let prefix = Int(parts[1]), (16...28).contains(prefix),
            let address = value(String(parts[0]))
        else { return nil }
        return (address & ~(UInt32.max >> prefix), prefix)
    }

    private static func value(_ text: String) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        guard parts.count == 4 else { return nil }
        return parts.reduce(UInt32?(0)) { sum, part in
            guard let sum, let part else { return nil }
            return sum << 8 | UInt32(part)
        }
    }

    private static func text(_ value: UInt32) -> String {
        "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    }
}
