import KubeCore
import Testing

struct FieldSelectionTests {
    private static let pod: JSONValue = [
        "apiVersion": "v1", "kind": "Pod",
        "metadata": [
            "name": "p", "labels": ["app.kubernetes.io/name": "p"], "generateName": "p-",
            "annotations": ["keep": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}"],
            "managedFields": [["manager": "kubelet", "fieldsV1": ["f:spec": [:]]]],
        ],
        "spec": [
            "nodeName": "n", "hostNetwork": true, "volumes": [["name": "v"]],
            "containers": [
                ["name": "a", "image": "i", "env": [["name": "E"]]],
                ["name": "b", "ports": [["containerPort": 80, "protocol": "TCP"]]],
            ],
        ],
        "status": ["phase": "Running", "conditions": [], "podIP": .null],
    ]

    private static let selections: [(FieldSelection, JSONValue)] = [
        (.everything, pod),
        (
            .whole,
            {
                var kept = pod
                kept[path: "metadata", "managedFields"] = nil
                return kept
            }()
        ),
        (
            .only(
                ["spec.containers.name", "spec.containers.ports", "spec.nodeName", "status.phase"],
                dropping: [["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]]),
            [
                "apiVersion": "v1", "kind": "Pod",
                "metadata": ["name": "p", "labels": ["app.kubernetes.io/name": "p"], "annotations": ["keep": "1"]],
                "spec": [
                    "nodeName": "n",
                    "containers": [
                        ["name": "a"], ["name": "b", "ports": [["containerPort": 80, "protocol": "TCP"]]],
                    ],
                ],
                "status": ["phase": "Running"],
            ]
        ),
        (
            .only(["spec"], dropping: ["spec.containers.env", "spec.volumes", "metadata"]),
            [
                "apiVersion": "v1", "kind": "Pod",
                "spec": [
                    "nodeName": "n", "hostNetwork": true,
                    "containers": [
                        ["name": "a", "image": "i"],
                        ["name": "b", "ports": [["containerPort": 80, "protocol": "TCP"]]],
                    ],
                ],
            ]
        ),
    ]

    @Test(arguments: selections)
    func `reading with a selection gives what selecting afterwards gives`(
        _ selection: FieldSelection, _ kept: JSONValue
    ) throws {
        #expect(selection(Self.pod) == kept)
        #expect(try JSONValue.parse(Self.pod.serializedBytes(), keeping: selection) == kept)
        #expect(selection(kept) == kept)
        var events = JSONEventReader(keeping: selection)
        let line = JSONValue.object(["type": "ADDED", "object": Self.pod]).serializedBytes()
        let event = try events.read(line.span)
        #expect(event.type == "ADDED")
        #expect(event.object == kept)
    }

    @Test func `a name is known however it is written`() throws {
        let text = #"{"\u006betadata":1,"\u006bind":"K","spec":{"node\u004eame":"n","nodeNamf":1,"nodeNam":2}}"#
        let kept = try JSONValue.parse(text.utf8, keeping: .only(["spec.nodeName"]))
        #expect(kept == ["kind": "K", "spec": ["nodeName": "n"]])
    }

    @Test func `the status of an error event is kept whole`() throws {
        var events = JSONEventReader(keeping: .only([]))
        let line = Array(#"{"object":{"kind":"Status","code":410,"details":{"a":1}},"type":"ERROR"}"#.utf8)
        let event = try events.read(line.span)
        #expect(event.object == ["kind": "Status", "code": 410, "details": ["a": 1]])
    }

    @Test func `the same paths in another order are the same selection`() {
        #expect(FieldSelection.only(["spec.a", "spec.b"]) == .only(["spec.b", "spec.a"]))
        #expect(FieldSelection.only(["spec.a"]) != .only(["spec.b"]))
        #expect(FieldSelection.whole != .everything)
    }
}
