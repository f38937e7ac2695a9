/// The client's side of one `grpc.health.v1.Health/Check` over plaintext HTTP/2, reduced to the bytes.
///
/// A probe needs one stream, one request and one answer, so the frames are written by hand: fixed HPACK literals
/// without Huffman or dynamic table on the way out; on the way in only DATA is read, as its message alone tells the
/// status. (RFC 9113, RFC 7541, gRPC over HTTP/2, and `grpc/health/v1/health.proto`.)
struct GRPCHealthConversation: Sendable {
    enum Step: Equatable, Sendable {
        case send([UInt8])
        /// `SERVING`.
        case healthy
        /// Any other status, or no answer at all.
        case unhealthy(String)
    }

    private var received: [UInt8] = []
    private var message: [UInt8] = []

    /// Everything the client says first: preface, settings, request headers, request message.
    static func opening(service: String, authority: String) -> [UInt8] {
        var block: [UInt8] = [0x83, 0x86]  // :method POST, :scheme http
        block += [0x04] + string("/grpc.health.v1.Health/Check")  // :path
        block += [0x01] + string(authority)  // :authority
        block += [0x0f, 0x10] + string("application/grpc")  // content-type (static index 31)
        block += [0x00] + string("te") + string("trailers")
        let name = Array(service.utf8.prefix(127))
        let request: [UInt8] = name.isEmpty ? [] : [0x0a, UInt8(name.count)] + name
        let payload: [UInt8] = [0] + bigEndian(request.count) + request
        return Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(type: 4, flags: 0, stream: 0, [])
            + frame(type: 1, flags: 0x4, stream: 1, block) + frame(type: 0, flags: 0x1, stream: 1, payload)
    }

    /// Takes bytes from the server and says what to do. After a verdict, nothing more should be fed.
    mutating func receive(_ bytes: some Sequence<UInt8>) -> [Step] {
        received += bytes
        var steps: [Step] = []
        while received.count >= 9 {
            let length = Int(received[0]) << 16 | Int(received[1]) << 8 | Int(received[2])
            guard length <= 1 << 20 else { return steps + [.unhealthy("the server does not speak HTTP/2")] }
            guard received.count >= 9 + length else { break }
            let type = received[3]
            let flags = received[4]
            let stream =
                Int(received[5] & 0x7f) << 24 | Int(received[6]) << 16 | Int(received[7]) << 8 | Int(received[8])
            let payload = Array(received[9..<9 + length])
            received.removeFirst(9 + length)
            if let step = handle(type: type, flags: flags, stream: stream, payload) {
                steps.append(step)
                if case .send = step { continue }
                return steps
            }
        }
        return steps
    }

    private mutating func handle(type: UInt8, flags: UInt8, stream: Int, _ payload: [UInt8]) -> Step? {
        switch (type, stream) {
        case (0, 1):
            let padding = flags & 0x8 != 0 ? Int(payload.first ?? 0) + 1 : 0
            guard padding <= payload.count else { return .unhealthy("malformed DATA frame") }
            message += padding == 0 ? payload[...] : payload[1..<(payload.count - padding + 1)]
            if let verdict = verdict() { return verdict }
            return flags & 0x1 != 0 ? .unhealthy("the answer ended early") : nil
        case (1, 1): return flags & 0x1 != 0 ? .unhealthy("the call failed without an answer") : nil
        case (3, 1): return .unhealthy("the server reset the call")
        case (4, 0): return flags & 0x1 != 0 ? nil : .send(Self.frame(type: 4, flags: 0x1, stream: 0, []))
        case (6, 0): return flags & 0x1 != 0 ? nil : .send(Self.frame(type: 6, flags: 0x1, stream: 0, payload))
        case (7, _): return .unhealthy("the server goes away")
        default: return nil
        }
    }

    /// Reads the status once the message is complete: field 1, a varint; 1 is SERVING.
    private func verdict() -> Step? {
        guard message.count >= 5 else { return nil }
        let length = message[1...4].reduce(0) { $0 << 8 | Int($1) }
        guard message.count >= 5 + length else { return nil }
        guard message[0] == 0 else { return .unhealthy("the answer is compressed") }
        let body = message[5..<5 + length]
        if body.starts(with: [0x08, 0x01]) { return .healthy }
        let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]
        let status = body.count >= 2 && body[5] == 0x08 ? Int(body[6]) : 0
        return .unhealthy(status < names.count ? names[status] : "status \(status)")
    }

    private static func frame(type: UInt8, flags: UInt8, stream: Int, _ payload: [UInt8]) -> [UInt8] {
        Array(bigEndian(payload.count).suffix(3)) + [type, flags] + bigEndian(stream) + payload
    }

    private static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8.prefix(126))
        return [UInt8(bytes.count)] + bytes
    }

    private static func bigEndian(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
