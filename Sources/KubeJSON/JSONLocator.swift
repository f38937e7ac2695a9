/// Finds out where in a document a byte is: asked only after a failure, so reading costs nothing for it.
package enum JSONLocator {
    /// The path of the value at an offset, such as `$.items[7500].spec.containers[0].image`; names that aren't plain are
    /// quoted: `$.metadata.labels["app.kubernetes.io/name"]`. Everything before the offset should be well-formed; whatever
    /// it is, nothing traps and what could be made out is returned. Long paths and names are cut.
    ///
    /// - Parameter root: the path of the text itself.
    package static func path(of offset: Int, in bytes: Span<UInt8>, root: String = "$") -> String {
        var walk = Walk()
        var index = 0
        let end = min(offset, bytes.count)
        while index < end { index = walk.step(bytes, at: index) }
        return walk.open.prefix(maximumParts).reduce(into: root) { $0 += $1.text }
            + (walk.open.count > maximumParts ? "…" : "")
    }

    /// The second of two members of the same name in the object that starts at an offset: its name's offset; nil when
    /// there is none.
    package static func duplicate(in bytes: Span<UInt8>, objectAt offset: Int) -> Int? {
        var scanner = JSONScanner(bytes, from: offset)
        var names: Set<[UInt8]> = []
        do {
            try scanner.beginObject()
            var isFirst = true
            while let name = try scanner.nextName(&isFirst) {
                // As bytes: Swift takes canonically equivalent strings for equal, JSON does not.
                if !names.insert(Array(scanner.string(name).utf8)).inserted { return name.start - 1 }
                try scanner.skip()
            }
        } catch {}
        return nil
    }

    private static let maximumParts = 40
    private static let maximumNameLength = 80

    private enum Part {
        /// An object and the name of the member that is being read.
        case object(name: String?)
        case array(index: Int)

        var text: String {
            switch self {
            case .object(nil): ""
            case .object(let name?): JSONLocator.isPlain(name) ? ".\(name)" : "[\"\(name)\"]"
            case .array(let index): "[\(index)]"
            }
        }
    }

    private struct Walk {
        var open: [Part] = []
        /// A string that comes now is a member's name.
        var expectsName = false

        /// - Returns: the index behind what was read, greater than `index`.
        mutating func step(_ bytes: Span<UInt8>, at index: Int) -> Int {
            switch bytes[index] {
            case UInt8(ascii: "{"):
                open.append(.object(name: nil))
                expectsName = true
            case UInt8(ascii: "["):
                open.append(.array(index: 0))
                expectsName = false
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                _ = open.popLast()
                expectsName = false
            case UInt8(ascii: ","):
                switch open.last {
                case .array(let index): open[open.count - 1] = .array(index: index + 1)
                case .object: expectsName = true
                case nil: break
                }
            case UInt8(ascii: "\""):
                var scanner = JSONScanner(bytes, from: index)
                guard let text = try? scanner.scanString() else { return bytes.count }
                if expectsName, case .object = open.last {
                    open[open.count - 1] = .object(name: JSONLocator.shortened(scanner.string(text)))
                    expectsName = false
                }
                return scanner.position
            default: break
            }
            return index + 1
        }
    }

    private static func shortened(_ name: String) -> String {
        name.utf8.count <= maximumNameLength ? name : String(name.prefix(maximumNameLength)) + "…"
    }

    private static func isPlain(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "$"):
                    true
                default: byte >= 0x80
                }
            }
    }
}
