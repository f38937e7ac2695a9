import FoundationEssentials
import KubeCore
import Testing

@testable import KubeSandbox

/// What a real API server does to objects on their way in and out.
struct APIServerObjectTests {
    let api = APIServer()

    @Test func `a created object has identity, generation and defaults`() async throws {
        let made = try await api.create(.deployments, deployment())
        #expect(!made.uid.isEmpty)
        #expect(made.creationTimestamp != nil)
        #expect(made.generation == 1)
        #expect(made.json[path: "spec", "strategy", "rollingUpdate", "maxSurge"] == "25%")
        #expect(made.json[path: "spec", "progressDeadlineSeconds"] == 600)
        let container = made.json[path: "spec", "template", "spec", "containers"]?[0]
        #expect(container?["imagePullPolicy"] == "IfNotPresent")
        #expect(made.json[path: "spec", "template", "spec", "terminationGracePeriodSeconds"] == 30)
    }

    @Test func `a generated name is unique and keeps its prefix`() async throws {
        var object = configMap("")
        object.json["metadata"] = ["generateName": "run-", "namespace": "default"]
        let first = try await api.create(.configMaps, object)
        let second = try await api.create(.configMaps, object)
        #expect(first.name.hasPrefix("run-") && first.name.count == 9)
        #expect(first.name != second.name)
    }

    @Test func `only a change of intent raises the generation and no change writes nothing`() async throws {
        var object = try await api.create(.deployments, deployment())
        let same = try await api.update(.deployments, object)
        #expect(same.resourceVersion == object.resourceVersion)

        object.labels = ["team": "shop"]
        object = try await api.update(.deployments, object)
        #expect(object.generation == 1)

        object.spec["replicas"] = 4
        object.status = ["replicas": 9]
        object = try await api.update(.deployments, object)
        #expect(object.generation == 2)
        #expect(object.status["replicas"] == nil)

        object.status = ["replicas": 4]
        object.spec["replicas"] = 1
        object = try await api.update(.deployments, object, subresource: "status")
        #expect(object.generation == 2)
        #expect(object.spec["replicas"] == 4)
        #expect(object.status["replicas"] == 4)
    }

    @Test func `an update of an older version is a conflict, a second creation is refused`() async throws {
        let first = try await api.create(.configMaps, configMap("a", ["k": "1"]))
        var other = first
        other.json["data"] = ["k": "2"]
        _ = try await api.update(.configMaps, other)
        other.json["data"] = ["k": "3"]
        let conflict = await refusal { () async throws(APIError) in try await api.update(.configMaps, other) }
        #expect(conflict.isConflict)
        #expect(conflict.message.contains("Operation cannot be fulfilled on configmaps \"a\""))
        let again = await refusal { () async throws(APIError) in try await api.create(.configMaps, configMap("a")) }
        #expect(again.isAlreadyExists)
        #expect(again.message == "configmaps \"a\" already exists")
    }

    @Test func `nothing is made in a namespace that is not there or is going`() async throws {
        var object = configMap("a")
        object.namespace = "nowhere"
        let missing = await refusal { () async throws(APIError) in try await api.create(.configMaps, object) }
        #expect(missing.isNotFound && missing.message == "namespaces \"nowhere\" not found")

        _ = try await api.create(.namespaces, KubeObject(.namespaces, name: "shop"))
        #expect(try await api.find(.serviceAccounts, namespace: "shop", name: "default") != nil)
        try await api.delete(.namespaces, name: "shop")
        let going = try await api.get(.namespaces, name: "shop")
        #expect(going.status["phase"] == "Terminating" && going.isBeingDeleted)
        object.namespace = "shop"
        let forbidden = await refusal { () async throws(APIError) in try await api.create(.configMaps, object) }
        #expect(forbidden.code == 403)

        var finalized = going
        finalized.json[path: "spec", "finalizers"] = []
        _ = try await api.update(.namespaces, finalized, subresource: "finalize")
        #expect(try await api.find(.namespaces, name: "shop") == nil)
    }

    @Test func `an object with finalizers stays until the last one is gone`() async throws {
        var object = configMap("a")
        object.finalizers = ["example.dev/one"]
        _ = try await api.create(.configMaps, object)
        try await api.delete(.configMaps, namespace: "default", name: "a")
        var marked = try await api.get(.configMaps, namespace: "default", name: "a")
        #expect(marked.isBeingDeleted)
        marked.finalizers = []
        _ = try await api.update(.configMaps, marked)
        #expect(try await api.find(.configMaps, namespace: "default", name: "a") == nil)
    }

    @Test func `a running pod is given its grace period and the node removes it`() async throws {
        _ = try await api.create(.pods, pod("a", node: "n1"))
        try await api.delete(.pods, namespace: "default", name: "a")
        let marked = try await api.get(.pods, namespace: "default", name: "a")
        #expect(marked.json[path: "metadata", "deletionGracePeriodSeconds"] == 30)
        // The node still reports while it stops the pod.
        let reported = try await api.patch(
            .pods, namespace: "default", name: "a", subresource: "status", ["status": ["phase": "Running"]])
        #expect(reported.isBeingDeleted)
        _ = try await api.perform(
            APIRequest(.delete, .pods, namespace: "default", name: "a", body: ["gracePeriodSeconds": 0]))
        #expect(try await api.find(.pods, namespace: "default", name: "a") == nil)

        _ = try await api.create(.pods, pod("b"))
        try await api.delete(.pods, namespace: "default", name: "b")
        #expect(try await api.find(.pods, namespace: "default", name: "b") == nil)
    }

    @Test func `a delete with another uid is refused`() async throws {
        _ = try await api.create(.configMaps, configMap("a"))
        let error = await refusal { () async throws(APIError) in
            try await api.delete(.configMaps, namespace: "default", name: "a", uid: "other")
        }
        #expect(error.isConflict)
    }

    @Test(arguments: [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
    func `the propagation policy becomes a finalizer for the collector`(policy: String, finalizer: String) async throws
    {
        _ = try await api.create(.deployments, deployment())
        try await api.delete(.deployments, namespace: "default", name: "web", propagation: policy)
        #expect(try await api.get(.deployments, namespace: "default", name: "web").finalizers == [finalizer])
    }

    @Test func `services get addresses of their own and headless ones none`() async throws {
        func service(_ name: String, _ spec: JSONValue) -> KubeObject {
            var object = KubeObject(.services, namespace: "default", name: name)
            object.spec = spec
            return object
        }
        let one = try await api.create(.services, service("one", ["ports": [["port": 80]]]))
        let two = try await api.create(.services, service("two", ["ports": [["port": 80]]]))
        let none = try await api.create(.services, service("none", ["clusterIP": "None", "ports": [["port": 80]]]))
        #expect(one.spec["clusterIP"]?.string?.hasPrefix("10.96.0.") == true)
        #expect(one.spec["clusterIP"] != two.spec["clusterIP"])
        #expect(one.spec["ports"]?[0] == ["port": 80, "protocol": "TCP", "targetPort": 80])
        #expect(none.spec["clusterIP"] == "None" && none.spec["clusterIPs"] == ["None"])
        let taken = await refusal { () async throws(APIError) in
            try await api.create(
                .services, service("three", ["clusterIP": one.spec["clusterIP"] ?? "", "ports": [["port": 80]]]))
        }
        #expect(taken.isInvalid)
        // Replacing a Service without its address keeps the address.
        let kept = try await api.update(.services, service("one", ["ports": [["port": 81]]]))
        #expect(kept.spec["clusterIP"] == one.spec["clusterIP"])
    }

    static let mistakes: [(String, @Sendable (inout KubeObject) -> Void)] = [
        ("metadata.name", { $0.name = "Not_A_Name" }),
        ("spec.template.metadata.labels", { $0.json[path: "spec", "selector", "matchLabels", "app"] = "other" }),
        ("spec.selector", { $0.json[path: "spec", "selector"] = nil }),
        ("spec.template.spec.containers", { $0.json[path: "spec", "template", "spec", "containers"] = [] }),
        (
            "spec.template.spec.containers[1].name",
            {
                $0.json[path: "spec", "template", "spec", "containers"] = [
                    ["name": "a", "image": "i"], ["name": "a", "image": "i"],
                ]
            }
        ),
        ("spec.replicas", { $0.json[path: "spec", "replicas"] = -1 }),
    ]

    @Test(arguments: mistakes.indices)
    func `a user's mistake is refused with its field`(index: Int) async throws {
        var object = deployment()
        Self.mistakes[index].1(&object)
        let error = await refusal { () async throws(APIError) in try await api.create(.deployments, object) }
        #expect(error.code == 422 && error.reason == "Invalid")
        #expect(error.causes.map(\.path).contains(Self.mistakes[index].0), "\(error)")
    }

    @Test func `the selector of a deployment is immutable`() async throws {
        var object = try await api.create(.deployments, deployment())
        object.json[path: "spec", "selector"] = ["matchLabels": ["app": "web", "x": "y"]]
        object.json[path: "spec", "template", "metadata", "labels"] = ["app": "web", "x": "y"]
        let error = await refusal { [object] () async throws(APIError) in try await api.update(.deployments, object) }
        #expect(error.message.contains("field is immutable"))
    }

    @Test func `plain secret text is stored as base64`() async throws {
        var object = KubeObject(.secrets, namespace: "default", name: "s")
        object.json["stringData"] = ["k": "hello"]
        let made = try await api.create(.secrets, object)
        #expect(made.json["data"] == ["k": "aGVsbG8="] && made.json["stringData"] == nil)
    }

    @Test func `a dry run answers and stores nothing`() async throws {
        var request = APIRequest(.create, .configMaps, namespace: "default", body: configMap("a").json)
        request.query["dryRun"] = "All"
        let answer = KubeObject(json: try await api.perform(request))
        #expect(answer.name == "a")
        #expect(try await api.find(.configMaps, namespace: "default", name: "a") == nil)
    }

    @Test func `patches of one object at the same time all arrive`() async throws {
        _ = try await api.create(.configMaps, configMap("a"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Each lost try means that another patch has won: with fewer patches than tries, none can lose them all.
            for index in 0..<15 {
                group.addTask { [api] in
                    _ = try await api.patch(
                        .configMaps, namespace: "default", name: "a", ["data": ["k\(index)": "v"]])
                }
            }
            try await group.waitForAll()
        }
        let data = try await api.get(.configMaps, namespace: "default", name: "a").json["data"]
        #expect(data?.object?.count == 15)
    }

    @Test func `events are one store under two names`() async throws {
        var event = KubeObject(.events, namespace: "default", name: "e")
        event.json["involvedObject"] = ["kind": "Pod", "name": "a"]
        event.json["message"] = "hello"
        _ = try await api.create(.events, event)
        let modern = GroupVersionResource(group: "events.k8s.io", resource: "events", kind: "Event")
        let seen = try await api.get(modern, namespace: "default", name: "e")
        #expect(
            seen.apiVersion == "events.k8s.io/v1" && seen.json["note"] == "hello"
                && seen.json["regarding"]?["name"] == "a")
        let found = try await api.list(.events, namespace: "default", fields: "involvedObject.name=a")
        #expect(found.items.count == 1)
    }

    @Test func `an eviction is refused while a budget allows none`() async throws {
        var labelled = pod("a")
        labelled.labels = ["app": "web"]
        _ = try await api.create(.pods, labelled)
        var budget = KubeObject(.podDisruptionBudgets, namespace: "default", name: "b")
        budget.spec = ["minAvailable": 1, "selector": ["matchLabels": ["app": "web"]]]
        _ = try await api.create(.podDisruptionBudgets, budget)
        func allow(_ count: Int) async throws(APIError) {
            _ = try await api.patch(
                .podDisruptionBudgets, namespace: "default", name: "b", subresource: "status",
                ["status": ["disruptionsAllowed": .int(count)]])
        }
        try await allow(0)
        let eviction = APIRequest(.create, .pods, namespace: "default", name: "a", subresource: "eviction", body: [:])
        let error = await refusal { () async throws(APIError) in try await api.perform(eviction) }
        #expect(error.code == 429)
        try await allow(1)
        _ = try await api.perform(eviction)
        #expect(try await api.find(.pods, namespace: "default", name: "a") == nil)
    }

    @Test func `scale shows and sets the replicas of a deployment`() async throws {
        _ = try await api.create(.deployments, deployment())
        let scale = APIRequest(
            .patch(.merge), .deployments, namespace: "default", name: "web", subresource: "scale",
            body: ["spec": ["replicas": 5]])
        let answer = try await api.perform(scale)
        #expect(answer["kind"] == "Scale" && answer[path: "status", "selector"] == "app=web")
        let object = try await api.get(.deployments, namespace: "default", name: "web")
        #expect(object.spec["replicas"] == 5 && object.generation == 2)
    }
}
