import KubeCore
import Testing

struct JSONObjectTests {
    @Test func `it does what a dictionary does`() {
        var random = SplitMix(seed: 11)
        var object = JSONObject()
        var model: [String: JSONValue] = [:]
        for step in 0..<3000 {
            let key = "key-\(random.below(40))"
            switch random.below(4) {
            case 0:
                #expect(object.removeValue(forKey: key) == model.removeValue(forKey: key))
            case 1:
                object[key, default: .int(0)] = .int(step)
                model[key] = .int(step)
            case 2:
                #expect(object.updateValue(.int(step), forKey: key) == model.updateValue(.int(step), forKey: key))
            default: #expect(object[key] == model[key])
            }
            #expect(object.count == model.count)
        }
        #expect(Dictionary(uniqueKeysWithValues: object.map { ($0.key, $0.value) }) == model)
        #expect(Array(object.keys) == model.keys.sorted())
        #expect(object == JSONObject(model))
        #expect(object.filter { $0.key.hasSuffix("1") } == JSONObject(model.filter { $0.key.hasSuffix("1") }))
        #expect(object.mapValues { _ in .null } == JSONObject(model.mapValues { _ in .null }))
        #expect(object.compactMapValues(\.int) == model.compactMapValues(\.int))
    }

    @Test func `members are the same in whichever order they came`() {
        let a = JSONObject(
            [("b", 1), ("a", 2), ("c", 3), ("b", 4)].map { (key: $0.0, value: $0.1) }, uniquingKeysWith: { $1 })
        #expect(a == ["a": 2, "b": 4, "c": 3])
        #expect(a.hashValue == (["c": 3, "b": 4, "a": 2] as JSONObject).hashValue)
        #expect(
            JSONObject([("x", 1), ("x", 2)].map { (key: $0.0, value: $0.1) }, uniquingKeysWith: { a, _ in a }) == [
                "x": 1
            ])
        #expect((["a": 1, "b": 2] as JSONObject).merging(["b": 3, "c": 4]) { $1 } == ["a": 1, "b": 3, "c": 4])
    }

    @Test func `names that Swift takes for equal are two, as for the API server`() throws {
        let text = "{\"\u{E9}\":1,\"e\u{301}\":2}"
        let value = try JSONValue.parse(text)
        #expect(value.object?.count == 2)
        #expect(value["\u{E9}"] == 1)
        #expect(value["e\u{301}"] == 2)
        #expect(value.serialized() == "{\"e\u{301}\":2,\"\u{E9}\":1}")
    }

    @Test func `a large object is read in any order`() throws {
        let text = "{" + (0..<500).map { "\"\(($0 * 7919) % 500)\":\($0)" }.joined(separator: ",") + "}"
        let value = try JSONValue.parse(text)
        #expect(value.object?.count == 500)
        #expect((0..<500).allSatisfy { value["\(($0 * 7919) % 500)"] == .int($0) })
        #expect(throws: JSONSyntaxError.self) { try JSONValue.parse(text.dropLast() + ",\"77\":0}") }
    }
}
