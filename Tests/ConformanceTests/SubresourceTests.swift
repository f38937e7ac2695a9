import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Subresources {
        let cluster = Cluster.current

        @Test(arguments: Definitions.Home.all)
        func `spec and status are written through doors of their own`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                var object = Widget.object("a")
                object.status = ["size": 9]
                var widget = try await ns.create(widgets, object)
                #expect(widget.json["status"] == nil && widget.generation == 1)

                widget.spec["color"] = "green"
                widget.status = ["size": 1]
                widget.labels = ["seen": "no"]
                let status = try await ns.update(widgets, widget, subresource: "status")
                #expect(status.status == ["size": 1] && status.spec["color"] == "red" && status.labels.isEmpty)
                #expect(status.generation == 1 && status.resourceVersion != widget.resourceVersion)

                var main = status
                main.spec["color"] = "blue"
                main.status = ["size": 7]
                main = try await ns.update(widgets, main)
                #expect(main.spec["color"] == "blue" && main.status == ["size": 1] && main.generation == 2)

                let patched = try await ns.patch(
                    .merge, widgets, "a", subresource: "status", ["status": ["size": 3], "spec": ["color": "red"]])
                #expect(patched.status == ["size": 3] && patched.spec["color"] == "blue" && patched.generation == 2)
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `the generation counts changes of the intent only`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                #expect(try await ns.create(widgets, Widget.object("a")).generation == 1)
                var widget = try await ns.patch(.merge, widgets, "a", ["metadata": ["labels": ["x": "y"]]])
                #expect(widget.generation == 1)
                widget = try await ns.patch(.merge, widgets, "a", ["spec": ["color": "red"]])
                #expect(widget.generation == 1)
                widget = try await ns.patch(.merge, widgets, "a", ["spec": ["color": "blue"]])
                #expect(widget.generation == 2)
            }
        }

        @Test func `a Deployment's generation and status follow the same rule`() async throws {
            try await cluster.withNamespace { ns in
                let made = try await ns.create(.deployments, Objects.deployment())
                #expect(made.generation == 1)
                let paused = try await ns.patch(.merge, .deployments, "web", ["spec": ["paused": true]])
                #expect(paused.generation == 2)
                let status = try await ns.patch(
                    .merge, .deployments, "web", subresource: "status",
                    ["spec": ["paused": false], "status": ["collisionCount": 7]])
                #expect(status.spec["paused"] == true && status.generation == 2)
                #expect(status.status["collisionCount"] == 7)
                let main = try await ns.patch(.merge, .deployments, "web", ["status": ["collisionCount": 8]])
                #expect(main.status["collisionCount"] == 7)
            }
        }

        @Test func `a kind without status has no such door`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.configMap("a")
                let error = await refusal { () async throws(APIError) in
                    try await ns.patch(.merge, .configMaps, "a", subresource: "status", [:])
                }
                #expect(error.code == 404 || error.code == 405, "\(error)")
                let plain = cluster.definitions.plain
                try await ns.create(plain, KubeObject(plain, name: "p"))
                let missing = await refusal { () async throws(APIError) in
                    try await ns.patch(.merge, plain, "p", subresource: "status", ["status": [:]])
                }
                #expect(missing.code == 404)
            }
        }

        @Test func `a custom resource without the door keeps its status with the rest`() async throws {
            try await cluster.withNamespace { ns in
                let plain = cluster.definitions.plain
                var object = KubeObject(plain, name: "p")
                object.status = ["x": 1]
                let made = try await ns.create(plain, object)
                #expect(made.status == ["x": 1] && made.generation == 1)
                let changed = try await ns.patch(.merge, plain, "p", ["status": ["x": 2]])
                #expect(changed.generation == 2)
            }
        }

        @Test func `scale reads and writes a Deployment's size`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.deployments, Objects.deployment(replicas: 0))
                let scale = try await cluster.client.scale(.deployments, namespace: ns.name, name: "web")
                #expect(scale.desired == 0 && scale.selector == "app=web")
                let set = try await cluster.client.setScale(
                    .deployments, namespace: ns.name, name: "web", replicas: 2)
                #expect(set.desired == 2)
                let deployment = try await ns.get(.deployments, "web")
                #expect(deployment.spec["replicas"] == 2 && deployment.generation == 2)
                let view = try await ns.client.perform(
                    APIRequest(.get, .deployments, namespace: ns.name, name: "web", subresource: "scale"))
                #expect(view["kind"] == "Scale" && view["apiVersion"] == "autoscaling/v1")
                #expect(view[path: "metadata", "uid"]?.string == deployment.uid)
            }
        }

        @Test func `a scale of an old version conflicts, a negative one is refused`() async throws {
            try await cluster.withNamespace { ns in
                let old = try await ns.create(.replicaSets, replicaSet())
                try await ns.patch(.merge, .replicaSets, "rs", ["metadata": ["annotations": ["x": "y"]]])
                func put(_ replicas: Int, _ version: String?) async -> APIError {
                    var scale: JSONValue = [
                        "apiVersion": "autoscaling/v1", "kind": "Scale",
                        "metadata": ["name": "rs", "namespace": .string(ns.name)],
                        "spec": ["replicas": .int(replicas)],
                    ]
                    if let version { scale[path: "metadata", "resourceVersion"] = .string(version) }
                    let body = scale
                    return await refusal { () async throws(APIError) in
                        try await ns.client.perform(
                            APIRequest(
                                .update, .replicaSets, namespace: ns.name, name: "rs", subresource: "scale", body: body)
                        )
                    }
                }
                #expect(await put(1, old.resourceVersion).isConflict)
                let negative = await put(-1, nil)
                #expect(negative.code == 422 && negative.causes.first?.path == "spec.replicas", "\(negative)")
            }
        }

        private func replicaSet() -> KubeObject {
            var object = KubeObject(.replicaSets, name: "rs")
            object.spec = Objects.deployment("rs").spec
            object.spec["replicas"] = 0
            return object
        }

        @Test(arguments: Definitions.Home.all)
        func `scale finds a custom resource's numbers by its paths`(home: Definitions.Home) async throws {
            try await cluster.withWidgets(at: home) { ns, widgets in
                try await ns.create(widgets, Widget.object("a", ["size": 4]))
                try await ns.patch(
                    .merge, widgets, "a", subresource: "status", ["status": ["size": 2, "selector": "app=a"]])
                let scale = try await ns.client.scale(widgets, namespace: ns.name, name: "a")
                #expect(scale.desired == 4 && scale.current == 2 && scale.selector == "app=a")
                try await ns.client.setScale(widgets, namespace: ns.name, name: "a", replicas: 5)
                #expect(try await ns.get(widgets, "a").spec["size"] == 5)
                let beyond = await refusal { () async throws(APIError) in
                    try await ns.client.setScale(widgets, namespace: ns.name, name: "a", replicas: 50)
                }
                #expect(beyond.code == 422, "\(beyond)")
            }
        }

        @Test func `a budget that allows nothing blocks an eviction`() async throws {
            guard cluster.serves(.controllers) else { return }
            try await cluster.withNamespace { ns in
                try await ns.awaitServiceAccount()
                try await ns.create(.pods, Objects.pod("free", labels: ["app": "free"]))
                try await ns.create(.pods, Objects.pod("kept", labels: ["app": "kept"]))
                let isV1 = cluster.serves(.policyV1)
                let budgets = GroupVersionResource(
                    group: "policy", version: isV1 ? "v1" : "v1beta1", resource: "poddisruptionbudgets",
                    kind: "PodDisruptionBudget")
                var budget = KubeObject(budgets, name: "kept")
                budget.spec = ["minAvailable": 1, "selector": ["matchLabels": ["app": "kept"]]]
                try await ns.create(budgets, budget)
                // Both are running and ready, as a node would say.
                for name in ["free", "kept"] {
                    try await ns.patch(
                        .merge, .pods, name, subresource: "status",
                        ["status": ["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]]])
                }
                let isCounted = try await eventually {
                    let status = try await ns.get(budgets, "kept").status
                    return status["currentHealthy"] == 1 && status["disruptionsAllowed"] == 0
                }
                #expect(isCounted)
                func evict(_ pod: String) async throws -> EvictionOutcome {
                    try await ns.client.evict(
                        apiVersion: isV1 ? "policy/v1" : "policy/v1beta1", namespace: ns.name, pod: pod, uid: nil,
                        gracePeriodSeconds: 0, isDryRun: false)
                }
                #expect(try await evict("free") == .evicted)
                #expect(try await ns.isGone(.pods, "free"))
                guard case .blocked(let message, _) = try await evict("kept") else {
                    Issue.record("the eviction was not blocked")
                    return
                }
                #expect(message.contains("disruption budget"))
                #expect(try await evict("none") == .gone)
            }
        }
    }
}
