import Foundation
import KubeCore
import Testing

struct JSONListReaderTests {
    private func read(_ text: String, chunk: Int, keeping: FieldSelection = .whole) throws(JSONSyntaxError) -> JSONValue
    {
        let bytes = Array(text.utf8)
        var reader = JSONListReader(keeping: keeping)
        for start in stride(from: 0, to: bytes.count, by: chunk) {
            try reader.feed(bytes.span.extracting(start..<min(bytes.count, start + chunk)))
        }
        return try reader.finish()
    }

    private static func list(pods count: Int) -> String {
        var pods = SyntheticPods(seed: 5)
        return
            #"{"kind":"PodList","items":[\#((0..<count).map { pods.pod($0) }.joined(separator: ","))],"metadata":{"resourceVersion":"9"}}"#
    }

    @Test func `a list in chunks is the list, less its managed fields`() throws {
        let text = Self.list(pods: 4)
        var whole = try JSONValue.parse(text)
        whole["items"] = .array((whole["items"]?.array ?? []).map { FieldSelection.whole($0) })
        for chunk in [61, 4096, 1_000_000] { #expect(try read(text, chunk: chunk) == whole) }
        let page = KubeList(json: try read(text, chunk: 999), of: .pods)
        #expect(page.resourceVersion == "9")
        #expect(page.items.count == 4)
        #expect(page.items.allSatisfy { $0.kind == "Pod" && !$0.uid.isEmpty && $0.labels.count == 6 })
    }

    @Test(arguments: [50, 100_000])
    func `a mistake deep in an item is told by path and byte of the whole body`(_ chunk: Int) throws {
        let text = Self.list(pods: 3)
        let third = try #require(text.range(of: "\"containerPort\":4317", options: .backwards))
        let broken = text.replacingCharacters(in: third, with: "\"containerPort\":43x7")
        let offset = text.utf8.distance(from: text.startIndex, to: third.upperBound) - 2
        do throws(JSONSyntaxError) {
            _ = try read(broken, chunk: chunk)
            Issue.record("accepted")
        } catch {
            #expect(error.path == "$.items[2].spec.containers[1].ports[0].containerPort")
            #expect(error.offset == offset)
            #expect("\(error)" == "invalid JSON at byte \(offset), \(error.path): expected ',' or '}'")
        }
    }

    @Test(arguments: [
        (#""a":1,"b":{"c":1,"c":2}"#, "$.items[0].b", "a duplicate member"),
        ("\"a\":\"\u{7}\"", "$.items[0].a", "a control character inside a string"),
        (#""a":[1e999]"#, "$.items[0].a[0]", "a number out of range"),
        (#""a":"\ud800""#, "$.items[0].a", "half of a surrogate pair"),
        (#""a":\#(String(repeating: "[", count: 300))"#, "$.items[0].a", "nested too deep"),
    ])
    func `bad content is refused with its path`(_ members: String, _ path: String, _ message: String) {
        #expect {
            _ = try read(#"{"items":[{\#(members)}]}"#, chunk: 10)
        } throws: { error in
            guard let error = error as? JSONSyntaxError else { return false }
            return error.path.hasPrefix(path) && error.message == message
        }
    }

    @Test func `a body that breaks off is refused wherever it breaks off`() {
        let text = #"{"kind":"L","items":[{"metadata":{"name":"é"}},{"n":12}],"metadata":{"resourceVersion":"1"}}"#
        for length in 0..<text.utf8.count {
            for chunk in [1, 1000] {
                #expect(throws: JSONSyntaxError.self) {
                    try read(String(decoding: text.utf8.prefix(length), as: UTF8.self), chunk: chunk)
                }
            }
        }
    }

    @Test func `only one unfinished item is held`() throws {
        let bytes = Array(Self.list(pods: 6).utf8)
        var reader = JSONListReader()
        var held = 0
        for start in stride(from: 0, to: bytes.count, by: 500) {
            try reader.feed(bytes.span.extracting(start..<min(bytes.count, start + 500)))
            held = max(held, reader.heldBytes)
        }
        #expect(held < 11_000)
        #expect(reader.itemCount == 6)
        #expect(reader.takeItems().count == 6)
        #expect(try reader.finish()["items"] == [])
    }
}
