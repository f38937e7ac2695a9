import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Patches {
        let cluster = Cluster.current

        // MARK: - JSON patch

        @Test func `a JSON patch does its operations in order`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.configMap("a", ["one": "1", "two": "2"])
                try await ns.patch(.merge, .configMaps, "a", ["metadata": ["annotations": ["a/b": "x", "c": "y"]]])
                let patched = try await ns.patch(
                    .json, .configMaps, "a",
                    [
                        ["op": "test", "path": "/data/one", "value": "1"],
                        ["op": "replace", "path": "/data/one", "value": "eins"],
                        ["op": "remove", "path": "/metadata/annotations/a~1b"],
                        ["op": "move", "from": "/data/two", "path": "/data/zwei"],
                        ["op": "copy", "from": "/data/one", "path": "/data/uno"],
                        ["op": "add", "path": "/metadata/labels", "value": ["l": "v"]],
                    ])
                #expect(patched.json["data"] == ["one": "eins", "zwei": "2", "uno": "eins"])
                #expect(patched.labels == ["l": "v"] && patched.annotations == ["c": "y"])
            }
        }

        @Test func `a JSON patch that cannot be done changes nothing`() async throws {
            try await cluster.withNamespace { ns in
                let before = try await ns.configMap("a", ["k": "v"])
                for operations: JSONValue in [
                    [
                        ["op": "replace", "path": "/data/k", "value": "w"],
                        ["op": "test", "path": "/data/k", "value": "v"],
                    ],
                    [["op": "remove", "path": "/data/none"]], [["op": "add", "path": "/none/deep", "value": 1]],
                ] {
                    let error = await refusal { () async throws(APIError) in
                        try await ns.patch(.json, .configMaps, "a", operations)
                    }
                    #expect(error.code == 422 && error.reason == "Invalid", "\(operations): \(error)")
                }
                let malformed = await refusal { () async throws(APIError) in
                    try await ns.patch(.json, .configMaps, "a", ["op": "add"])
                }
                #expect(malformed.code == 400, "\(malformed)")
                #expect(try await ns.get(.configMaps, "a") == before)
            }
        }

        @Test func `a JSON patch adds to and removes from lists by index`() async throws {
            try await cluster.withNamespace { ns in
                var object = Objects.configMap("a")
                object.finalizers = ["heddle.dev/a", "heddle.dev/c"]
                try await ns.create(.configMaps, object)
                var patched = try await ns.patch(
                    .json, .configMaps, "a",
                    [
                        ["op": "add", "path": "/metadata/finalizers/1", "value": "heddle.dev/b"],
                        ["op": "add", "path": "/metadata/finalizers/-", "value": "heddle.dev/d"],
                    ])
                #expect(patched.finalizers.map { $0.suffix(1) } == ["a", "b", "c", "d"])
                patched = try await ns.patch(
                    .json, .configMaps, "a", [["op": "remove", "path": "/metadata/finalizers"]])
                #expect(patched.finalizers.isEmpty)
            }
        }

        // MARK: - Merge patch

        @Test func `a merge patch sets members, removes nulls and replaces lists`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.deployments, Objects.deployment())
                let patched = try await ns.patch(
                    .merge, .deployments, "web",
                    [
                        "metadata": ["annotations": ["x": "y"]],
                        "spec": [
                            "revisionHistoryLimit": 3,
                            "template": [
                                "spec": ["containers": [["name": "other", "image": "registry.invalid/other:1"]]]
                            ],
                        ],
                    ])
                #expect(patched.annotations["x"] == "y" && patched.spec["revisionHistoryLimit"] == 3)
                let containers = patched.spec[path: "template", "spec", "containers"]?.array
                #expect(containers?.count == 1 && containers?.first?["env"] == nil)
                let removed = try await ns.patch(
                    .merge, .deployments, "web",
                    ["metadata": ["annotations": .null], "spec": ["revisionHistoryLimit": .null]])
                #expect(removed.annotations["x"] == nil)
                // A removed field that has a default gets it again.
                #expect(removed.spec["revisionHistoryLimit"] == 10)
            }
        }

        @Test func `a patch may name the version that it relies on`() async throws {
            try await cluster.withNamespace { ns in
                let old = try await ns.configMap("a")
                let new = try await ns.patch(
                    .merge, .configMaps, "a",
                    ["metadata": ["resourceVersion": .string(old.resourceVersion)], "data": ["k": "v"]])
                for type in [APIRequest.PatchType.merge, .strategic] {
                    let error = await refusal { () async throws(APIError) in
                        try await ns.patch(
                            type, .configMaps, "a",
                            ["metadata": ["resourceVersion": .string(old.resourceVersion)], "data": ["k": "w"]])
                    }
                    #expect(error.isConflict && error.reason == "Conflict", "\(type)")
                }
                #expect(try await ns.get(.configMaps, "a") == new)
            }
        }

        @Test func `a patch cannot rename, nor make, an object`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.configMap("a")
                let renamed = await refusal { () async throws(APIError) in
                    try await ns.patch(.merge, .configMaps, "a", ["metadata": ["name": "b"]])
                }
                #expect(renamed.code == 400 || renamed.code == 422, "\(renamed)")
                #expect(
                    await refusal { () async throws(APIError) in
                        try await ns.patch(.strategic, .configMaps, "none", ["data": ["k": "v"]])
                    }.isNotFound)
            }
        }

        // MARK: - Strategic merge patch

        private func template(_ change: JSONValue) -> JSONValue { ["spec": ["template": ["spec": change]]] }

        private func patched(_ change: JSONValue) async throws -> JSONValue {
            try await cluster.withNamespace { ns in
                try await ns.create(.deployments, Objects.deployment())
                let deployment = try await ns.patch(.strategic, .deployments, "web", change)
                return deployment.spec[path: "template", "spec"] ?? [:]
            }
        }

        @Test func `containers, variables and ports merge by their keys`() async throws {
            let pod = try await patched(
                template([
                    "containers": [
                        [
                            "name": "app", "env": [["name": "B", "value": "2"]],
                            "ports": [["containerPort": 81, "name": "more"]],
                        ],
                        ["name": "side", "image": "registry.invalid/side:1"],
                    ]
                ]))
            let app = pod["containers"]?.array?.first { $0["name"] == "app" }
            #expect(pod["containers"]?.array?.count == 2 && app?["image"] == "registry.invalid/app:1")
            #expect(Set(app?["env"]?.array?.compactMap { $0["name"]?.string } ?? []) == ["A", "B"])
            #expect(Set(app?["ports"]?.array?.compactMap { $0["containerPort"]?.int } ?? []) == [80, 81])
        }

        @Test func `an element is deleted by directive`() async throws {
            let pod = try await patched(
                template(["containers": [["name": "app", "env": [["name": "A", "$patch": "delete"]]]]]))
            #expect(pod["containers"]?[0]?["env"] == nil && pod["containers"]?[0]?["ports"]?.array?.count == 1)
        }

        @Test func `a list is replaced by directive`() async throws {
            let pod = try await patched(
                template([
                    "containers": [["$patch": "replace"], ["name": "new", "image": "registry.invalid/new:1"]]
                ]))
            #expect(pod["containers"]?.array?.count == 1 && pod["containers"]?[0]?["name"] == "new")
            #expect(pod["containers"]?[0]?["env"] == nil)
        }

        @Test func `an object is replaced by directive`() async throws {
            let pod = try await patched(
                template(["securityContext": ["runAsUser": 1, "$patch": "replace"]]))
            #expect(pod["securityContext"] == ["runAsUser": 1])
        }

        @Test func `an element with the directive replaces the whole list, and is not of it`() async throws {
            let pod = try await patched(
                template([
                    "containers": [
                        ["name": "app", "$patch": "replace", "image": "registry.invalid/lost:1"],
                        ["name": "only", "image": "registry.invalid/only:1"],
                    ]
                ]))
            #expect(pod["containers"]?.array?.compactMap { $0["name"]?.string } == ["only"])
        }

        @Test func `the order of elements is set by directive`() async throws {
            let pod = try await patched(
                template([
                    "$setElementOrder/containers": [["name": "first"], ["name": "app"]],
                    "containers": [["name": "first", "image": "registry.invalid/first:1"]],
                ]))
            #expect(pod["containers"]?.array?.compactMap { $0["name"]?.string } == ["first", "app"])
        }

        @Test func `retained keys remove their siblings`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.deployments, Objects.deployment())
                let deployment = try await ns.patch(
                    .strategic, .deployments, "web",
                    ["spec": ["strategy": ["$retainKeys": ["type"], "type": "Recreate"]]])
                #expect(deployment.spec["strategy"] == ["type": "Recreate"])
            }
        }

        @Test func `finalizers merge as a set and leave by directive`() async throws {
            try await cluster.withNamespace { ns in
                var object = Objects.configMap("a")
                object.finalizers = ["heddle.dev/a"]
                try await ns.create(.configMaps, object)
                var patched = try await ns.patch(
                    .strategic, .configMaps, "a", ["metadata": ["finalizers": ["heddle.dev/b", "heddle.dev/a"]]])
                #expect(Set(patched.finalizers) == ["heddle.dev/a", "heddle.dev/b"])
                patched = try await ns.patch(
                    .strategic, .configMaps, "a",
                    ["metadata": ["$deleteFromPrimitiveList/finalizers": ["heddle.dev/a", "heddle.dev/b"]]])
                #expect(patched.finalizers.isEmpty)
            }
        }

        @Test func `lists without a key are replaced, maps are merged`() async throws {
            try await cluster.withNamespace { ns in
                var object = Objects.deployment()
                object.json.set(
                    ["disktype": "ssd"], at: ["spec", "template", "spec", "nodeSelector"])
                object.json.set([["key": "a", "operator": "Exists"]], at: ["spec", "template", "spec", "tolerations"])
                try await ns.create(.deployments, object)
                let deployment = try await ns.patch(
                    .strategic, .deployments, "web",
                    template([
                        "nodeSelector": ["zone": "z"], "tolerations": [["key": "b", "operator": "Exists"]],
                    ]))
                let pod = deployment.spec[path: "template", "spec"]
                #expect(pod?["nodeSelector"] == ["disktype": "ssd", "zone": "z"])
                #expect(pod?["tolerations"] == [["key": "b", "operator": "Exists"]])
            }
        }

        @Test func `a Service's ports merge by number, owners by uid`() async throws {
            try await cluster.withNamespace { ns in
                let owner = try await ns.configMap("owner")
                try await ns.create(.services, Objects.service("s"))
                var service = try await ns.patch(
                    .strategic, .services, "s",
                    ["spec": ["ports": [["port": 80, "name": "web"], ["port": 81, "name": "more"]]]])
                #expect(service.spec["ports"]?.array?.count == 2)
                #expect(service.spec["ports"]?.array?.first { $0["port"] == 80 }?["name"] == "web")
                for _ in 0..<2 {
                    service = try await ns.patch(
                        .strategic, .services, "s", ["metadata": ["ownerReferences": [owner.owner()]]])
                }
                #expect(service.ownerReferences.count == 1)
                service = try await ns.patch(
                    .strategic, .services, "s",
                    ["metadata": ["ownerReferences": [["$patch": "delete", "uid": .string(owner.uid)]]]])
                #expect(service.ownerReferences.isEmpty)
            }
        }

        @Test func `conditions merge by type in a status`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.awaitServiceAccount()
                try await ns.create(.pods, Objects.pod("p"))
                for (type, status) in [("A", "True"), ("B", "True"), ("A", "False")] {
                    try await ns.patch(
                        .strategic, .pods, "p", subresource: "status",
                        [
                            "status": [
                                "conditions": [["type": .string("heddle.dev/" + type), "status": .string(status)]]
                            ]
                        ])
                }
                let conditions = try await ns.get(.pods, "p").status["conditions"]?.array ?? []
                let own = conditions.filter { $0["type"]?.string?.hasPrefix("heddle.dev/") == true }
                #expect(own.count == 2 && own.first { $0["type"] == "heddle.dev/A" }?["status"] == "False")
            }
        }

        @Test func `an element without its key is refused`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.deployments, Objects.deployment())
                let error = await refusal { () async throws(APIError) in
                    try await ns.patch(
                        .strategic, .deployments, "web", template(["containers": [["image": "registry.invalid/x:1"]]]))
                }
                #expect([400, 422, 500].contains(error.code) && error.message.contains("merge key"), "\(error)")
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `custom resources take no strategic patch`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                try await ns.create(widgets, Widget.object("a"))
                let error = await refusal { () async throws(APIError) in
                    try await ns.patch(.strategic, widgets, "a", ["spec": ["color": "green"]])
                }
                #expect(error.code == 415 && error.reason == "UnsupportedMediaType", "\(error)")
            }
        }

        @Test func `a patch of an unknown type is refused`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.configMap("a")
                let answer = try await cluster.http(
                    .PATCH, "/api/v1/namespaces/\(ns.name)/configmaps/a", type: "application/json", body: "{}")
                #expect(answer.code == 415 && answer.json["reason"] == "UnsupportedMediaType")
            }
        }
    }
}
