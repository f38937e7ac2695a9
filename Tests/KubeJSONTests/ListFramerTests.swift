import KubeJSON
import Testing

struct ListFramerTests {
    /// Notes what it is given; each item is a string.
    private struct Notes: ListConsumer {
        var items: [String] = []
        var members: [String] = []

        mutating func item(_ scanner: inout JSONScanner) throws(JSONFailure) { items.append(try scanner.string()) }
        mutating func member(_ name: String, _ scanner: inout JSONScanner) throws(JSONFailure) {
            try scanner.skip()
            members.append(name)
        }
    }

    private func read(_ text: String, chunk: Int, maximumPartBytes: Int = 1000) throws(ListFailure) -> (
        Notes, held: Int
    ) {
        let bytes = Array(text.utf8)
        var (notes, framer, held) = (Notes(), ListFramer(maximumPartBytes: maximumPartBytes), 0)
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            try framer.feed(bytes.span.extracting(start..<min(bytes.count, start + chunk)), to: &notes)
            held = max(held, framer.heldBytes)
        }
        try framer.finish(to: &notes)
        return (notes, held)
    }

    @Test(arguments: [1, 2, 3, 5, 8, 13, 1000])
    func `items come in order, whichever way the body is cut and wherever the metadata is`(_ chunk: Int) throws {
        let items = (0..<9).map { "\"item \($0) – \(String(repeating: "é", count: $0 * 3))\"" }
        for text in [
            #"{"kind":"L","metadata":{"a":[1,{}]},"items":[\#(items.joined(separator: ","))]}"#,
            #" { "items" : [ \#(items.joined(separator: " , ")) ] , "n" : 12 , "metadata" : {"a":"]}"} } "#,
        ] {
            let (notes, held) = try read(text, chunk: chunk)
            #expect(notes.items.map { "\"\($0)\"" } == items)
            #expect(notes.members.sorted() == (text.contains("kind") ? ["kind", "metadata"] : ["metadata", "n"]))
            #expect(held <= 70)
        }
    }

    @Test(arguments: [1, 4, 1000])
    func `an empty list, null items and no list at all are read too`(_ chunk: Int) throws {
        #expect(try read(#"{"items":[]}"#, chunk: chunk).0.items.isEmpty)
        #expect(try read(#"{"items":null,"kind":"L"}"#, chunk: chunk).0.members == ["kind"])
        #expect(try read(#"{"kind":"Status","code":410}"#, chunk: chunk).0.members == ["kind", "code"])
        #expect(try read("{}", chunk: chunk).0.members.isEmpty)
    }

    @Test(arguments: [
        ("", JSONFailure.Kind.truncated, 0, "$"), (#"{"items":["a","b"#, .truncated, 16, "$.items[1]"),
        (#"{"items":["a""#, .truncated, 13, "$.items[1]"), (#"{"items":["a",7]}"#, .expectedString, 14, "$.items[1]"),
        (#"{"items":["a","\x"]}"#, .unknownEscape, 15, "$.items[1]"), (#"{"items":{}}"#, .expectedArray, 9, "$.items"),
        (#"{"items":[],"items":[]}"#, .duplicateMember, 12, "$"),
        (#"{"m":nul}"#, .expectedValue, 5, "$.m"), (#"{"m":12x}"#, .expectedCommaOrBrace, 7, "$"),
        (#"{"items":["a" "b"]}"#, .expectedCommaOrBracket, 14, "$.items[1]"),
        (#"{"items":["a"]} x"#, .trailingText, 16, "$"),
        ("[]", .expectedObject, 0, "$"),
    ])
    func `a mistake has the same name, byte and path in chunks and in one piece`(
        _ text: String, _ kind: JSONFailure.Kind, _ offset: Int, _ path: String
    ) {
        for chunk in [1, 2, 3, 7, 1000] {
            do throws(ListFailure) {
                _ = try read(text, chunk: chunk)
                Issue.record("accepted: \(text)")
            } catch {
                #expect(error == ListFailure(failure: JSONFailure(kind, at: offset), path: path), "chunks of \(chunk)")
            }
        }
    }

    @Test func `an item beyond the limit is refused, not held`() {
        let text = #"{"items":["\#(String(repeating: "x", count: 5000))"]}"#
        #expect {
            _ = try read(text, chunk: 16, maximumPartBytes: 100)
        } throws: { ($0 as? ListFailure)?.failure.kind == .tooLarge }
    }

    @Test(arguments: [#"{"a":1\}"#, #"{\"a"}"}"#, #"{\\"a":"}"}"#, "{]", #"[{"x":}]"#])
    func `what is passed over ends at the same byte in chunks, malformed or not`(_ value: String) throws {
        let text = #"{"m":\#(value),"items":["x"]}"#
        for chunk in [1, 2, 3, 9, 1000] {
            let (notes, _) = try read(text, chunk: chunk)
            #expect(notes.members == ["m"] && notes.items == ["x"], "chunks of \(chunk)")
        }
    }
}
