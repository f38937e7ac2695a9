import CJSONBlock

extension JSONScanner {
    /// Passes over the next value, whatever it is.
    ///
    /// Of objects and lists only what is needed to find their end is looked at: strings, nesting, and that the text is
    /// UTF-8; sixty-four bytes at a time. Their grammar in between is not checked.
    @inlinable
    package mutating func skip() throws(JSONFailure) {
        switch try peek() {
        case UInt8(ascii: "\""): _ = try scanString()
        case UInt8(ascii: "{"), UInt8(ascii: "["): try skipContainer()
        default: try skipScalar()
        }
    }

    @usableFromInline
    mutating func skipScalar() throws(JSONFailure) {
        switch bytes[position] {
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        default: _ = try number()
        }
    }

    @usableFromInline
    mutating func skipContainer() throws(JSONFailure) {
        let start = position
        var blocks = BlockSkipper()
        while position + BlockSkipper.width <= bytes.count {
            let block = bytes.block(at: position)
            if let end = blocks.end(in: block) {
                position += end
                return try finishSkip(from: start, blocks.sawNonASCII)
            }
            position += BlockSkipper.width
        }
        // What is left is less than a block: blanks behind it change nothing.
        let rest = bytes.count - position
        var last = Array(repeating: UInt8(ascii: " "), count: BlockSkipper.width)
        for index in 0..<rest { last[index] = bytes[position + index] }
        guard let end = blocks.end(in: last.span.block(at: 0)) else { throw JSONFailure(.truncated, at: bytes.count) }
        position += end
        try finishSkip(from: start, blocks.sawNonASCII)
    }

    private func finishSkip(from start: Int, _ sawNonASCII: Bool) throws(JSONFailure) {
        if sawNonASCII { try bytes.checkUTF8(start, position) }
    }
}

/// Finds the end of an object or list, block by block: the bits of a word stand for the bytes of a block.
struct BlockSkipper {
    static var width: Int { 64 }

    private var depth = 0
    /// All ones when the last block ended inside a string, else zero.
    private var inString: UInt64 = 0
    /// 1 when the last block ended in a backslash that escapes the next byte.
    private var isEscaped: UInt64 = 0
    private var seen: UInt64 = 0

    /// May be true for what lies behind the end, in the last block.
    var sawNonASCII: Bool { seen != 0 }

    /// - Returns: the index behind the value's last byte, when that is in this block.
    @inline(__always)
    mutating func end(in block: heddle_json_block) -> Int? {
        seen |= block.non_ascii
        let quotes = block.quotes & ~escapedBytes(block.backslashes)
        let strings = Self.prefixParity(quotes) ^ inString
        inString = 0 &- (strings >> 63)
        let opens = block.opens & ~strings
        let closes = block.closes & ~strings
        if closes.nonzeroBitCount < depth {
            depth += opens.nonzeroBitCount - closes.nonzeroBitCount
            return nil
        }
        var brackets = opens | closes
        while brackets != 0 {
            let lowest = brackets & (0 &- brackets)
            if opens & lowest != 0 {
                depth += 1
            } else {
                depth -= 1
                if depth <= 0 { return lowest.trailingZeroBitCount + 1 }
            }
            brackets ^= lowest
        }
        return nil
    }

    /// Bytes behind a backslash that is not itself escaped. Runs of backslashes are told even from odd by a subtraction
    /// that carries through them (Langdale and Lemire, "Parsing gigabytes of JSON per second", as revised in simdjson 3).
    @inline(__always)
    private mutating func escapedBytes(_ backslashes: UInt64) -> UInt64 {
        if backslashes == 0 {
            defer { isEscaped = 0 }
            return isEscaped
        }
        let odd: UInt64 = 0xAAAA_AAAA_AAAA_AAAA
        let starts = backslashes & ~isEscaped
        let codes = ((starts << 1 | odd) &- starts) ^ odd
        let escaped = codes ^ (backslashes | isEscaped)
        isEscaped = (codes & backslashes) >> 63
        return escaped
    }

    /// Each bit the parity of itself and those below: ones from an opening quote up to before its closing one.
    @inline(__always)
    private static func prefixParity(_ bits: UInt64) -> UInt64 {
        var parity = bits
        parity ^= parity << 1
        parity ^= parity << 2
        parity ^= parity << 4
        parity ^= parity << 8
        parity ^= parity << 16
        return parity ^ parity << 32
    }
}

extension Span<UInt8> {
    /// What is where in the 64 bytes from an index on.
    @inline(__always)
    fileprivate func block(at index: Int) -> heddle_json_block {
        precondition(index >= 0 && index <= count - BlockSkipper.width, "64 bytes of the span")
        return withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return heddle_json_block() }
            return heddle_classify(base + index)
        }
    }
}
