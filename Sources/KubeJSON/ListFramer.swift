/// Takes the parts of a list as they arrive.
package protocol ListConsumer: ~Copyable {
    /// Reads one element of `items`.
    ///
    /// When it throws, nothing of the element may be kept: after `truncated` it may be offered again, with more bytes.
    mutating func item(_ scanner: inout JSONScanner) throws(JSONFailure)

    /// Reads another member of the list, such as `metadata`; the same holds when it throws.
    mutating func member(_ name: String, _ scanner: inout JSONScanner) throws(JSONFailure)
}

/// Why a list could not be read.
package struct ListFailure: Error, Equatable, Sendable {
    /// Its offset counts from the start of the whole body.
    package var failure: JSONFailure
    /// Such as `$.items[7500].spec`.
    package var path: String

    package init(failure: JSONFailure, path: String) {
        self.failure = failure
        self.path = path
    }
}

/// Cuts a list (`{"kind": …, "metadata": …, "items": […]}`, in any order) into its parts while the body arrives.
///
/// Parts are read where they lie in the chunk; only a part that breaks off at a chunk's end is copied, until its rest has
/// come. So one part is held at most, and each byte is looked at three times at worst. `items` may be null.
package struct ListFramer {
    private enum State {
        case start, firstName, name, colon, value, commaOrBrace
        case firstItem, item, commaOrBracket
        case end
    }

    private enum Part { case name, value, item }

    /// The longest part that is held, in bytes.
    package static var defaultMaximumPartBytes: Int { 16 << 20 }

    private let maximumPartBytes: Int
    private let maximumDepth: Int
    private var state = State.start
    /// The part that broke off: what it is, and its bytes so far.
    private var held: [UInt8] = []
    private var heldPart: Part?
    private var framer = ValueFramer()
    private var memberName = ""
    private var names: Set<[UInt8]> = []
    private var itemCount = 0
    /// Offset in the body of the chunk's first byte.
    private var base = 0

    package init(
        maximumPartBytes: Int = ListFramer.defaultMaximumPartBytes,
        maximumDepth: Int = JSONScanner.defaultMaximumDepth
    ) {
        self.maximumPartBytes = maximumPartBytes
        self.maximumDepth = maximumDepth
    }

    /// How many bytes of an unfinished part are held.
    package var heldBytes: Int { held.count }

    /// Whether the list has had its `items`.
    package private(set) var hasItems = false

    /// Takes in the next bytes of the body.
    package mutating func feed(_ chunk: Span<UInt8>, to consumer: inout some ListConsumer & ~Copyable)
        throws(ListFailure)
    {
        var index = 0
        if let part = heldPart {
            let end = framer.end(in: chunk, from: 0)
            let taken = end ?? chunk.count
            guard held.count + taken <= maximumPartBytes else { throw tooLarge(part) }
            chunk.extracting(0..<taken).withUnsafeBufferPointer { held.append(contentsOf: $0) }
            index = taken
            if end != nil {
                heldPart = nil
                // Counts from the start of the part, some chunks ago.
                let start = base + taken - held.count
                // So that a word or a number is seen to end, not to break off.
                if framer.isScalar { held.append(UInt8(ascii: " ")) }
                let bytes = held
                held = []
                _ = try read(part, bytes.span, from: 0, base: start, isWhole: true, to: &consumer)
            }
        }
        while index < chunk.count {
            let byte = chunk[index]
            if byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
                index += 1
                continue
            }
            guard let part = try step(byte, at: base + index) else {
                index += 1
                continue
            }
            if let next = try read(part, chunk, from: index, base: base, isWhole: false, to: &consumer) {
                index = next
            } else {
                // Reading says that the part breaks off. Where its shape says that it ends, no more bytes would mend it.
                var pending = ValueFramer()
                let end = pending.end(in: chunk, from: index)
                let rest = chunk.extracting(index..<(end ?? chunk.count))
                if end != nil { _ = try read(part, rest, from: 0, base: base + index, isWhole: true, to: &consumer) }
                guard rest.count <= maximumPartBytes else { throw tooLarge(part) }
                rest.withUnsafeBufferPointer { held.append(contentsOf: $0) }
                (heldPart, framer) = (part, pending)
                break
            }
        }
        base += chunk.count
    }

    /// The body has ended. `truncated` when something is missing.
    package mutating func finish(to consumer: inout some ListConsumer & ~Copyable) throws(ListFailure) {
        if let part = heldPart {
            // What looked unfinished may be malformed further up: the reader says it best.
            let bytes = held
            (heldPart, held) = (nil, [])
            _ = try read(part, bytes.span, from: 0, base: base - bytes.count, isWhole: true, to: &consumer)
        }
        guard state == .end else {
            throw ListFailure(failure: JSONFailure(.truncated, at: base), path: path(of: nil))
        }
    }

    /// Takes one byte of the list's own structure.
    /// - Returns: the part that starts with this byte instead.
    private mutating func step(_ byte: UInt8, at offset: Int) throws(ListFailure) -> Part? {
        switch (state, byte) {
        case (.start, UInt8(ascii: "{")): state = .firstName
        case (.firstName, UInt8(ascii: "}")), (.commaOrBrace, UInt8(ascii: "}")): state = .end
        case (.firstName, UInt8(ascii: "\"")), (.name, UInt8(ascii: "\"")): return .name
        case (.colon, UInt8(ascii: ":")): state = .value
        case (.value, UInt8(ascii: "[")) where memberName == "items":
            state = .firstItem
            hasItems = true
        case (.value, _): return .value
        case (.commaOrBrace, UInt8(ascii: ",")): state = .name
        case (.firstItem, UInt8(ascii: "]")), (.commaOrBracket, UInt8(ascii: "]")): state = .commaOrBrace
        case (.firstItem, _), (.item, _): return .item
        case (.commaOrBracket, UInt8(ascii: ",")): state = .item
        default:
            let kind: JSONFailure.Kind =
                switch state {
                case .start: .expectedObject
                case .firstName, .name: .expectedName
                case .colon: .expectedColon
                case .commaOrBrace: .expectedCommaOrBrace
                case .commaOrBracket: .expectedCommaOrBracket
                case .end: .trailingText
                case .value, .firstItem, .item: .expectedValue
                }
            throw ListFailure(failure: JSONFailure(kind, at: offset), path: path(of: nil))
        }
        return nil
    }

    /// Reads a part that starts at an index.
    /// - Returns: the index behind it; nil when it breaks off and more may come.
    private mutating func read(
        _ part: Part, _ bytes: Span<UInt8>, from index: Int, base: Int, isWhole: Bool,
        to consumer: inout some ListConsumer & ~Copyable
    ) throws(ListFailure) -> Int? {
        let depth = part == .item ? 2 : 1
        var scanner = JSONScanner(bytes, from: index, depth: depth, maximumDepth: maximumDepth, isWhole: isWhole)
        do throws(JSONFailure) {
            switch part {
            case .name:
                let name = scanner.string(try scanner.scanString())
                guard names.insert(Array(name.utf8)).inserted else {
                    throw JSONFailure(.duplicateMember, at: index)
                }
                memberName = name
                state = .colon
            case .value:
                if memberName == "items" {
                    guard try scanner.null() else { throw JSONFailure(.expectedArray, at: index) }
                    hasItems = true
                } else {
                    try consumer.member(memberName, &scanner)
                }
                state = .commaOrBrace
            case .item:
                try consumer.item(&scanner)
                itemCount += 1
                state = .commaOrBracket
            }
        } catch {
            if error.kind == .truncated, !isWhole { return nil }
            let local = bytes.extracting(index..<bytes.count)
            throw ListFailure(
                failure: JSONFailure(error.kind, at: base + error.offset),
                path: location(part, of: error.offset - index, in: local))
        }
        // A held scalar reaches up to the next delimiter, and may have something else in it.
        scanner.skipSpace()
        if isWhole, scanner.position < bytes.count {
            _ = try step(bytes[scanner.position], at: base + scanner.position)
        }
        return scanner.position
    }

    private func tooLarge(_ part: Part) -> ListFailure {
        ListFailure(failure: JSONFailure(.tooLarge, at: base), path: path(of: part))
    }

    private func location(_ part: Part, of offset: Int, in bytes: Span<UInt8>) -> String {
        part == .name ? path(of: nil) : JSONLocator.path(of: offset, in: bytes, root: path(of: part))
    }

    /// The path of a part that is being read, or of the place between parts.
    private func path(of part: Part?) -> String {
        switch part {
        case .value: return "$.\(memberName)"
        case .item: return "$.items[\(itemCount)]"
        case .name: return "$"
        case nil:
            switch state {
            case .firstItem, .item, .commaOrBracket: return "$.items[\(itemCount)]"
            case .colon, .value: return "$.\(memberName)"
            default: return "$"
            }
        }
    }
}
