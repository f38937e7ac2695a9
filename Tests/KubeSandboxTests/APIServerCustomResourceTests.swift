import KubeCore
import Testing

@testable import KubeSandbox

struct APIServerCustomResourceTests {
    let api = APIServer()

    private func installed() async throws {
        let made = try await api.create(.customResourceDefinitions, widgetDefinition)
        let conditions = made.status["conditions"]?.array ?? []
        #expect(conditions.contains { $0["type"] == "Established" && $0["status"] == "True" })
    }

    @Test func `a kind exists from its definition's creation to its deletion`() async throws {
        let before = await refusal { () async throws(APIError) in try await api.create(widgets, widget()) }
        #expect(before.isNotFound)
        try await installed()
        _ = try await api.create(widgets, widget())
        try await api.delete(.customResourceDefinitions, name: "widgets.example.dev")
        let after = await refusal { () async throws(APIError) in try await api.list(widgets) }
        #expect(after.isNotFound)
        try await installed()
        #expect(try await api.list(widgets).items.isEmpty)
    }

    @Test func `defaults are filled in and unknown fields dropped`() async throws {
        try await installed()
        let made = try await api.create(widgets, widget(spec: ["color": "red", "colour": "x", "extra": ["any": 1]]))
        #expect(made.spec == ["color": "red", "size": 3, "extra": ["any": 1], "limits": ["cpu": "1"]])
    }

    @Test func `strict field validation names the unknown field`() async throws {
        try await installed()
        let request = APIRequest(
            .create, widgets, namespace: "default", query: ["fieldValidation": "Strict"],
            body: widget(spec: ["color": "red", "colour": "x"]).json)
        let error = await refusal { () async throws(APIError) in try await api.perform(request) }
        #expect(error.code == 400 && error.message.contains("strict decoding error: unknown field \"spec.colour\""))
    }

    static let wrong: [(JSONValue, String, String)] = [
        (["color": "blue"], "spec.color", "Unsupported value: \"blue\": supported values: \"red\", \"green\""),
        ([:], "spec.color", "Required value"),
        (
            ["color": "red", "size": 11], "spec.size",
            "Invalid value: 11: spec.size in body should be less than or equal to 10"
        ),
        (
            ["color": "red", "size": "x"], "spec.size",
            "Invalid value: \"x\": spec.size in body must be of type integer: \"string\""
        ),
        (
            ["color": "red", "name": "A1"], "spec.name",
            "Invalid value: \"A1\": spec.name in body should match '^[a-z]+$'"
        ),
        (
            ["color": "red", "name": "a"], "spec.name",
            "Invalid value: \"a\": spec.name in body should be at least 2 chars long"
        ),
        (
            ["color": "red", "port": true], "spec.port",
            "Invalid value: true: spec.port in body must be of type integer,string: \"boolean\""
        ),
        (["color": "red", "steps": [["id": "a"], ["id": "a"]]], "spec.steps[1]", "Duplicate value: {\"id\":\"a\"}"),
        (["color": "red", "steps": [["weight": 1]]], "spec.steps[0].id", "Required value"),
    ]

    @Test(arguments: wrong.indices)
    func `the schema's rules are kept`(index: Int) async throws {
        try await installed()
        let (spec, path, message) = Self.wrong[index]
        let error = await refusal { () async throws(APIError) in try await api.create(widgets, widget(spec: spec)) }
        #expect(error.isInvalid)
        #expect(error.causes.contains(FieldError(path: path, message: message)), "\(error.causes)")
    }

    @Test func `status is a subresource and does not count as a new generation`() async throws {
        try await installed()
        var object = try await api.create(widgets, widget())
        object.status = ["size": 2]
        object = try await api.update(widgets, object, subresource: "status")
        #expect(object.status == ["size": 2] && object.generation == 1)
        let scale = try await api.perform(
            APIRequest(.get, widgets, namespace: "default", name: "one", subresource: "scale"))
        #expect(scale[path: "spec", "replicas"] == 3 && scale[path: "status", "replicas"] == 2)
    }

    @Test func `strategic merge is not for custom resources`() async throws {
        try await installed()
        _ = try await api.create(widgets, widget())
        let error = await refusal { () async throws(APIError) in
            try await api.patch(widgets, namespace: "default", name: "one", type: .strategic, ["spec": ["size": 1]])
        }
        #expect(error.code == 415)
    }

    @Test func `printer columns come from the definition`() async throws {
        try await installed()
        var object = try await api.create(widgets, widget())
        object.status = ["conditions": [["type": "Synced", "status": "False"], ["type": "Ready", "status": "True"]]]
        object = try await api.update(widgets, object, subresource: "status")
        let type = try #require(api.registry.type(widgets))
        let table = PrinterTable.table([object.json], type, metadata: [:], include: .none, now: api.now())
        #expect(table["columnDefinitions"]?.array?.compactMap { $0["name"]?.string } == ["Name", "Size", "Ready"])
        #expect(table["rows"]?[0]?["cells"] == ["one", 3, "True"])
    }

    @Test(arguments: [
        (".a.b", ["1"]), (".list[*].n", ["1", "2"]), (".list[1].n", ["2"]), (".list[-1].n", ["2"]),
        (".list[?(@.k==\"x\")].n", ["1"]), (".list[?(@.n==2)].k", ["y"]), (".m.a\\.b/c", ["z"]),
        ("['m']['a.b/c']", ["z"]),
        (".none.x", []), ("{.a.b}", ["1"]),
    ])
    func `JSON paths find values`(path: String, expected: [String]) throws {
        let document = json(#"{"a":{"b":1},"list":[{"k":"x","n":1},{"k":"y","n":2}],"m":{"a.b/c":"z"}}"#)
        let found = try #require(JSONPath(path)).values(in: document)
        #expect(found.map { $0.string ?? $0.serialized() } == expected)
    }
}
