import Foundation
import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Deletions {
        let cluster = Cluster.current

        @Test func `a deletion says what has gone`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.configMap("a")
                let status = try await ns.delete(.configMaps, "a")
                #expect(status["kind"] == "Status" && status["status"] == "Success")
                #expect(status[path: "details", "name"] == "a" && status[path: "details", "kind"] == "configmaps")
                #expect(status[path: "details", "uid"]?.string == object.uid)
                #expect(await refusal { () async throws(APIError) in try await ns.delete(.configMaps, "a") }.isNotFound)
                // A new object of the name is another one.
                #expect(try await ns.configMap("a").uid != object.uid)
            }
        }

        @Test func `preconditions must hold`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.configMap("a")
                for preconditions: JSONValue in [
                    ["uid": "00000000-0000-0000-0000-000000000000"], ["resourceVersion": "1"],
                ] {
                    let error = await refusal { () async throws(APIError) in
                        try await ns.delete(.configMaps, "a", ["preconditions": preconditions])
                    }
                    #expect(error.code == 409 && error.reason == "Conflict", "\(error)")
                }
                try await ns.delete(
                    .configMaps, "a",
                    [
                        "preconditions": [
                            "uid": .string(object.uid), "resourceVersion": .string(object.resourceVersion),
                        ]
                    ])
                #expect(try await ns.find(.configMaps, "a") == nil)
            }
        }

        @Test func `a collection is deleted by selector`() async throws {
            try await cluster.withNamespace { ns in
                for name in ["a", "b"] { try await ns.configMap(name, labels: ["go": "yes"]) }
                try await ns.configMap("c")
                _ = try await ns.client.perform(
                    APIRequest(.deleteCollection, .configMaps, namespace: ns.name, query: ["labelSelector": "go=yes"]))
                let left = try await ns.names(.configMaps)
                #expect(left.contains("c") && !left.contains("a") && !left.contains("b"))
            }
        }

        @Test func `an object with a finalizer waits for its removal`() async throws {
            try await cluster.withNamespace { ns in
                var object = Objects.configMap("a", ["k": "v"])
                object.finalizers = ["heddle.dev/hold"]
                try await ns.create(.configMaps, object)
                var watch = try await ns.watch(
                    .configMaps, since: try await ns.version(.configMaps), ["fieldSelector": "metadata.name=a"])
                try await ns.delete(.configMaps, "a")
                let marked = try await ns.get(.configMaps, "a")
                #expect(marked.isBeingDeleted && marked.json[path: "metadata", "deletionGracePeriodSeconds"] == 0)
                try await ns.delete(.configMaps, "a")
                #expect(try await ns.get(.configMaps, "a") == marked)
                // It may still be changed, but no new finalizer may hold it.
                try await ns.patch(.merge, .configMaps, "a", ["data": ["k": "w"]])
                let error = await refusal { () async throws(APIError) in
                    try await ns.patch(
                        .merge, .configMaps, "a",
                        ["metadata": ["finalizers": ["heddle.dev/hold", "heddle.dev/more"]]])
                }
                #expect(error.code == 422 && error.causes.first?.path == "metadata.finalizers", "\(error)")
                try await ns.patch(.merge, .configMaps, "a", ["metadata": ["finalizers": []]])
                #expect(try await ns.find(.configMaps, "a") == nil)
                let seen = try await watch.take(3)
                #expect(seen == ["MODIFIED a", "MODIFIED a", "DELETED a"])
            }
        }

        @Test func `a deletion cannot be taken back`() async throws {
            try await cluster.withNamespace { ns in
                var object = Objects.configMap("a")
                object.finalizers = ["heddle.dev/hold"]
                try await ns.create(.configMaps, object)
                try await ns.delete(.configMaps, "a")
                _ = try? await ns.patch(.merge, .configMaps, "a", ["metadata": ["deletionTimestamp": .null]])
                #expect(try await ns.get(.configMaps, "a").isBeingDeleted)
                try await ns.patch(.merge, .configMaps, "a", ["metadata": ["finalizers": .null]])
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `custom resources wait for finalizers too`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                var widget = Widget.object("a")
                widget.finalizers = ["heddle.dev/hold"]
                try await ns.create(widgets, widget)
                try await ns.delete(widgets, "a")
                let marked = try await ns.get(widgets, "a")
                #expect(marked.isBeingDeleted && marked.generation == 2)
                try await ns.patch(.json, widgets, "a", [["op": "remove", "path": "/metadata/finalizers"]])
                #expect(try await ns.find(widgets, "a") == nil)
            }
        }

        @Test func `a pod on a node gets its grace period, one without goes at once`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.awaitServiceAccount()
                try await ns.create(.pods, Objects.pod("free"))
                try await ns.delete(.pods, "free")
                #expect(try await ns.find(.pods, "free") == nil)

                try await ns.create(.pods, Objects.pod("bound", node: "nowhere"))
                let before = try await ns.get(.pods, "bound")
                try await ns.delete(.pods, "bound")
                let marked = try await ns.get(.pods, "bound")
                #expect(marked.isBeingDeleted && marked.json[path: "metadata", "deletionGracePeriodSeconds"] == 30)
                let ends = try #require(marked.deletionTimestamp)
                let made = try #require(before.creationTimestamp)
                #expect(ends.timeIntervalSince(made) >= 30)
                // Shorter is possible, longer is not.
                try await ns.delete(.pods, "bound", ["gracePeriodSeconds": 5])
                #expect(try await ns.get(.pods, "bound").json[path: "metadata", "deletionGracePeriodSeconds"] == 5)
                try await ns.delete(.pods, "bound", ["gracePeriodSeconds": 60])
                #expect(try await ns.get(.pods, "bound").json[path: "metadata", "deletionGracePeriodSeconds"] == 5)
                try await ns.delete(.pods, "bound", ["gracePeriodSeconds": 0])
                #expect(try await ns.find(.pods, "bound") == nil)
            }
        }

        @Test func `an unknown propagation is refused`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.configMap("a")
                let error = await refusal { () async throws(APIError) in
                    try await ns.delete(.configMaps, "a", ["propagationPolicy": "Sideways"])
                }
                #expect(error.code == 422, "\(error)")
                #expect(try await ns.find(.configMaps, "a") != nil)
            }
        }
    }

    @Suite struct Owners {
        let cluster = Cluster.current

        private func owned(_ name: String, by owner: KubeObject, blocks: Bool = false) -> KubeObject {
            var object = Objects.configMap(name)
            object.json[path: "metadata", "ownerReferences"] = [owner.owner(blocks: blocks)]
            return object
        }

        @Test func `what only a deleted object owned is collected`() async throws {
            guard cluster.serves(.controllers) else { return }
            try await cluster.withNamespace { ns in
                let one = try await ns.configMap("one")
                let two = try await ns.configMap("two")
                try await ns.create(.configMaps, owned("child", by: one))
                var shared = owned("shared", by: one)
                shared.json[path: "metadata", "ownerReferences"] = [one.owner(), two.owner()]
                try await ns.create(.configMaps, shared)
                try await ns.create(.configMaps, owned("grandchild", by: try await ns.get(.configMaps, "child")))
                try await ns.delete(.configMaps, "one", ["propagationPolicy": "Background"])
                #expect(try await ns.find(.configMaps, "one") == nil)
                #expect(try await ns.isGone(.configMaps, "child"))
                #expect(try await ns.isGone(.configMaps, "grandchild"))
                #expect(try await ns.find(.configMaps, "shared") != nil)
                try await ns.delete(.configMaps, "two", ["propagationPolicy": "Background"])
                #expect(try await ns.isGone(.configMaps, "shared"))
            }
        }

        @Test func `in the foreground the owner goes last`() async throws {
            guard cluster.serves(.controllers) else { return }
            try await cluster.withNamespace { ns in
                let owner = try await ns.configMap("owner")
                var child = owned("child", by: owner, blocks: true)
                child.finalizers = ["heddle.dev/hold"]
                try await ns.create(.configMaps, child)
                try await ns.delete(.configMaps, "owner", ["propagationPolicy": "Foreground"])
                let marked = try await ns.get(.configMaps, "owner")
                #expect(marked.isBeingDeleted && marked.finalizers == ["foregroundDeletion"])
                let isChildMarked = try await eventually(within: .seconds(40)) {
                    try await ns.get(.configMaps, "child").isBeingDeleted
                }
                #expect(isChildMarked)
                #expect(try await ns.find(.configMaps, "owner") != nil)
                try await ns.patch(.merge, .configMaps, "child", ["metadata": ["finalizers": .null]])
                #expect(try await ns.isGone(.configMaps, "owner"))
                #expect(try await ns.find(.configMaps, "child") == nil)
            }
        }

        @Test func `orphans stay and name the owner no more`() async throws {
            guard cluster.serves(.controllers) else { return }
            try await cluster.withNamespace { ns in
                let owner = try await ns.configMap("owner")
                try await ns.create(.configMaps, owned("child", by: owner))
                try await ns.delete(.configMaps, "owner", ["propagationPolicy": "Orphan"])
                #expect(try await ns.isGone(.configMaps, "owner"))
                #expect(try await ns.get(.configMaps, "child").ownerReferences.isEmpty)
            }
        }

        @Test func `what names an owner that never was is collected`() async throws {
            guard cluster.serves(.controllers) else { return }
            try await cluster.withNamespace { ns in
                var ghost = try await ns.configMap("ghost")
                ghost.json[path: "metadata", "uid"] = "00000000-0000-0000-0000-000000000000"
                try await ns.create(.configMaps, owned("child", by: ghost))
                #expect(try await ns.isGone(.configMaps, "child"))
                #expect(try await ns.find(.configMaps, "ghost") != nil)
            }
        }

        @Test func `an owner of a custom kind counts as any other`() async throws {
            guard cluster.serves(.controllers) else { return }
            try await cluster.withNamespace { ns in
                let owner = try await ns.create(cluster.definitions.widgets, Widget.object("owner"))
                try await ns.create(.configMaps, owned("child", by: owner))
                try await ns.delete(cluster.definitions.widgets, "owner", ["propagationPolicy": "Background"])
                #expect(try await ns.isGone(.configMaps, "child", within: 60))
            }
        }

        @Test func `owner references are validated`() async throws {
            try await cluster.withNamespace { ns in
                let owner = try await ns.configMap("owner")
                var two = owned("child", by: owner)
                var reference = owner.owner()
                reference["controller"] = true
                var second = reference
                second["uid"] = "00000000-0000-0000-0000-000000000000"
                two.json[path: "metadata", "ownerReferences"] = [reference, second]
                let error = await refusal { [two] () async throws(APIError) in try await ns.create(.configMaps, two) }
                #expect(error.code == 422 && error.causes.first?.path == "metadata.ownerReferences", "\(error)")
                var empty = owned("child", by: owner)
                empty.json[path: "metadata", "ownerReferences"] = [
                    ["apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": ""]
                ]
                let missing = await refusal { [empty] () async throws(APIError) in
                    try await ns.create(.configMaps, empty)
                }
                #expect(missing.code == 422, "\(missing)")
            }
        }
    }
}
