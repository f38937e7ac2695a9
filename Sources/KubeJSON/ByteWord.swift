/// Tests on eight bytes at a time. Each marks the high bit of the bytes it is about; the lowest mark is always right,
/// marks above it may be wrong (the borrow of a subtraction), so only the first is used.
@usableFromInline
package enum ByteWord {
    @inlinable
    @inline(__always)
    static func repeating(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }

    /// Bytes that end a run of plain string content: `"`, `\` and control characters.
    @inlinable
    @inline(__always)
    package static func stringStops(_ word: UInt64) -> UInt64 {
        let quote = word ^ repeating(0x22)
        let backslash = word ^ repeating(0x5C)
        let ones = repeating(0x01)
        let found =
            ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- repeating(0x20)) & ~word)
        return found & repeating(0x80)
    }

    /// Index, 0 to 7, of the first marked byte of a word that has one.
    @inlinable
    @inline(__always)
    package static func first(_ marks: UInt64) -> Int { marks.trailingZeroBitCount &>> 3 }
}

extension Span<UInt8> {
    /// Eight bytes, the first in the lowest place. Bounds are checked.
    @inlinable
    @inline(__always)
    package func word(at offset: Int) -> UInt64 {
        UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
}
