/// Reads one JSON text (RFC 8259) from front to back, without building anything: the caller asks for what it expects, and
/// skips the rest. Everything that is passed over is checked, strings for UTF-8 and escapes too.
///
/// Never reads outside of its bytes. After a failure the scanner's position is of no use.
///
///     try scanner.beginObject()
///     var isFirst = true
///     while let name = try scanner.nextName(&isFirst) {
///         if scanner.is(name, "replicas") { replicas = try scanner.int() } else { try scanner.skip() }
///     }
@frozen
package struct JSONScanner: ~Copyable, ~Escapable {
    /// The depth that a text may have unless told otherwise.
    package static var defaultMaximumDepth: Int { 200 }

    package let bytes: Span<UInt8>
    /// The next byte to read.
    package var position: Int
    /// How many objects and lists are open.
    @usableFromInline
    package var depth: Int
    @usableFromInline
    let maximumDepth: Int
    /// False when more bytes may follow: a number at the very end is then `truncated`.
    @usableFromInline
    let isWhole: Bool

    /// - Parameter depth: how many objects and lists are open around this text.
    @inlinable
    @_lifetime(copy bytes)
    package init(
        _ bytes: Span<UInt8>, from position: Int = 0, depth: Int = 0,
        maximumDepth: Int = JSONScanner.defaultMaximumDepth, isWhole: Bool = true
    ) {
        self.bytes = bytes
        self.position = position
        self.depth = depth
        self.maximumDepth = maximumDepth
        self.isWhole = isWhole
    }

    @inlinable
    @inline(__always)
    package func failure(_ kind: JSONFailure.Kind) -> JSONFailure { JSONFailure(kind, at: position) }

    /// Passes over white space.
    @inlinable
    @inline(__always)
    package mutating func skipSpace() {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte <= 0x20, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position &+= 1
        }
    }

    /// The first byte of what comes next, after white space; it is not passed over.
    @inlinable
    @inline(__always)
    package mutating func peek() throws(JSONFailure) -> UInt8 {
        skipSpace()
        guard position < bytes.count else { throw failure(.truncated) }
        return bytes[position]
    }

    /// Nothing but white space may be left.
    @inlinable
    package mutating func end() throws(JSONFailure) {
        skipSpace()
        guard position == bytes.count else { throw failure(.trailingText) }
    }

    // MARK: Objects and lists

    @inlinable
    @inline(__always)
    mutating func open() throws(JSONFailure) {
        guard depth < maximumDepth else { throw failure(.tooDeep) }
        depth &+= 1
        position &+= 1
    }

    @inlinable
    package mutating func beginObject() throws(JSONFailure) {
        guard try peek() == UInt8(ascii: "{") else { throw failure(.expectedObject) }
        try open()
    }

    /// The next member's name, passed over with its colon; nil after the last, with the object closed.
    /// - Parameter isFirst: true before the first call for this object; kept by this method.
    @inlinable
    package mutating func nextName(_ isFirst: inout Bool) throws(JSONFailure) -> JSONText? {
        var byte = try peek()
        if byte == UInt8(ascii: "}") {
            position &+= 1
            depth &-= 1
            return nil
        }
        if isFirst {
            isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw failure(.expectedCommaOrBrace) }
            position &+= 1
            byte = try peek()
        }
        guard byte == UInt8(ascii: "\"") else { throw failure(.expectedName) }
        let name = try scanString()
        guard try peek() == UInt8(ascii: ":") else { throw failure(.expectedColon) }
        position &+= 1
        return name
    }

    @inlinable
    package mutating func beginArray() throws(JSONFailure) {
        guard try peek() == UInt8(ascii: "[") else { throw failure(.expectedArray) }
        try open()
    }

    /// Whether another element follows; false after the last, with the list closed.
    /// - Parameter isFirst: true before the first call for this list; kept by this method.
    @inlinable
    package mutating func nextElement(_ isFirst: inout Bool) throws(JSONFailure) -> Bool {
        let byte = try peek()
        if byte == UInt8(ascii: "]") {
            position &+= 1
            depth &-= 1
            return false
        }
        if isFirst {
            isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw failure(.expectedCommaOrBracket) }
            position &+= 1
            guard try peek() != UInt8(ascii: "]") else { throw failure(.expectedValue) }
        }
        return true
    }

    // MARK: Literals

    /// Passes over `true`, `false` or `null`, whose first byte is next.
    @inlinable
    package mutating func literal(_ word: StaticString) throws(JSONFailure) {
        let length = word.utf8CodeUnitCount
        let start = position
        for index in 0..<length {
            guard position < bytes.count else { throw failure(.truncated) }
            guard bytes[position] == word.utf8Start[index] else {
                throw JSONFailure(.expectedValue, at: start)
            }
            position &+= 1
        }
    }

    /// Passes over a `null`; false, and nothing passed over, when the next value is another.
    @inlinable
    package mutating func null() throws(JSONFailure) -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        try literal("null")
        return true
    }

    @inlinable
    package mutating func bool() throws(JSONFailure) -> Bool {
        switch try peek() {
        case UInt8(ascii: "t"):
            try literal("true")
            return true
        case UInt8(ascii: "f"):
            try literal("false")
            return false
        default: throw failure(.expectedBool)
        }
    }
}
