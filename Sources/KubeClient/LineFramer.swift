import NIOCore

/// Cuts a byte stream into lines as it arrives.
struct LineFramer {
    /// Empty lines are lines too; else they are passed over.
    let keepsEmptyLines: Bool
    private var buffer = ByteBuffer()
    /// How much of `buffer`, from the reader index, is known to have no line end.
    private var searched = 0

    init(keepsEmptyLines: Bool = false) { self.keepsEmptyLines = keepsEmptyLines }

    mutating func feed(_ chunk: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = chunk
            searched = 0
        } else {
            var chunk = chunk
            buffer.writeBuffer(&chunk)
        }
    }

    var pendingBytes: Int { buffer.readableBytes }

    /// The next whole line without its end; nil until one has arrived.
    mutating func next() -> ByteBuffer? {
        while true {
            let view = buffer.readableBytesView
            guard let end = view[(view.startIndex + searched)...].firstIndex(of: UInt8(ascii: "\n")) else {
                searched = view.count
                buffer.discardReadBytes()
                return nil
            }
            let length = end - view.startIndex
            let line = buffer.readSlice(length: length)
            buffer.moveReaderIndex(forwardBy: 1)
            searched = 0
            if let line, keepsEmptyLines || line.readableBytes > 0 { return line }
        }
    }

    /// The first bytes of what has no end yet, taken off.
    mutating func cut(_ length: Int) -> ByteBuffer? {
        searched = max(0, searched - length)
        return buffer.readSlice(length: length)
    }

    /// What is left when the stream has ended: a last line without its end.
    mutating func rest() -> ByteBuffer? {
        defer {
            buffer = ByteBuffer()
            searched = 0
        }
        return buffer.readableBytes > 0 ? buffer : nil
    }
}
