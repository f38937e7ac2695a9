import KubeCore
import KubeJSON

#if canImport(SyntheticCluster)
    import SyntheticCluster
#endif

/// Breaks well-formed documents at random and checks what reading promises of any input whatever:
///
/// - nothing traps, and every failure says what, at which byte and on which path;
/// - a list gives the same in one piece and in chunks, the same value or the same failure;
/// - lists, events and whole documents agree, and so do reading with a selection and selecting afterwards;
/// - what can be read can be passed over, to the same end;
/// - what was accepted survives being written and read again.
package struct JSONFuzz {
    /// What did not hold, and for which input.
    package struct Broken: Error {
        package var promise: String
        package var input: [UInt8]
    }

    private var random: SplitMix
    private let lists: [[UInt8]]
    private let events: [[UInt8]]
    private let strings = StringCache(places: 64, seed: 5)
    /// How many inputs of the rounds so far were read to the end.
    package private(set) var accepted = 0

    static let selection = FieldSelection.only(
        ["spec.containers.ports", "spec.nodeName", "spec.steps", "status.conditions.type", "status.podIP"],
        dropping: [["metadata", "annotations", "checksum/config"]])

    /// - Parameter isShort: leaves out the long documents, for debug builds.
    package init(seed: UInt64, isShort: Bool = false) {
        random = SplitMix(seed: seed)
        var (pods, canaries) = (SyntheticPods(seed: seed), SyntheticCanaries(seed: seed))
        let items = (0..<(isShort ? 1 : 3)).map { canaries.canary($0) }.joined(separator: ",")
        lists = [
            #"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[\#(isShort ? "{}" : pods.pod(0))]}"#,
            #"{"apiVersion":"heddle.dev/v1alpha1","items":[\#(items)],"kind":"CanaryList","metadata":{"continue":""}}"#,
            #"{ "items" : [ {"a":[1,-2.5e3,true,false,null,"\u00e9\ud83d\ude00é"]} , {} , {"b":{"c":[[],{}]}} ] , "kind":"L" }"#,
            #"{"items":null,"metadata":{"resourceVersion":"7","remainingItemCount":12}}"#,
            #"{"kind":"Status","status":"Failure","code":410,"reason":"Expired"}"#,
        ].map { Array($0.utf8) }
        events = [
            #"{"type":"ADDED","object":\#(canaries.canary(4))}"#,
            #"{"type":"MODIFIED","object":\#(isShort ? "{}" : pods.pod(1))}"#,
            #"{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"12"}}}"#,
            #"{"object":{"kind":"Status","code":410,"metadata":{}},"type":"ERROR"}"#,
        ].map { Array($0.utf8) }
    }

    /// Breaks one input and checks it.
    package mutating func round() throws(Broken) {
        let isList = random.below(3) > 0
        let base = isList ? lists[random.below(lists.count)] : events[random.below(events.count)]
        let input = mutated(base)
        do {
            if isList { try checkList(input) } else { try checkEvent(input) }
            try checkDocument(input)
        } catch let broken as Promise {
            throw Broken(promise: broken.text, input: input)
        } catch {
            throw Broken(promise: "\(error)", input: input)
        }
    }

    // MARK: Checks

    private struct Promise: Error { var text: String }

    private func promise(_ holds: Bool, _ text: @autoclosure () -> String) throws {
        if !holds { throw Promise(text: text()) }
    }

    private typealias Answer<Value> = Result<Value, JSONSyntaxError>

    private mutating func checkList(_ input: [UInt8]) throws {
        for selection in [FieldSelection.whole, Self.selection] {
            let whole = read(input, selection) { _ in input.count }
            let size = [1, 2, 7, 64, 1000][random.below(5)]
            var chunks = random
            let streamed = read(input, selection) { _ in 1 + chunks.below(size) }
            try promise(whole == streamed, "in chunks: \(brief(streamed)); in one piece: \(brief(whole))")
            try checkFailure(whole, input)
            let tree = Answer { () throws(JSONSyntaxError) in
                try JSONValue.parse(span: input.span, keeping: .everything)
            }
            switch (whole, tree) {
            case (.success(let list), .success(var document)):
                document["items"] = document["items"].map { items in
                    items.isNull ? [] : .array((items.array ?? []).map { selection($0) })
                }
                for (name, value) in document.object ?? [:] where name != "items" {
                    document[name] = FieldSelection.whole(value)
                }
                try promise(list == document, "the list differs from the document")
                accepted += 1
            case (.success, .failure(let error)):
                // The grammar of what is passed over is not checked.
                let passesOver = selection != .whole || input.contains("managed")
                try promise(passesOver, "only the list was accepted: \(error)")
            case (.failure(let error), .success(let document)):
                // A document that isn't an object, or has other items than a list.
                let isNoList = document.object == nil || document["items"].map { $0.array == nil && !$0.isNull } == true
                try promise(isNoList, "only the document was accepted: \(error)")
            case (.failure, .failure): break
            }
        }
    }

    private func read(
        _ input: [UInt8], _ selection: FieldSelection, size: (Int) -> Int
    ) -> Answer<JSONValue> {
        Answer { () throws(JSONSyntaxError) in
            var reader = JSONListReader(keeping: selection, strings: strings)
            var index = 0
            while index < input.count {
                let end = min(input.count, index + size(index))
                try reader.feed(input.span.extracting(index..<end))
                index = end
            }
            return try reader.finish()
        }
    }

    private func checkEvent(_ input: [UInt8]) throws {
        var reader = JSONEventReader(keeping: Self.selection, strings: strings)
        let event: (type: String?, object: JSONValue?)
        do throws(JSONSyntaxError) {
            event = try reader.read(input.span)
        } catch {
            return try checkFailure(Answer<JSONValue>.failure(error), input)
        }
        guard let document = try? JSONValue.parse(span: input.span, keeping: .everything) else { return }
        try promise(event.type == document["type"]?.string, "the type differs")
        let selection = event.type == "ERROR" ? .whole : Self.selection
        try promise(event.object == document["object"].map { selection($0) }, "the object differs")
    }

    private mutating func checkDocument(_ input: [UInt8]) throws {
        let tree = Answer { () throws(JSONSyntaxError) in try JSONValue.parse(span: input.span, keeping: .everything) }
        try checkFailure(tree, input)
        var scanner = JSONScanner(input.span)
        let isSkipped: Bool
        do throws(JSONFailure) {
            try scanner.skip()
            try scanner.end()
            isSkipped = true
        } catch {
            isSkipped = false
        }
        if case .success(let value) = tree {
            try promise(isSkipped, "read, but not passed over")
            try promise(
                (try? JSONValue.parse(value.serializedBytes(), keeping: .everything)) == value,
                "does not survive writing")
        }
    }

    private func checkFailure(_ answer: Answer<JSONValue>, _ input: [UInt8]) throws {
        guard case .failure(let error) = answer else { return }
        try promise(
            error.path.hasPrefix("$") && (0...input.count).contains(error.offset) && !error.message.isEmpty,
            "a failure without a place: \(error)")
    }

    private func brief(_ answer: Answer<JSONValue>) -> String {
        switch answer {
        case .success(let value): String(value.serialized().prefix(200))
        case .failure(let error): "\(error)"
        }
    }

    // MARK: Mutation

    private mutating func mutated(_ base: [UInt8]) -> [UInt8] {
        var bytes = base
        for _ in 0..<random.below(4) where !bytes.isEmpty {
            let at = random.below(bytes.count)
            switch random.below(9) {
            case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes[at] ^= 1 << UInt8(random.below(8))
            case 2: bytes.remove(at: at)
            case 3: bytes.insert(Array("{}[]\",:\\u0-+.eE \n".utf8)[random.below(17)], at: at)
            case 4: bytes.removeSubrange(at...)
            case 5: bytes.removeSubrange(at..<min(bytes.count, at + random.below(40)))
            case 6:
                bytes.insert(
                    contentsOf: bytes[at..<min(bytes.count, at + random.below(60))], at: random.below(bytes.count))
            case 7: bytes.insert(contentsOf: Self.tokens[random.below(Self.tokens.count)], at: at)
            default:
                // In place of a value, where values mostly are: behind a colon.
                guard let colon = bytes[at...].firstIndex(of: UInt8(ascii: ":")) else { continue }
                bytes.insert(
                    contentsOf: Self.tokens[random.below(Self.tokens.count)] + Array(",\"z\":".utf8), at: colon + 1)
            }
        }
        return bytes
    }

    private static let tokens: [[UInt8]] =
        [
            #""\ud800""#, #""\udc00x""#, #""\ud83d\ude00""#, #""\u00""#, #""\x""#, "1e999", "-", "01", "1.", "-0",
            "1e-400",
            "123456789012345678901234567890", "9223372036854775807", "-9223372036854775809", "null", "tru", "nan",
            #""a":1,"a":2"#, #"{"a":1,"a":2}"#, #"{"\u0061":1,"a":2}"#, "{}", "[]", "[{}]", "\u{FEFF}", "\u{2028}",
            "/**/", "{,}",
            #""items":[]"#, #""items":null,"#, String(repeating: "[", count: 250),
            String(repeating: #"{"a":"#, count: 250),
            String(repeating: "[", count: 190) + String(repeating: "]", count: 190), String(repeating: "9", count: 400),
        ].map { Array($0.utf8) } + [
            [0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x00], [0x22, 0xC0, 0xAF, 0x22],
        ]
}

extension [UInt8] {
    fileprivate func contains(_ text: String) -> Bool {
        let text = Array(text.utf8)
        return count >= text.count
            && (0...count - text.count).contains { self[$0..<$0 + text.count].elementsEqual(text) }
    }
}
