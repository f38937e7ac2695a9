import KubeCore
import Testing

struct JSONCodingTests {
    enum Kind: String, Codable { case one, two }

    struct Step: Codable, Equatable {
        var weight: Int
        var pause: GoDuration?
    }

    struct Spec: Codable, Equatable {
        var name: String
        var replicas: UInt8?
        var ratio: Double?
        var kind: Kind?
        var steps: [Step]?
        var labels: [String: String]?
        var raw: JSONValue?
        var flag: Bool?
    }

    @Test func `values go to types and back`() throws {
        let json: JSONValue = [
            "name": "a", "replicas": 3, "ratio": 0.5, "kind": "two",
            "steps": [["weight": 5], ["weight": 10, "pause": "1m30s"]],
            "labels": ["x": "y"], "raw": ["any": [1, .null]], "flag": false,
        ]
        let spec = try json.decode(Spec.self)
        #expect(spec.steps?.last?.pause == GoDuration(seconds: 90) && spec.kind == .two && spec.raw?["any"]?[0] == 1)
        #expect(try JSONValue(encoding: spec) == json)
    }

    @Test func `absent and null members are nil, unknown ones are ignored, nil ones are left out`() throws {
        let spec = try (["name": "a", "replicas": .null, "other": 1] as JSONValue).decode(Spec.self)
        #expect(spec == Spec(name: "a"))
        #expect(try JSONValue(encoding: spec) == ["name": "a"])
    }

    static let misfits: [(text: String, path: String, message: String)] = [
        (#"{}"#, "name", "is required"),
        (#"{"name": 1}"#, "name", "must be a string, not 1"),
        (#"{"name": null}"#, "name", "must be a string, not null"),
        (#"{"name": "a", "replicas": 256}"#, "replicas", "must be a whole number, not 256"),
        (#"{"name": "a", "replicas": 1.5}"#, "replicas", "must be a whole number, not 1.5"),
        (#"{"name": "a", "ratio": "half"}"#, "ratio", "must be a number, not 'half'"),
        (#"{"name": "a", "steps": {}}"#, "steps", "must be a list, not an object"),
        (
            #"{"name": "a", "steps": [{"weight": 1}, {"weight": "x"}]}"#, "steps[1].weight",
            "must be a whole number, not 'x'"
        ),
        (#"{"name": "a", "steps": [{"weight": 1, "pause": "soon"}]}"#, "steps[0].pause", "'soon' is not a duration"),
        (#"{"name": "a", "steps": [{}]}"#, "steps[0].weight", "is required"),
        (#"{"name": "a", "labels": {"x": 1}}"#, "labels.x", "must be a string, not 1"),
        (#"{"name": "a", "flag": "yes"}"#, "flag", "must be true or false, not 'yes'"),
        (#"[]"#, "", "must be an object, not a list"),
    ]

    @Test(arguments: misfits)
    func `errors name the field and what is wrong`(_ text: String, _ path: String, _ message: String) {
        #expect {
            _ = try JSONValue.parse(text).decode(Spec.self)
        } throws: { error in
            guard let error = error as? FieldError else { return false }
            return error.path == path && error.message.hasPrefix(message)
        }
    }

    @Test func `a value outside an enum names the field`() {
        #expect {
            _ = try (["name": "a", "kind": "three"] as JSONValue).decode(Spec.self)
        } throws: { ($0 as? FieldError)?.path == "kind" }
    }

    @Test func `a whole double counts as an integer, an integer as a double`() throws {
        let spec = try (["name": "a", "replicas": 2.0, "ratio": 1] as JSONValue).decode(Spec.self)
        #expect(spec.replicas == 2 && spec.ratio == 1)
    }

    @Test func `plain values, lists and maps are coded too`() throws {
        #expect(try JSONValue(encoding: [1, 2]) == [1, 2])
        #expect(try JSONValue(encoding: ["a": [true]]) == ["a": [true]])
        #expect(try JSONValue(encoding: [] as [Int]) == [] && JSONValue(encoding: [:] as [String: Int]) == [:])
        #expect(try (["x", "y"] as JSONValue).decode([String].self) == ["x", "y"])
        #expect(try ([1, .null] as JSONValue).decode([Int?].self) == [1, nil])
        #expect(try JSONValue.string("x").decode(String.self) == "x")
        #expect(try (["a": 1] as JSONValue).decode(JSONValue.self) == ["a": 1])
    }

    @Test func `the elements of a list of optionals keep their places`() throws {
        #expect(try JSONValue(encoding: [1, nil, 3] as [Int?]) == [1, .null, 3])
    }
}
