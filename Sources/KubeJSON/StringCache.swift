/// Shares the memory of strings that come again and again: label keys, images, names of owners.
///
/// Two places for each hash; a newcomer takes the older one. So the size is fixed, a lookup is constant time whatever the
/// input, and the worst that chosen collisions do is that nothing is shared. The hash is seeded all the same.
/// One reader owns one cache; it isn't `Sendable`.
package final class StringCache {
    @usableFromInline
    struct Entry {
        @usableFromInline var hash: UInt64
        @usableFromInline var string: String

        @usableFromInline
        init(hash: UInt64, string: String) {
            self.hash = hash
            self.string = string
        }
    }

    /// The longest string that is kept, in bytes; longer ones seldom repeat and cost more to compare.
    package static var maximumLength: Int { 128 }

    // Behind a `let` pointer: a class' `var` would be checked for exclusive access on each use.
    @usableFromInline let entries: UnsafeMutableBufferPointer<Entry>
    @usableFromInline let mask: UInt64
    @usableFromInline let seed: UInt64

    /// - Parameters:
    ///   - places: how many strings are kept at most, a power of two; 24 bytes each, besides the strings.
    ///   - seed: fixed in tests and benchmarks that want the same run twice.
    package init(places: Int = 4096, seed: UInt64 = .random(in: .min ... .max)) {
        precondition(places >= 2 && places & (places - 1) == 0, "a power of two")
        entries = .allocate(capacity: places)
        entries.initialize(repeating: Entry(hash: 0, string: ""))
        mask = UInt64(places - 2)
        self.seed = seed | 1
    }

    deinit {
        entries.deinitialize()
        entries.deallocate()
    }

    /// The string of these bytes, which are well-formed UTF-8.
    @inlinable
    package func string(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        guard bytes.count <= Self.maximumLength else { return String(decoding: bytes, as: UTF8.self) }
        let hash = hash(bytes)
        let place = Int(truncatingIfNeeded: (hash >> 32) & mask)
        if entries[place].hash == hash, Self.isEqual(entries[place].string, bytes) { return entries[place].string }
        if entries[place + 1].hash == hash, Self.isEqual(entries[place + 1].string, bytes) {
            // What is used stays: it moves to the first place.
            entries.swapAt(place, place + 1)
            return entries[place].string
        }
        let string = String(decoding: bytes, as: UTF8.self)
        entries[place + 1] = Entry(hash: hash, string: string)
        return string
    }

    @inlinable
    func hash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        let raw = UnsafeRawBufferPointer(bytes)
        var hash = seed ^ UInt64(truncatingIfNeeded: raw.count)
        var offset = 0
        while offset + 8 <= raw.count {
            hash = Self.mix(hash, raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self), seed)
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < raw.count {
            rest = rest << 8 | UInt64(raw[offset])
            offset += 1
        }
        return Self.mix(hash, rest, seed)
    }

    /// Multiplies to 128 bits and folds; the seed decides which bits of the input meet.
    @inlinable
    @inline(__always)
    static func mix(_ hash: UInt64, _ word: UInt64, _ seed: UInt64) -> UInt64 {
        let product = (hash ^ word ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: seed ^ 0xD6E8_FEB8_6659_FD93)
        return product.high ^ product.low
    }

    @inlinable
    static func isEqual(_ string: String, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard string.utf8.count == bytes.count else { return false }
        return string.utf8.withContiguousStorageIfAvailable { content in
            let a = UnsafeRawBufferPointer(content)
            let b = UnsafeRawBufferPointer(bytes)
            var offset = 0
            while offset + 8 <= a.count {
                guard
                    a.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                        == b.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                else { return false }
                offset += 8
            }
            while offset < a.count {
                guard a[offset] == b[offset] else { return false }
                offset += 1
            }
            return true
        } ?? false
    }
}
