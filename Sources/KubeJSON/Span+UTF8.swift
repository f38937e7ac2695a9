extension Span<UInt8> {
    /// Refuses what Unicode's table 3-7 (well-formed UTF-8 byte sequences) does not list: overlong forms, surrogates,
    /// code points beyond U+10FFFF, sequences that break off.
    @usableFromInline
    package func checkUTF8(_ start: Int, _ end: Int) throws(JSONFailure) {
        var index = start
        while index < end {
            // Text is mostly ASCII, eight bytes of it at a time.
            if index + 8 <= end, word(at: index) & 0x8080_8080_8080_8080 == 0 {
                index += 8
                continue
            }
            let lead = self[index]
            if lead < 0x80 {
                index += 1
                continue
            }
            let length: Int
            // The second byte carries what the lead byte cannot say; the others are 80...BF.
            var second: ClosedRange<UInt8> = 0x80...0xBF
            switch lead {
            case 0xC2...0xDF: length = 2
            case 0xE0...0xEF:
                length = 3
                if lead == 0xE0 { second = 0xA0...0xBF }
                if lead == 0xED { second = 0x80...0x9F }
            case 0xF0...0xF4:
                length = 4
                if lead == 0xF0 { second = 0x90...0xBF }
                if lead == 0xF4 { second = 0x80...0x8F }
            default: throw JSONFailure(.invalidUTF8, at: index)
            }
            guard index + length <= end, second.contains(self[index + 1]) else {
                throw JSONFailure(.invalidUTF8, at: index)
            }
            for offset in index + 2..<Swift.max(index + 2, index + length) where self[offset] & 0xC0 != 0x80 {
                throw JSONFailure(.invalidUTF8, at: index)
            }
            index += length
        }
    }
}
