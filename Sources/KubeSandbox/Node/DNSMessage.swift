/// A DNS message as far as the cluster's server needs it (RFC 1035): one question, and address answers.
struct DNSMessage: Equatable {
    enum RecordType { static let a: UInt16 = 1, aaaa: UInt16 = 28, srv: UInt16 = 33, any: UInt16 = 255 }
    enum ResponseCode: UInt8 {
        case noError = 0
        case formatError = 1
        case nameError = 3
        case notImplemented = 4
        case refused = 5
    }

    struct Question: Equatable {
        /// Lower case, without the final dot.
        var name: String
        var type: UInt16
        /// As it came, to be sent back.
        var bytes: [UInt8]
    }

    var id: UInt16
    var recursionDesired: Bool
    var question: Question?

    /// Reads a query; nil when it is no query at all and deserves no answer. A malformed question is left out.
    init?(query bytes: [UInt8]) {
        guard bytes.count >= 12, bytes[2] & 0x80 == 0 else { return nil }
        id = UInt16(bytes[0]) << 8 | UInt16(bytes[1])
        recursionDesired = bytes[2] & 1 == 1
        guard bytes[2] & 0x78 == 0, bytes[4] == 0, bytes[5] == 1 else { return }
        question = Self.question(bytes)
    }

    private static func question(_ bytes: [UInt8]) -> Question? {
        var labels: [String] = []
        var index = 12
        while index < bytes.count, bytes[index] != 0 {
            let length = Int(bytes[index])
            guard length < 64, index + 1 + length < bytes.count, labels.count < 128 else { return nil }
            labels.append(String(decoding: bytes[(index + 1)...(index + length)], as: UTF8.self).lowercased())
            index += 1 + length
        }
        guard index + 4 < bytes.count else { return nil }
        let type = UInt16(bytes[index + 1]) << 8 | UInt16(bytes[index + 2])
        return Question(name: labels.joined(separator: "."), type: type, bytes: Array(bytes[12...(index + 4)]))
    }

    /// The response with these IPv4 addresses.
    /// - Parameter limit: bytes that the transport carries; beyond them the answer is marked as truncated.
    func response(_ code: ResponseCode, addresses: [String] = [], ttlSeconds: UInt8 = 5, limit: Int = 65_535) -> [UInt8]
    {
        let head = 12 + (question?.bytes.count ?? 0)
        let records = addresses.compactMap { address -> [UInt8]? in
            let parts = address.split(separator: ".").compactMap { UInt8($0) }
            // A pointer to the question's name, type A, class IN.
            return parts.count == 4 ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttlSeconds, 0, 4] + parts : nil
        }
        let sent = records.prefix(max(0, (limit - head) / 16))
        var bytes: [UInt8] = [UInt8(id >> 8), UInt8(id & 0xff)]
        bytes.append(0x84 | (recursionDesired ? 1 : 0) | (sent.count < records.count ? 2 : 0))
        bytes.append(code.rawValue)
        bytes += [0, question == nil ? 0 : 1, UInt8(sent.count >> 8), UInt8(sent.count & 0xff), 0, 0, 0, 0]
        bytes += question?.bytes ?? []
        for record in sent { bytes += record }
        return bytes
    }
}
