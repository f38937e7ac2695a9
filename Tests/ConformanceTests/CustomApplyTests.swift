import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct CustomApplies {
        let cluster = Cluster.current

        @Test(arguments: Definitions.Home.all)
        func `list types of a custom resource say how its lists are shared`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                guard cluster.serves(.definedListTypes, at: home) else { return }
                try await ns.apply(
                    widgets,
                    Widget.object(
                        "a",
                        ["tags": ["x"], "steps": [["id": "1", "weight": 1]], "atomic": ["p"], "whole": ["a": "1"]]),
                    as: "one")
                func second(_ spec: JSONValue) -> KubeObject {
                    KubeObject(json: ["metadata": ["name": "a"], "spec": spec])
                }
                var widget = try await ns.apply(
                    widgets, second(["tags": ["y"], "steps": [["id": "2"], ["id": "1", "note": "n"]]]), as: "two")
                #expect(Set(widget.spec["tags"]?.array?.compactMap(\.string) ?? []) == ["x", "y"])
                #expect(widget.spec["steps"]?.array?.count == 2)
                let first = widget.spec["steps"]?.array?.first { $0["id"] == "1" }
                #expect(first == ["id": "1", "weight": 1, "note": "n"])
                let owned = widget.owned(by: "two")?["f:spec"]
                #expect(owned?["f:tags"] == ["v:\"y\"": [:]])
                #expect(owned?[path: "f:steps", "k:{\"id\":\"1\"}"] == [".": [:], "f:id": [:], "f:note": [:]])
                for spec: JSONValue in [["atomic": ["q"]], ["whole": ["b": "2"]]] {
                    let error = await refusal { () async throws(APIError) in
                        try await ns.apply(widgets, second(spec), as: "two")
                    }
                    #expect(error.code == 409 && error.causes.count == 1, "\(error)")
                }
                widget = try await ns.apply(widgets, second([:]), as: "two", force: true)
                #expect(widget.spec["tags"] == ["x"])
                #expect(widget.spec["steps"] == [["id": "1", "weight": 1]])
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `a custom resource's applied status is its own door`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                try await ns.apply(widgets, Widget.object("a"), as: "one")
                var object = KubeObject(json: ["metadata": ["name": "a"], "status": ["size": 2]])
                object = try await ns.apply(widgets, object, as: "one", subresource: "status")
                #expect(object.status == ["size": 2] && object.spec["color"] == "red")
                object = try await ns.apply(
                    widgets,
                    KubeObject(
                        json: [
                            "metadata": ["name": "a"],
                            "status": ["conditions": [["type": "Ready", "status": "True"]]],
                        ]), as: "two", subresource: "status")
                #expect(object.status["size"] == 2 && object.status["conditions"]?.array?.count == 1)
            }
        }
    }
}
