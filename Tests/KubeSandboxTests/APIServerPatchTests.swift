import KubeCore
import Testing

@testable import KubeSandbox

struct APIServerPatchTests {
    private func merged(_ original: String, _ patch: String, kind: String = "Pod") throws -> JSONValue {
        try StrategicMerge.apply(
            json(patch), to: json(original), schema: MergeSchema(ResourceType(kind, kind.lowercased() + "s")))
    }

    private let containers =
        #"{"spec":{"containers":[{"name":"a","image":"1","env":[{"name":"X","value":"1"}]},{"name":"b","image":"2"}]}}"#

    @Test func `elements of known lists merge by key`() throws {
        let result = try merged(
            containers,
            #"{"spec":{"containers":[{"name":"b","image":"3"},{"name":"a","env":[{"name":"Y","value":"2"}]}]}}"#)
        #expect(
            result
                == json(
                    #"{"spec":{"containers":[{"name":"a","image":"1","env":[{"name":"X","value":"1"},{"name":"Y","value":"2"}]},{"name":"b","image":"3"}]}}"#
                ))
    }

    @Test func `a null removes a field and an unknown list is replaced`() throws {
        let result = try merged(
            #"{"spec":{"nodeName":"n","tolerations":[{"key":"a"}]}}"#,
            #"{"spec":{"nodeName":null,"tolerations":[{"key":"b"}]}}"#)
        #expect(result == json(#"{"spec":{"tolerations":[{"key":"b"}]}}"#))
    }

    @Test func `an element is deleted by directive`() throws {
        let result = try merged(containers, #"{"spec":{"containers":[{"$patch":"delete","name":"a"}]}}"#)
        #expect(result[path: "spec", "containers"] == [["name": "b", "image": "2"]])
    }

    @Test func `a list and a map are replaced by directive`() throws {
        let list = try merged(containers, #"{"spec":{"containers":[{"$patch":"replace"},{"name":"c","image":"9"}]}}"#)
        #expect(list[path: "spec", "containers"] == [["name": "c", "image": "9"]])
        let map = try merged(
            #"{"metadata":{"labels":{"a":"1","b":"2"}}}"#, #"{"metadata":{"labels":{"$patch":"replace","c":"3"}}}"#)
        #expect(map == json(#"{"metadata":{"labels":{"c":"3"}}}"#))
    }

    @Test func `retained keys drop the others`() throws {
        let result = try merged(
            #"{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}}"#,
            #"{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}"#, kind: "Deployment")
        #expect(result == json(#"{"spec":{"strategy":{"type":"Recreate"}}}"#))
    }

    @Test func `the element order that the patch names is kept`() throws {
        let result = try merged(
            containers,
            #"{"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"b"},{"name":"a"}],"containers":[{"name":"c","image":"3"}]}}"#
        )
        #expect(result[path: "spec", "containers"]?.array?.compactMap { $0["name"]?.string } == ["c", "b", "a"])
    }

    @Test func `finalizers merge as a set and are deleted by value`() throws {
        let added = try merged(#"{"metadata":{"finalizers":["a"]}}"#, #"{"metadata":{"finalizers":["a","b"]}}"#)
        #expect(added[path: "metadata", "finalizers"] == ["a", "b"])
        let removed = try merged(
            #"{"metadata":{"finalizers":["a","b"]}}"#, #"{"metadata":{"$deleteFromPrimitiveList/finalizers":["a"]}}"#)
        #expect(removed[path: "metadata", "finalizers"] == ["b"])
    }

    @Test func `an element without its key is named in the refusal`() throws {
        #expect(throws: FieldError.self) { try merged(containers, #"{"spec":{"containers":[{"image":"3"}]}}"#) }
    }

    @Test func `patches of each kind change an object`() async throws {
        let api = APIServer()
        _ = try await api.create(.deployments, deployment())
        func patch(_ type: APIRequest.PatchType, _ body: JSONValue) async throws(APIError) -> KubeObject {
            try await api.patch(.deployments, namespace: "default", name: "web", type: type, body)
        }
        var object = try await patch(.merge, ["spec": ["replicas": 2]])
        #expect(object.spec["replicas"] == 2)
        object = try await patch(
            .strategic, ["spec": ["template": ["spec": ["containers": [["name": "app", "image": "shop:2"]]]]]])
        #expect(object.json[path: "spec", "template", "spec", "containers"]?[0]?["image"] == "shop:2")
        object = try await patch(.json, [["op": "replace", "path": "/spec/replicas", "value": 3]])
        #expect(object.spec["replicas"] == 3 && object.generation == 4)
        let refused = await refusal { () async throws(APIError) in
            try await patch(.json, [["op": "test", "path": "/spec/replicas", "value": 9]])
        }
        #expect(refused.code == 422)
        let stale = await refusal { () async throws(APIError) in
            try await patch(.merge, ["metadata": ["resourceVersion": "1"], "spec": ["replicas": 9]])
        }
        #expect(stale.isConflict)
    }
}
