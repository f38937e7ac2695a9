/// Finds the end of one JSON value whose bytes arrive in pieces. Looks at each byte once, and only at what it needs:
/// strings and nesting. What it accepts may still be malformed.
struct ValueFramer {
    private enum Mode {
        case start, scalar, between, string, escape, strayEscape
    }

    private var mode = Mode.start
    private var depth = 0

    /// A number or a word, which ends only where something else begins.
    var isScalar: Bool { mode == .scalar }

    /// Takes in the next bytes, from an index on.
    /// - Returns: the index behind the value's last byte; nil when the value goes on behind these bytes.
    mutating func end(in bytes: Span<UInt8>, from start: Int) -> Int? {
        var index = start
        while index < bytes.count {
            switch mode {
            case .string:
                index = Self.stringStop(in: bytes, from: index)
                guard index < bytes.count else { return nil }
                mode = bytes[index] == UInt8(ascii: "\"") ? .between : .escape
                index += 1
                if mode == .between, depth == 0 { return index }
            case .escape:
                mode = .string
                index += 1
            case .strayEscape:
                mode = .between
                if bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "\\") { index += 1 }
            case .scalar:
                if Self.endsScalar(bytes[index]) { return index }
                index += 1
            case .start, .between:
                switch bytes[index] {
                case UInt8(ascii: "{"), UInt8(ascii: "["):
                    depth += 1
                    mode = .between
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    depth -= 1
                    // Below zero only for text that starts with a bracket: the reader refuses it.
                    if depth <= 0 { return index + 1 }
                case UInt8(ascii: "\""): mode = .string
                // Malformed here; taken as `JSONScanner.skip` takes it, so that both see the same end.
                case UInt8(ascii: "\\") where mode == .between: mode = .strayEscape
                default: if mode == .start { mode = .scalar }
                }
                index += 1
            }
        }
        return nil
    }

    /// The index of the next `"` or `\`, or the count.
    private static func stringStop(in bytes: Span<UInt8>, from start: Int) -> Int {
        var index = start
        while index < bytes.count {
            if index + 8 <= bytes.count {
                let stops = ByteWord.stringStops(bytes.word(at: index))
                if stops == 0 {
                    index += 8
                    continue
                }
                index += ByteWord.first(stops)
            }
            if bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "\\") { return index }
            index += 1
        }
        return index
    }

    private static func endsScalar(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ":"), 0x20, 0x0A, 0x0D, 0x09: true
        default: false
        }
    }
}
