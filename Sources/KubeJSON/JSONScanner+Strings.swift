/// Where a string's content is in the scanner's bytes, already checked.
@frozen
package struct JSONText: Sendable, Equatable {
    /// Without the quotes.
    package var start: Int
    package var end: Int
    package var hasEscapes: Bool

    @inlinable
    init(start: Int, end: Int, hasEscapes: Bool) {
        self.start = start
        self.end = end
        self.hasEscapes = hasEscapes
    }
}

extension JSONScanner {
    /// Passes over a string whose opening quote is next; checks its escapes and its UTF-8.
    @inlinable
    package mutating func scanString() throws(JSONFailure) -> JSONText {
        let start = position &+ 1
        var index = start
        var seen: UInt64 = 0
        var hasEscapes = false
        let count = bytes.count
        while true {
            if index &+ 8 <= count {
                let word = bytes.word(at: index)
                let stops = ByteWord.stringStops(word)
                if stops == 0 {
                    seen |= word
                    index &+= 8
                    continue
                }
                let first = ByteWord.first(stops)
                seen |= word & ((1 &<< UInt64(truncatingIfNeeded: first &* 8)) &- 1)
                index &+= first
            } else {
                guard index < count else { throw JSONFailure(.truncated, at: count) }
                let byte = bytes[index]
                if byte != 0x22, byte != 0x5C, byte >= 0x20 {
                    seen |= UInt64(byte)
                    index &+= 1
                    continue
                }
            }
            switch bytes[index] {
            case 0x22:
                position = index &+ 1
                if seen & 0x8080_8080_8080_8080 != 0 { try bytes.checkUTF8(start, index) }
                return JSONText(start: start, end: index, hasEscapes: hasEscapes)
            case 0x5C:
                hasEscapes = true
                index = try checkEscape(at: index)
            default: throw JSONFailure(.controlCharacter, at: index)
            }
        }
    }

    /// - Returns: the index behind the escape that starts here; a surrogate pair is one.
    @usableFromInline
    func checkEscape(at index: Int) throws(JSONFailure) -> Int {
        guard index + 1 < bytes.count else { throw JSONFailure(.truncated, at: bytes.count) }
        switch bytes[index + 1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return index + 2
        case UInt8(ascii: "u"):
            let unit = try hex4(at: index + 2)
            if unit & 0xFC00 == 0xDC00 { throw JSONFailure(.loneSurrogate, at: index) }
            guard unit & 0xFC00 == 0xD800 else { return index + 6 }
            for (step, expected) in [UInt8(ascii: "\\"), UInt8(ascii: "u")].enumerated() {
                guard index + 6 + step < bytes.count else { throw JSONFailure(.truncated, at: bytes.count) }
                guard bytes[index + 6 + step] == expected else { throw JSONFailure(.loneSurrogate, at: index) }
            }
            guard try hex4(at: index + 8) & 0xFC00 == 0xDC00 else { throw JSONFailure(.loneSurrogate, at: index) }
            return index + 12
        default: throw JSONFailure(.unknownEscape, at: index)
        }
    }

    private func hex4(at index: Int) throws(JSONFailure) -> UInt32 {
        var unit: UInt32 = 0
        for offset in index..<index + 4 {
            guard offset < bytes.count else { throw JSONFailure(.truncated, at: bytes.count) }
            guard let digit = Self.hexDigit(bytes[offset]) else {
                throw JSONFailure(.malformedUnicodeEscape, at: offset)
            }
            unit = unit << 4 | digit
        }
        return unit
    }

    private static func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    // MARK: Content

    /// Whether a string that was scanned reads as `name`, which is ASCII.
    @inlinable
    package func `is`(_ text: JSONText, _ name: StaticString) -> Bool {
        if text.hasEscapes { return string(text) == "\(name)" }
        guard text.end &- text.start == name.utf8CodeUnitCount else { return false }
        for index in 0..<name.utf8CodeUnitCount where bytes[text.start &+ index] != name.utf8Start[index] {
            return false
        }
        return true
    }

    /// The content of a string that was scanned.
    @inlinable
    package func string(_ text: JSONText) -> String {
        if text.hasEscapes { return unescaped(text) }
        return bytes.extracting(text.start..<text.end).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    /// The next value as a string.
    @inlinable
    package mutating func string() throws(JSONFailure) -> String {
        guard try peek() == UInt8(ascii: "\"") else { throw failure(.expectedString) }
        return string(try scanString())
    }

    /// The next value as a string that is likely to come again.
    @inlinable
    package mutating func string(cachedIn cache: StringCache) throws(JSONFailure) -> String {
        guard try peek() == UInt8(ascii: "\"") else { throw failure(.expectedString) }
        return string(try scanString(), cachedIn: cache)
    }

    @inlinable
    package func string(_ text: JSONText, cachedIn cache: StringCache) -> String {
        // Up to 15 bytes a string needs no memory of its own.
        if text.hasEscapes || text.end &- text.start <= 15 { return string(text) }
        return bytes.extracting(text.start..<text.end).withUnsafeBufferPointer { cache.string($0) }
    }

    @usableFromInline
    func unescaped(_ text: JSONText) -> String {
        var units: [UInt8] = []
        units.reserveCapacity(text.end - text.start)
        var index = text.start
        while index < text.end {
            guard bytes[index] == UInt8(ascii: "\\") else {
                units.append(bytes[index])
                index += 1
                continue
            }
            let escape = bytes[index + 1]
            index += 2
            switch escape {
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "u"):
                var code = checkedHex(at: index)
                index += 4
                if code & 0xFC00 == 0xD800 {
                    code = 0x10000 + (code & 0x3FF) << 10 + checkedHex(at: index + 2) & 0x3FF
                    index += 6
                }
                units.append(contentsOf: String(Unicode.Scalar(code) ?? "\u{FFFD}").utf8)
            default: units.append(escape)
            }
        }
        return String(decoding: units, as: UTF8.self)
    }

    /// Four digits that `checkEscape` has seen.
    private func checkedHex(at index: Int) -> UInt32 {
        (index..<index + 4).reduce(0) { $0 << 4 | (Self.hexDigit(bytes[$1]) ?? 0) }
    }
}
