package import KubeJSON

/// Reads a list of the API while its body arrives: what a selection keeps of each item, one item after another. Of the
/// body no more is held than one unfinished item.
package struct JSONListReader: ~Copyable {
    private var framer: ListFramer
    private var parts: Parts

    private struct Parts: ~Copyable, ListConsumer {
        var reader: JSONTreeReader
        let selection: FieldSelection
        var items: [JSONValue] = []
        var members: [(key: String, value: JSONValue)] = []

        mutating func item(_ scanner: inout JSONScanner) throws(JSONFailure) {
            items.append(try reader.read(&scanner, keeping: selection))
        }

        mutating func member(_ name: String, _ scanner: inout JSONScanner) throws(JSONFailure) {
            members.append((name, try reader.read(&scanner, keeping: .whole)))
        }
    }

    /// - Parameters:
    ///   - selection: what is kept of each item.
    ///   - strings: shares strings that repeat, with other readers of the same task too.
    ///   - maximumItemBytes: the largest item; a larger one is an error.
    package init(
        keeping selection: FieldSelection = .whole, strings: StringCache = StringCache(),
        maximumItemBytes: Int = ListFramer.defaultMaximumPartBytes
    ) {
        framer = ListFramer(maximumPartBytes: maximumItemBytes)
        parts = Parts(reader: JSONTreeReader(strings: strings), selection: selection)
    }

    /// How many items have been read.
    package var itemCount: Int { parts.items.count }
    /// How many bytes of an unfinished item are held.
    package var heldBytes: Int { framer.heldBytes }

    /// Takes in the next bytes of the body.
    /// - Throws: `JSONSyntaxError` with the offset in the whole body; nothing more can be fed then.
    package mutating func feed(_ chunk: Span<UInt8>) throws(JSONSyntaxError) {
        do throws(ListFailure) {
            try framer.feed(chunk, to: &parts)
        } catch {
            throw JSONSyntaxError(error)
        }
    }

    /// The body has ended: the items that were read since the start or the last `takeItems`, in a list with its other
    /// members. A document that is no list comes back as it is.
    /// - Throws: `JSONSyntaxError` when something is missing.
    package mutating func finish() throws(JSONSyntaxError) -> JSONValue {
        do throws(ListFailure) {
            try framer.finish(to: &parts)
        } catch {
            throw JSONSyntaxError(error)
        }
        var list = JSONObject(uniqueKeysWithValues: parts.members)
        if framer.hasItems { list["items"] = .array(takeItems()) }
        return .object(list)
    }

    /// The items that have been read; they leave the reader. For who can use a part of a list.
    package mutating func takeItems() -> [JSONValue] {
        defer { parts.items = [] }
        return parts.items
    }
}

/// Reads the lines of a watch, `{"type": …, "object": …}`.
package struct JSONEventReader: ~Copyable {
    private var reader: JSONTreeReader
    private let selection: FieldSelection

    package init(keeping selection: FieldSelection = .whole, strings: StringCache = StringCache(places: 1024)) {
        reader = JSONTreeReader(strings: strings)
        self.selection = selection
    }

    /// One line. The `Status` of an `ERROR` is kept whole; members that are missing are nil.
    package mutating func read(_ line: Span<UInt8>) throws(JSONSyntaxError) -> (type: String?, object: JSONValue?) {
        do throws(JSONFailure) {
            let event = try read(line, keeping: selection)
            return event.type == "ERROR" ? try read(line, keeping: .whole) : event
        } catch {
            throw JSONSyntaxError(error, in: line)
        }
    }

    private mutating func read(_ line: Span<UInt8>, keeping: FieldSelection) throws(JSONFailure) -> (
        type: String?, object: JSONValue?
    ) {
        var scanner = JSONScanner(line)
        var event: (type: String?, object: JSONValue?) = (nil, nil)
        try scanner.beginObject()
        var isFirst = true
        while let name = try scanner.nextName(&isFirst) {
            if scanner.is(name, "type") {
                guard event.type == nil else { throw JSONFailure(.duplicateMember, at: name.start - 1) }
                event.type = try scanner.string()
            } else if scanner.is(name, "object") {
                guard event.object == nil else { throw JSONFailure(.duplicateMember, at: name.start - 1) }
                event.object = try reader.read(&scanner, keeping: keeping)
            } else {
                try scanner.skip()
            }
        }
        try scanner.end()
        return event
    }
}
