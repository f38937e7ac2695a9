import FoundationEssentials
import KubeCore
import Testing

@testable import KubeSandbox

/// Reads JSON text in tests; a malformed one is a broken test.
func json(_ text: String) -> JSONValue { try! JSONValue.parse(text) }

func deployment(_ name: String = "web", replicas: Int = 1, image: String = "shop:1") -> KubeObject {
    KubeObject(
        json: [
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": .string(name), "namespace": "default"],
            "spec": [
                "replicas": .int(replicas), "selector": ["matchLabels": ["app": .string(name)]],
                "template": [
                    "metadata": ["labels": ["app": .string(name)]],
                    "spec": ["containers": [["name": "app", "image": .string(image)]]],
                ],
            ],
        ])
}

func configMap(_ name: String, _ data: [String: String] = [:], labels: [String: String] = [:]) -> KubeObject {
    var object = KubeObject(.configMaps, namespace: "default", name: name)
    object.json["data"] = JSONValue(data)
    object.labels = labels
    return object
}

func pod(_ name: String, node: String? = nil) -> KubeObject {
    var object = KubeObject(.pods, namespace: "default", name: name)
    object.spec = ["containers": [["name": "app", "image": "shop:1"]]]
    if let node { object.json[path: "spec", "nodeName"] = .string(node) }
    return object
}

/// A definition with defaults, enums and an unknown-preserving corner.
let widgetDefinition = KubeObject(
    json: json(
        """
        {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.dev"},
         "spec":{"group":"example.dev","scope":"Namespaced",
          "names":{"kind":"Widget","plural":"widgets","shortNames":["wd"],"categories":["all"]},
          "versions":[{"name":"v1","served":true,"storage":true,
           "subresources":{"status":{},"scale":{"specReplicasPath":".spec.size","statusReplicasPath":".status.size"}},
           "additionalPrinterColumns":[
             {"name":"Size","type":"integer","jsonPath":".spec.size"},
             {"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\\"Ready\\")].status"}],
           "schema":{"openAPIV3Schema":{"type":"object","required":["spec"],"properties":{
             "spec":{"type":"object","required":["color"],"properties":{
               "color":{"type":"string","enum":["red","green"]},
               "size":{"type":"integer","minimum":0,"maximum":10,"default":3},
               "name":{"type":"string","pattern":"^[a-z]+$","minLength":2},
               "port":{"x-kubernetes-int-or-string":true},
               "extra":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
               "limits":{"type":"object","default":{},"properties":{"cpu":{"type":"string","default":"1"}}},
               "tags":{"type":"array","items":{"type":"string"},"x-kubernetes-list-type":"set"},
               "steps":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["id"],
                 "items":{"type":"object","required":["id"],"properties":{"id":{"type":"string"},"weight":{"type":"integer"}}}}}},
             "status":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}]}}
        """))

let widgets = GroupVersionResource(group: "example.dev", resource: "widgets", kind: "Widget")

func widget(_ name: String = "one", spec: JSONValue = ["color": "red"]) -> KubeObject {
    var object = KubeObject(widgets, namespace: "default", name: name)
    object.spec = spec
    return object
}

/// Runs a call that must be refused.
func refusal(_ body: () async throws(APIError) -> some Any, sourceLocation: SourceLocation = #_sourceLocation) async
    -> APIError
{
    do {
        _ = try await body()
        Issue.record("the call was accepted", sourceLocation: sourceLocation)
        return APIError(code: -1, reason: "", message: "")
    } catch {
        return error
    }
}
