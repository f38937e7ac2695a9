import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct CustomResources {
        let cluster = Cluster.current

        @Test(arguments: Definitions.Home.all)
        func `a definition reports that it is established`(home: Definitions.Home) async throws {
            let client = cluster.definitions.clients[home] ?? cluster.client
            let definition = try await client.get(
                .customResourceDefinitions, name: "widgets.\(cluster.definitions.group)")
            let holds = definition.status["conditions"]?.array?.filter { $0["status"] == "True" }
            let types = Set(holds?.compactMap { $0["type"]?.string } ?? [])
            #expect(types.isSuperset(of: ["Established", "NamesAccepted"]))
            #expect(definition.status["storedVersions"] == ["v1"])
            #expect(definition.status[path: "acceptedNames", "kind"] == "Widget")
            #expect(definition.spec[path: "names", "listKind"] == "WidgetList")
            #expect(definition.spec[path: "names", "singular"] == "widget")
            #expect(definition.spec[path: "conversion", "strategy"] == "None")
        }

        @Test(arguments: Definitions.Home.all)
        func `defaults are filled in, also inside of defaults`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                let bare = try await ns.create(widgets, Widget.object("a"))
                #expect(bare.spec["size"] == 3 && bare.spec["flag"] == true && bare.spec["fallback"] == "none")
                #expect(bare.spec["limits"] == ["cpu": "1"])
                let set = try await ns.create(
                    widgets, Widget.object("b", ["size": 0, "flag": false, "limits": ["memory": "2"]]))
                #expect(set.spec["size"] == 0 && set.spec["flag"] == false)
                #expect(set.spec["limits"] == ["memory": "2", "cpu": "1"])
                // A null where none is allowed counts as absent.
                var object = Widget.object("c")
                object.spec["fallback"] = .null
                #expect(try await ns.create(widgets, object).spec["fallback"] == "none")
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `unknown fields are pruned, except where they are kept`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                var object = Widget.object(
                    "a",
                    [
                        "unknown": 1, "limits": ["gpu": "1"], "extra": ["any": ["thing": [1, 2]]],
                        "template": [
                            "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "x", "labels": ["a": "b"]],
                            "spec": ["free": true],
                        ],
                    ])
                object.json["top"] = "x"
                let widget = try await ns.create(widgets, object)
                #expect(widget.json["top"] == nil && widget.spec["unknown"] == nil)
                #expect(widget.spec["limits"] == ["cpu": "1"])
                #expect(widget.spec["extra"] == ["any": ["thing": [1, 2]]])
                #expect(widget.spec[path: "template", "metadata", "labels"] == ["a": "b"])
                #expect(widget.spec[path: "template", "spec", "free"] == true)
            }
        }

        static let invalid: [(spec: JSONValue, path: String)] = [
            (["color": "mauve"], "spec.color"), (["color": 1], "spec.color"), (["size": -1], "spec.size"),
            (["size": 11], "spec.size"), (["size": "3"], "spec.size"), (["size": 1.5], "spec.size"),
            (["ratio": 0], "spec.ratio"), (["even": 3], "spec.even"), (["name": "UP"], "spec.name"),
            (["name": "a"], "spec.name"), (["name": "toolong"], "spec.name"), (["when": "today"], "spec.when"),
            (["flag": "true"], "spec.flag"), (["port": true], "spec.port"), (["port": 1.5], "spec.port"),
            (["map": ["a": "x"]], "spec.map.a"), (["map": ["a": 1, "b": 2, "c": 3]], "spec.map"),
            (["atomic": ["a", "b", "c", "d"]], "spec.atomic"), (["atomic": "a"], "spec.atomic"),
            (["tags": ["x", "x"]], "spec.tags[1]"), (["steps": [["id": "1"], ["id": "1"]]], "spec.steps[1]"),
            (["steps": [["weight": 1]]], "spec.steps[0].id"), (["choice": ["a": "1", "b": "2"]], "spec.choice"),
            (["choice": [:]], "spec.choice"),
        ]

        @Test(arguments: Definitions.Home.all)
        func `what the schema forbids is refused at its field`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                for (index, (spec, path)) in Self.invalid.enumerated() {
                    let error = await refusal { () async throws(APIError) in
                        try await ns.create(widgets, Widget.object("w\(index)", spec))
                    }
                    #expect(error.code == 422 && error.reason == "Invalid", "\(spec): \(error)")
                    // Older servers leave out the index or the key; oneOf is told in the message alone.
                    let isAt = error.causes.contains {
                        $0.path == path || $0.path == path.filter { !"[0123456789]".contains($0) }
                            || (path == "spec.map.a" && $0.path == "spec.map")
                            || (path == "spec.choice" && $0.message.contains(path))
                    }
                    #expect(isAt, "\(spec): \(error)")
                }
                let missing = await refusal { () async throws(APIError) in
                    try await ns.create(widgets, KubeObject(json: ["metadata": ["name": "m"], "spec": [:]]))
                }
                #expect(missing.causes.contains { $0.path == "spec.color" && $0.message.contains("Required value") })
                let none = await refusal { () async throws(APIError) in
                    try await ns.create(widgets, KubeObject(json: ["metadata": ["name": "m"]]))
                }
                #expect(none.causes.contains { $0.path == "spec" })
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `what the schema allows is taken`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                let specs: [JSONValue] = [
                    ["port": 80], ["port": "http"], ["maybe": "x"], ["ratio": 1.5], ["ratio": 1], ["even": 4],
                    ["size": 10],
                    ["when": "2026-01-02T03:04:05Z"], ["map": ["a": 1]], ["choice": ["b": "1"]], ["name": "abcde"],
                    ["tags": []],
                ]
                for (index, spec) in specs.enumerated() {
                    try await ns.create(widgets, Widget.object("w\(index)", spec))
                }
                var null = Widget.object("null")
                null.spec["maybe"] = .null
                #expect(try await ns.create(widgets, null).spec["maybe"] == .null)
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `a status is validated as well`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                try await ns.create(widgets, Widget.object("a"))
                let error = await refusal { () async throws(APIError) in
                    try await ns.patch(.merge, widgets, "a", subresource: "status", ["status": ["size": "many"]])
                }
                #expect(error.code == 422 && error.causes.first?.path == "status.size", "\(error)")
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `rules across fields are checked with their message`(home: Definitions.Home) async throws {
            guard cluster.serves(.cel, at: home) else { return }
            try await cluster.withWidgets(at: home) { ns, widgets in
                try await ns.create(widgets, Widget.object("good", ["least": 2]))
                let error = await refusal { () async throws(APIError) in
                    try await ns.create(widgets, Widget.object("bad", ["least": 5]))
                }
                #expect(error.code == 422 && error.message.contains("least must not exceed size"), "\(error)")
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `unknown fields are an error, a warning or nothing, as the client wants`(home: Definitions.Home)
            async throws
        {
            guard cluster.serves(.fieldValidation, at: home) else { return }
            try await cluster.withWidgets(at: home) { ns, widgets in
                let error = await refusal { () async throws(APIError) in
                    try await ns.create(widgets, Widget.object("a", ["unknown": 1]), ["fieldValidation": "Strict"])
                }
                #expect(error.code == 400 && error.message.contains("unknown field \"spec.unknown\""), "\(error)")
                try await ns.create(widgets, Widget.object("b", ["unknown": 1]), ["fieldValidation": "Ignore"])
                let door = try #require(cluster.definitions.doors[home])
                var object = Widget.object("c", ["unknown": 1])
                object.json["apiVersion"] = .string(widgets.apiVersion)
                let answer = try await door(
                    .POST, widgets.path(namespace: ns.name) + "?fieldValidation=Warn", body: object.json.serialized())
                #expect(
                    answer.code == 201 && answer.values("Warning") == ["299 - \"unknown field \\\"spec.unknown\\\"\""])
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `declared fields can be selected by`(home: Definitions.Home) async throws {
            guard cluster.serves(.selectableFields, at: home) else { return }
            try await cluster.withWidgets(at: home) { ns, widgets in
                try await ns.create(widgets, Widget.object("a"))
                try await ns.create(widgets, Widget.object("b", ["color": "blue"]))
                #expect(try await ns.names(widgets, ["fieldSelector": "spec.color=blue"]) == ["b"])
                let error = await refusal { () async throws(APIError) in
                    try await ns.list(widgets, ["fieldSelector": "spec.size=3"])
                }
                #expect(error.code == 400)
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `a watch sees custom resources as any other`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                var watch = try await ns.watch(widgets, since: try await ns.version(widgets))
                try await ns.create(widgets, Widget.object("a"))
                try await ns.patch(.merge, widgets, "a", ["spec": ["color": "blue"]])
                try await ns.delete(widgets, "a")
                let seen = try await watch.take(3)
                #expect(seen == ["ADDED a", "MODIFIED a", "DELETED a"])
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `a table has the declared columns`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                try await ns.create(widgets, Widget.object("a", ["name": "abc"]))
                try await ns.patch(
                    .merge, widgets, "a", subresource: "status",
                    ["status": ["conditions": [["type": "Ready", "status": "True"]]]])
                let door = try #require(cluster.definitions.doors[home])
                let table = try await door(
                    .GET, widgets.path(namespace: ns.name), accept: "application/json;as=Table;v=v1;g=meta.k8s.io"
                ).json
                #expect(table["kind"] == "Table")
                let columns = table["columnDefinitions"]?.array ?? []
                #expect(columns.compactMap { $0["name"]?.string } == ["Name", "Size", "Ready", "Age", "Detail"])
                #expect(columns[1]["description"] == "How large." && columns[4]["priority"] == 1)
                let cells = table["rows"]?[0]?["cells"]?.array ?? []
                #expect(cells.first == "a" && cells[1] == 3 && cells[2] == "True" && cells[4] == "abc")
                #expect(cells[3].string?.hasSuffix("s") == true)
            }
        }

        @Test func `a second version is served of the same objects`() async throws {
            let group = "two.\(cluster.definitions.group)"
            var definition = Widget.definition(group: group, plural: "gadgets", kind: "Gadget")
            definition.spec["versions"] = [
                Widget.version("v1", storage: true), Widget.version("v2beta1", storage: false),
            ]
            let new = GroupVersionResource(group: group, version: "v2beta1", resource: "gadgets", kind: "Gadget")
            let old = GroupVersionResource(group: group, resource: "gadgets", kind: "Gadget")
            try await cluster.definitions.install(definition, with: cluster.client)
            try await cluster.withNamespace { ns in
                var object = Widget.object("a")
                object.json["kind"] = "Gadget"
                try await ns.create(new, object)
                let seen = try await ns.get(old, "a")
                #expect(seen.apiVersion == "\(group)/v1" && seen.spec["color"] == "red")
                #expect(try await ns.get(new, "a").apiVersion == "\(group)/v2beta1")
                // The definition takes its objects with it.
                try await cluster.client.delete(.customResourceDefinitions, name: "gadgets.\(group)")
                let isGone = try await eventually(within: .seconds(40)) {
                    do {
                        _ = try await cluster.client.perform(APIRequest(.list, old))
                        return false
                    } catch let error as APIError {
                        return error.code == 404
                    }
                }
                #expect(isGone)
            }
        }

        static let improper: [(path: String, change: JSONValue)] = [
            ("metadata.name", ["metadata": ["name": "wrong.example.dev"]]),
            ("spec.scope", ["spec": ["scope": "Everywhere"]]),
            ("spec.versions", ["spec": ["versions": [Widget.version("v1", storage: false)]]]),
            ("spec.versions[0].schema", ["spec": ["versions": [["name": "v1", "served": true, "storage": true]]]]),
        ]

        @Test(arguments: improper)
        func `an improper definition is refused`(path: String, change: JSONValue) async throws {
            var definition = Widget.definition(group: "bad.\(cluster.definitions.group)", plural: "bads", kind: "Bad")
            definition.json = definition.json.merging(change)
            let error = await refusal { [definition] () async throws(APIError) in
                try await cluster.client.create(
                    .customResourceDefinitions, definition, options: .init(isDryRun: true))
            }
            #expect(error.code == 422 && error.causes.contains { $0.path.hasPrefix(path) }, "\(error)")
        }
    }
}
