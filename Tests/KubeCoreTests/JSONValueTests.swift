import KubeCore
import Testing

struct JSONValueTests {
    @Test func `paths read, make and remove`() {
        var value: JSONValue = ["a": ["b": ["c": 1]]]
        #expect(value[path: "a", "b", "c"] == 1)
        #expect(value[path: "a", "x", "c"] == nil)
        value[path: "a", "x", "y"] = 2
        #expect(value == ["a": ["b": ["c": 1], "x": ["y": 2]]])
        value[path: "a", "b", "c"] = nil
        value[path: "a", "none", "deep"] = nil
        #expect(value == ["a": ["b": [:], "x": ["y": 2]]])
    }

    @Test func `an element out of range is nil`() {
        let value: JSONValue = [1]
        #expect(value[0] == 1 && value[1] == nil && value[-1] == nil && JSONValue.null[0] == nil)
    }

    @Test func `one and one point zero differ, and both are the integer one`() {
        #expect(JSONValue.int(1) != .double(1) && JSONValue.double(1).int == 1 && JSONValue.double(1.5).int == nil)
        #expect(JSONValue.double(1e300).int == nil && JSONValue.double(.nan).int == nil)
    }

    static let rfc7396: [(JSONValue, JSONValue, JSONValue)] = [
        // RFC 7396, appendix A.
        (["a": "b"], ["a": "c"], ["a": "c"]), (["a": "b"], ["b": "c"], ["a": "b", "b": "c"]),
        (["a": "b"], ["a": .null], [:]),
        (["a": "b", "b": "c"], ["a": .null], ["b": "c"]), (["a": ["b"]], ["a": "c"], ["a": "c"]),
        (["a": "c"], ["a": ["b"]], ["a": ["b"]]),
        (["a": ["b": "c"]], ["a": ["b": "d", "c": .null]], ["a": ["b": "d"]]),
        (["a": [["b": "c"]]], ["a": [1]], ["a": [1]]), (["a", "b"], ["c", "d"], ["c", "d"]), (["a": "b"], ["c"], ["c"]),
        (["a": "foo"], .null, .null), (["a": "foo"], "bar", "bar"), (["e": .null], ["a": 1], ["e": .null, "a": 1]),
        ([1, 2], ["a": "b", "c": .null], ["a": "b"]), ([:], ["a": ["bb": ["ccc": .null]]], ["a": ["bb": [:]]]),
    ]

    @Test(arguments: rfc7396)
    func `merge patches apply as in RFC 7396`(_ target: JSONValue, _ patch: JSONValue, _ result: JSONValue) {
        #expect(target.merging(patch) == result)
    }

    static let differences: [(JSONValue, JSONValue, JSONValue?)] = [
        (["a": 1], ["a": 1], nil), (["a": 1, "b": 2], ["b": 3], ["a": .null, "b": 3]),
        (["a": ["x": 1, "y": 2]], ["a": ["x": 1, "y": 3]], ["a": ["y": 3]]), (["a": [1, 2]], ["a": [1]], ["a": [1]]),
        ([:], ["a": [:]], ["a": [:]]), (["a": 1], ["a": ["b": 1]], ["a": ["b": 1]]),
    ]

    @Test(arguments: differences)
    func `the smallest merge patch leads from one to the other`(_ old: JSONValue, _ new: JSONValue, _ patch: JSONValue?)
    {
        #expect(old.mergePatch(to: new) == patch)
        if let patch { #expect(old.merging(patch) == new) }
    }
}

struct JSONPatchTests {
    static let operations: [(JSONValue, JSONValue, JSONValue)] = [
        (["a": 1], [["op": "add", "path": "/b", "value": 2]], ["a": 1, "b": 2]),
        (["a": [1, 3]], [["op": "add", "path": "/a/1", "value": 2]], ["a": [1, 2, 3]]),
        (["a": [1]], [["op": "add", "path": "/a/-", "value": 2]], ["a": [1, 2]]),
        (["a": 1], [["op": "remove", "path": "/a"]], [:]),
        (["a": [1, 2]], [["op": "remove", "path": "/a/0"]], ["a": [2]]),
        (["a": 1], [["op": "replace", "path": "/a", "value": .null]], ["a": .null]),
        (["a": 1], [["op": "replace", "path": "", "value": 2]], 2),
        (["a": ["b": 1], "c": [:]], [["op": "move", "from": "/a/b", "path": "/c/d"]], ["a": [:], "c": ["d": 1]]),
        (["a": 1], [["op": "copy", "from": "/a", "path": "/b"]], ["a": 1, "b": 1]),
        (["a/b": ["m~n": 1]], [["op": "replace", "path": "/a~1b/m~0n", "value": 2]], ["a/b": ["m~n": 2]]),
        (
            ["a": 1], [["op": "test", "path": "/a", "value": 1], ["op": "add", "path": "/b", "value": 1]],
            ["a": 1, "b": 1]
        ),
    ]

    @Test(arguments: operations)
    func `operations apply as in RFC 6902`(_ document: JSONValue, _ patch: JSONValue, _ result: JSONValue) throws {
        #expect(try JSONPatch.apply(patch, to: document) == result)
    }

    static let refusals: [JSONValue] = [
        [["op": "remove", "path": "/none"]], [["op": "replace", "path": "/none", "value": 1]],
        [["op": "add", "path": "/none/b", "value": 1]], [["op": "add", "path": "/l/3", "value": 1]],
        [["op": "add", "path": "/l/01", "value": 1]], [["op": "test", "path": "/a", "value": 2]],
        [["op": "add", "path": "/b"]],
        [["op": "what", "path": "/a"]], [["path": "/a"]], [["op": "remove", "path": "a"]],
        [["op": "move", "from": "/l", "path": "/l/0"]], [["op": "copy", "from": "/none", "path": "/b"]], [:],
    ]

    @Test(arguments: refusals)
    func `what cannot be done is refused`(_ patch: JSONValue) {
        #expect(throws: FieldError.self) { try JSONPatch.apply(patch, to: ["a": 1, "l": [1, 2]]) }
    }

    @Test func `the failing operation is named`() {
        let patch: JSONValue = [["op": "add", "path": "/b", "value": 1], ["op": "test", "path": "/b", "value": 2]]
        #expect { _ = try JSONPatch.apply(patch, to: [:]) } throws: { ($0 as? FieldError)?.path == "[1]" }
    }

    @Test func `the difference of two documents, applied to the first, gives the second`() throws {
        var random = SplitMix(seed: 3)
        for _ in 0..<500 {
            let (old, new) = (randomValue(&random, depth: 3), randomValue(&random, depth: 3))
            #expect(try JSONPatch.apply(JSONPatch.diff(from: old, to: new), to: old) == new)
        }
        let old: JSONValue = ["a": ["b/c": 1, "d~": 2], "e": [1]]
        #expect(
            JSONPatch.diff(from: old, to: ["a": ["b/c": 3], "e": [1], "f": .null]) == [
                ["op": "remove", "path": "/a/d~0"], ["op": "replace", "path": "/a/b~1c", "value": 3],
                ["op": "add", "path": "/f", "value": .null],
            ])
    }
}
