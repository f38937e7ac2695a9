import KubeJSON

/// Builds trees from JSON texts, one after another. Its working memory and its strings are shared by all that it reads.
struct JSONTreeReader: ~Copyable {
    private var members = JSONScratch<JSONObject.Member>()
    private var elements = JSONScratch<JSONValue>()
    private let strings: StringCache?

    /// - Parameter strings: shares strings that repeat; nil for a reader of one small text.
    init(strings: StringCache? = nil) { self.strings = strings }

    /// Reads the next value of a text: what a selection keeps of it.
    mutating func read(_ scanner: inout JSONScanner, keeping selection: FieldSelection) throws(JSONFailure) -> JSONValue
    {
        do throws(JSONFailure) {
            return try value(&scanner, selection.trie, selection.trie.root)
        } catch {
            members.drop(above: 0)
            elements.drop(above: 0)
            throw error
        }
    }

    private mutating func value(
        _ scanner: inout JSONScanner, _ trie: FieldTrie, _ node: FieldTrie.NodeIndex
    ) throws(JSONFailure) -> JSONValue {
        switch try scanner.peek() {
        case UInt8(ascii: "\""): return .string(text(try scanner.scanString(), scanner))
        case UInt8(ascii: "{"): return try object(&scanner, trie, node)
        case UInt8(ascii: "["): return try array(&scanner, trie, node)
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool(try scanner.bool())
        case UInt8(ascii: "n"):
            try scanner.literal("null")
            return .null
        default:
            switch try scanner.number() {
            case .int(let value): return .int(value)
            case .double(let value): return .double(value)
            }
        }
    }

    // Recursion is as deep as the scanner allows.
    private mutating func object(
        _ scanner: inout JSONScanner, _ trie: FieldTrie, _ node: FieldTrie.NodeIndex
    ) throws(JSONFailure) -> JSONValue {
        let start = scanner.position
        let height = members.count
        try scanner.beginObject()
        var isFirst = true
        while let name = try scanner.nextName(&isFirst) {
            let (child, edge) = trie.child(name, of: scanner, at: node)
            if child == FieldTrie.drop {
                try scanner.skip()
                continue
            }
            let key = edge.map { trie.edges[$0].name } ?? text(name, scanner)
            let value = try value(&scanner, trie, child)
            members.push(JSONObject.Member(key: key, value: value))
        }
        if !members.sort(above: height, by: { JSONObject.order($0.key, $1.key) }) {
            let place = JSONLocator.duplicate(in: scanner.bytes, objectAt: start)
            throw JSONFailure(.duplicateMember, at: place ?? start)
        }
        return .object(JSONObject(sorted: members.pop(above: height)))
    }

    private mutating func array(
        _ scanner: inout JSONScanner, _ trie: FieldTrie, _ node: FieldTrie.NodeIndex
    ) throws(JSONFailure) -> JSONValue {
        let height = elements.count
        try scanner.beginArray()
        var isFirst = true
        while try scanner.nextElement(&isFirst) { elements.push(try value(&scanner, trie, node)) }
        return .array(elements.pop(above: height))
    }

    @inline(__always)
    private func text(_ text: JSONText, _ scanner: borrowing JSONScanner) -> String {
        if let strings { scanner.string(text, cachedIn: strings) } else { scanner.string(text) }
    }
}
