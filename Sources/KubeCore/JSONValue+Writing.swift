extension JSONValue {
    /// The value as JSON text: members sorted by name, no white space unless `indented`.
    package func serialized(indented: Bool = false) -> String {
        String(decoding: serializedBytes(indented: indented), as: UTF8.self)
    }

    /// As `serialized`. Without `indented` it is canonical: equal values give equal bytes.
    package func serializedBytes(indented: Bool = false) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(512)
        write(to: &out, indent: indented ? 0 : nil)
        return out
    }

    private func write(to out: inout [UInt8], indent: Int?) {
        switch self {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
        case .int(let value): out.append(contentsOf: String(value).utf8)
        case .double(let value): out.append(contentsOf: (value.isFinite ? "\(value)" : "null").utf8)
        case .string(let value): Self.write(value, to: &out)
        case .array(let elements):
            Self.writeList(elements, UInt8(ascii: "["), UInt8(ascii: "]"), to: &out, indent: indent) {
                element, out, inner in
                element.write(to: &out, indent: inner)
            }
        case .object(let members):
            Self.writeList(members, UInt8(ascii: "{"), UInt8(ascii: "}"), to: &out, indent: indent) {
                member, out, inner in
                Self.write(member.key, to: &out)
                out.append(UInt8(ascii: ":"))
                if inner != nil { out.append(UInt8(ascii: " ")) }
                member.value.write(to: &out, indent: inner)
            }
        }
    }

    private static func writeList<Elements: Collection>(
        _ elements: Elements, _ open: UInt8, _ close: UInt8, to out: inout [UInt8], indent: Int?,
        each: (Elements.Element, inout [UInt8], Int?) -> Void
    ) {
        out.append(open)
        let inner = indent.map { $0 + 2 }
        var isFirst = true
        for element in elements {
            if !isFirst { out.append(UInt8(ascii: ",")) }
            isFirst = false
            newline(inner, to: &out)
            each(element, &out, inner)
        }
        if !isFirst { newline(indent, to: &out) }
        out.append(close)
    }

    private static func newline(_ indent: Int?, to out: inout [UInt8]) {
        guard let indent else { return }
        out.append(UInt8(ascii: "\n"))
        out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent))
    }

    private static func write(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        let isWritten: Void? = text.utf8.withContiguousStorageIfAvailable { writeContent($0, to: &out) }
        if isWritten == nil { Array(text.utf8).withUnsafeBufferPointer { writeContent($0, to: &out) } }
        out.append(UInt8(ascii: "\""))
    }

    /// Writes what needs no escape in runs.
    private static func writeContent(_ text: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) {
        var written = 0
        for index in text.indices {
            let byte = text[index]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            out.append(contentsOf: UnsafeBufferPointer(rebasing: text[written..<index]))
            escape(byte, to: &out)
            written = index + 1
        }
        out.append(contentsOf: UnsafeBufferPointer(rebasing: text[written...]))
    }

    private static func escape(_ byte: UInt8, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\n"): out.append(UInt8(ascii: "n"))
        case UInt8(ascii: "\r"): out.append(UInt8(ascii: "r"))
        case UInt8(ascii: "\t"): out.append(UInt8(ascii: "t"))
        case 0..<0x20:
            let hex = String(byte, radix: 16)
            out.append(contentsOf: ("u" + String(repeating: "0", count: 4 - hex.count) + hex).utf8)
        default: out.append(byte)
        }
    }
}
