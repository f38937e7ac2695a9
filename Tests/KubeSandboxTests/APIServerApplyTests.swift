import KubeCore
import Testing

@testable import KubeSandbox

/// Server-side apply: who owns what, who wins, what goes.
struct APIServerApplyTests {
    let api = APIServer()

    private func owned(_ object: KubeObject, by manager: String) -> [String] {
        ManagedFields(json: object.json[path: "metadata", "managedFields"]).entries
            .filter { $0.key.name == manager }.flatMap(\.value.fields.paths).sorted()
    }

    private func apply(_ data: [String: String], _ manager: String, force: Bool = false) async throws(APIError)
        -> KubeObject
    {
        try await api.apply(.configMaps, configMap("a", data), fieldManager: manager, force: force)
    }

    @Test func `an applier owns exactly what it sends`() async throws {
        let object = try await api.apply(.deployments, deployment(), fieldManager: "one")
        #expect(
            owned(object, by: "one") == [
                ".spec.replicas", ".spec.selector", ".spec.template.metadata.labels.app",
                ".spec.template.spec.containers[name=\"app\"]", ".spec.template.spec.containers[name=\"app\"].image",
                ".spec.template.spec.containers[name=\"app\"].name",
            ])
    }

    @Test func `a field of another manager with another value is a conflict that names both`() async throws {
        _ = try await apply(["k": "1"], "one")
        let error = await refusal { () async throws(APIError) in try await apply(["k": "2"], "two") }
        #expect(error.isConflict)
        #expect(error.message == "Apply failed with 1 conflict: conflict with \"one\": .data.k")
        #expect(error.causes == [FieldError(path: ".data.k", message: "conflict with \"one\"")])
    }

    @Test func `force takes the field over`() async throws {
        _ = try await apply(["k": "1"], "one")
        let object = try await apply(["k": "2"], "two", force: true)
        #expect(object.json["data"] == ["k": "2"])
        #expect(owned(object, by: "one").isEmpty)
        #expect(owned(object, by: "two") == [".data.k"])
    }

    @Test func `the same value is shared, and goes with its last owner`() async throws {
        _ = try await apply(["k": "1", "mine": "x"], "one")
        var object = try await apply(["k": "1"], "two")
        #expect(owned(object, by: "one") == [".data.k", ".data.mine"] && owned(object, by: "two") == [".data.k"])
        object = try await apply(["other": "y"], "one")
        #expect(object.json["data"] == ["k": "1", "other": "y"])
        object = try await apply([:], "two")
        #expect(object.json["data"] == ["other": "y"])
    }

    @Test func `an update takes ownership of what it changes`() async throws {
        var object = try await apply(["k": "1", "keep": "x"], "one")
        object.json["data"] = ["k": "2", "keep": "x"]
        let updated = try await api.perform(
            APIRequest(
                .update, .configMaps, namespace: "default", name: "a", query: ["fieldManager": "editor"],
                body: object.json))
        #expect(owned(KubeObject(json: updated), by: "one") == [".data.keep"])
        #expect(owned(KubeObject(json: updated), by: "editor") == [".data.k"])
        let error = await refusal { () async throws(APIError) in try await apply(["k": "1", "keep": "x"], "one") }
        #expect(error.message.contains("conflict with \"editor\" using v1 at "))
        #expect(error.message.hasSuffix(": .data.k"))
    }

    @Test func `list elements merge by key and each manager removes its own`() async throws {
        func ports(_ numbers: [Int]) -> KubeObject {
            var service = KubeObject(.services, namespace: "default", name: "s")
            service.spec = [
                "ports": .array(numbers.map { ["name": .string("p\($0)"), "port": .int($0), "protocol": "TCP"] })
            ]
            return service
        }
        _ = try await api.apply(.services, ports([80]), fieldManager: "one")
        var object = try await api.apply(.services, ports([81]), fieldManager: "two")
        #expect(object.spec["ports"]?.array?.compactMap { $0["port"]?.int } == [80, 81])
        object = try await api.apply(.services, ports([82]), fieldManager: "one")
        #expect(object.spec["ports"]?.array?.compactMap { $0["port"]?.int } == [81, 82])
    }

    @Test func `an applied container field joins what another manager wrote`() async throws {
        _ = try await api.create(.deployments, deployment())
        var patch = KubeObject(.deployments, namespace: "default", name: "web")
        patch.spec = ["template": ["spec": ["containers": [["name": "app", "env": [["name": "A", "value": "1"]]]]]]]
        var object = try await api.apply(.deployments, patch, fieldManager: "two")
        #expect(object.json[path: "spec", "template", "spec", "containers"]?[0]?["image"] == "shop:1")
        #expect(
            object.json[path: "spec", "template", "spec", "containers"]?[0]?["env"] == [["name": "A", "value": "1"]])
        patch.spec = ["template": ["spec": ["containers": [["name": "app"]]]]]
        object = try await api.apply(.deployments, patch, fieldManager: "two")
        let container = object.json[path: "spec", "template", "spec", "containers"]?[0]
        #expect(container?["image"] == "shop:1" && container?["env"] == nil)
    }

    @Test func `an emptied map that the manager made goes with its members`() async throws {
        var object = configMap("a")
        object.annotations = ["x": "1"]
        _ = try await api.apply(.configMaps, object, fieldManager: "one")
        object.annotations = [:]
        let after = try await api.apply(.configMaps, object, fieldManager: "one")
        #expect(after.json[path: "metadata", "annotations"] == nil)
    }

    @Test func `status and the rest are applied through different doors`() async throws {
        _ = try await api.create(.customResourceDefinitions, widgetDefinition)
        var object = widget()
        object.status = ["phase": "Lost"]
        let made = try await api.apply(widgets, object, fieldManager: "one")
        #expect(made.json["status"] == nil)
        object.spec = ["color": "green"]
        let reported = try await api.apply(widgets, object, fieldManager: "two", subresource: "status")
        #expect(reported.status["phase"] == "Lost" && reported.spec["color"] == "red")
        #expect(owned(reported, by: "two") == [".status.phase"])
    }

    @Test func `custom lists merge as their schema says`() async throws {
        _ = try await api.create(.customResourceDefinitions, widgetDefinition)
        func steps(_ ids: [String], tags: [String]) -> KubeObject {
            widget(spec: [
                "color": "red", "tags": JSONValue(tags), "steps": .array(ids.map { ["id": .string($0), "weight": 1] }),
            ])
        }
        _ = try await api.apply(widgets, steps(["a"], tags: ["x"]), fieldManager: "one")
        let object = try await api.apply(widgets, steps(["b"], tags: ["y"]), fieldManager: "two")
        #expect(object.spec["steps"]?.array?.compactMap { $0["id"]?.string } == ["a", "b"])
        #expect(object.spec["tags"] == ["x", "y"])
    }

    @Test func `applying the same again writes nothing`() async throws {
        let first = try await api.apply(.deployments, deployment(), fieldManager: "one")
        let second = try await api.apply(.deployments, deployment(), fieldManager: "one")
        #expect(first.resourceVersion == second.resourceVersion)
    }

    @Test func `an apply without a manager or with managed fields is refused`() async throws {
        let nobody = await refusal { () async throws(APIError) in
            try await api.perform(
                APIRequest(.patch(.apply), .configMaps, namespace: "default", name: "a", body: configMap("a").json))
        }
        #expect(nobody.code == 422)
        let made = try await apply(["k": "1"], "one")
        let error = await refusal { () async throws(APIError) in
            try await api.apply(.configMaps, made, fieldManager: "one")
        }
        #expect(error.message.contains("managedFields must be nil"))
    }

    @Test func `field sets survive their wire form`() {
        let wire = json(
            #"{"f:spec":{"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}},"f:sets":{"v:\"a\"":{}}}}"#
        )
        let set = FieldSet(root: wire)
        #expect(set.fieldsV1 == wire)
        #expect(
            set.paths == [
                ".spec.ports", ".spec.ports[port=80,protocol=\"TCP\"]", ".spec.ports[port=80,protocol=\"TCP\"].port",
                ".spec.sets[=\"a\"]",
            ])
        #expect(set.subtracting(set).isEmpty && set.union(set) == set && set.intersection(set) == set)
    }
}
