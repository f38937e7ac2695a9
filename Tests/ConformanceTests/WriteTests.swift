import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Writes {
        let cluster = Cluster.current

        @Test func `a created object gets identity, time and version`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.configMap("a", ["k": "v"])
                #expect(object.uid.count == 36 && object.creationTimestamp != nil)
                #expect(object.namespace == ns.name && object.kind == "ConfigMap" && object.apiVersion == "v1")
                #expect(try await ns.get(.configMaps, "a") == object)
            }
        }

        @Test func `a second object of the name is refused`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.configMap("a")
                let error = await refusal { () async throws(APIError) in try await ns.configMap("a") }
                #expect(error.code == 409 && error.isAlreadyExists && error.reason == "AlreadyExists")
                #expect(error.message == "configmaps \"a\" already exists")
            }
        }

        @Test func `an update of an old version conflicts`() async throws {
            try await cluster.withNamespace { ns in
                var old = try await ns.configMap("a")
                try await ns.patch(.merge, .configMaps, "a", ["data": ["k": "v"]])
                old.json["data"] = ["k": "w"]
                let error = await refusal { [old] () async throws(APIError) in try await ns.update(.configMaps, old) }
                #expect(error.code == 409 && error.reason == "Conflict" && error.isConflict)
                #expect(error.message.contains("the object has been modified"))
            }
        }

        @Test func `an update without a version replaces most built-in kinds unconditionally`() async throws {
            try await cluster.withNamespace { ns in
                var object = try await ns.configMap("a")
                try await ns.patch(.merge, .configMaps, "a", ["data": ["k": "v"]])
                object.resourceVersion = ""
                object.json["data"] = ["k": "w"]
                #expect(try await ns.update(.configMaps, object).json["data"] == ["k": "w"])
            }
        }

        @Test func `leases and custom resources must name the version that they replace`() async throws {
            try await cluster.withNamespace { ns in
                let widgets = cluster.definitions.widgets
                var widget = KubeObject(widgets, name: "a")
                widget.spec = ["color": "red"]
                for (resource, object) in [
                    (GroupVersionResource.leases, KubeObject(.leases, name: "a")), (widgets, widget),
                ] {
                    var created = try await ns.create(resource, object)
                    created.resourceVersion = ""
                    created.labels = ["x": "y"]
                    let error = await refusal { [created] () async throws(APIError) in
                        try await ns.update(resource, created)
                    }
                    #expect(error.code == 422 && error.causes.first?.path == "metadata.resourceVersion", "\(error)")
                }
            }
        }

        @Test func `an update of another uid conflicts`() async throws {
            try await cluster.withNamespace { ns in
                var object = try await ns.configMap("a")
                object.json[path: "metadata", "uid"] = "00000000-0000-0000-0000-000000000000"
                let error = await refusal { [object] () async throws(APIError) in
                    try await ns.update(.configMaps, object)
                }
                #expect(error.code == 409 && error.reason == "Conflict", "\(error)")
            }
        }

        @Test func `an update that changes nothing keeps the version`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.create(.deployments, Objects.deployment())
                let again = try await ns.patch(.merge, .deployments, "web", ["spec": ["paused": .null]])
                #expect(again.generation == object.generation)
                let map = try await ns.configMap("a", ["k": "v"])
                #expect(try await ns.update(.configMaps, map).resourceVersion == map.resourceVersion)
            }
        }

        @Test func `what the server sets cannot be changed`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.configMap("a")
                var changed = object
                changed.json[path: "metadata", "creationTimestamp"] = "2001-01-01T00:00:00Z"
                changed.json[path: "metadata", "generateName"] = "other-"
                changed.json["data"] = ["k": "v"]
                let stored = try await ns.update(.configMaps, changed)
                #expect(stored.creationTimestamp == object.creationTimestamp)
                #expect(stored.json["data"] == ["k": "v"])
            }
        }

        @Test func `name and namespace of body and path must agree`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.configMap("a")
                func put(_ change: (inout KubeObject) -> Void) async -> APIError {
                    var changed = object
                    change(&changed)
                    let body = changed.json
                    return await refusal { () async throws(APIError) in
                        try await ns.client.perform(
                            APIRequest(.update, .configMaps, namespace: ns.name, name: "a", body: body))
                    }
                }
                #expect(await put { $0.name = "b" }.code == 400)
                #expect(await put { $0.namespace = "elsewhere" }.code == 400)
                let other = await refusal { () async throws(APIError) in
                    try await ns.create(.configMaps, KubeObject(.configMaps, namespace: "elsewhere", name: "c"))
                }
                #expect(other.code == 400)
            }
        }

        @Test func `a missing object is not found by any verb`() async throws {
            try await cluster.withNamespace { ns in
                let missing = Objects.configMap("none")
                let calls: [(String, @Sendable () async throws(APIError) -> Void)] = [
                    ("get", { () async throws(APIError) in _ = try await ns.get(.configMaps, "none") }),
                    ("update", { () async throws(APIError) in _ = try await ns.update(.configMaps, missing) }),
                    (
                        "patch",
                        { () async throws(APIError) in _ = try await ns.patch(.merge, .configMaps, "none", [:]) }
                    ),
                    ("delete", { () async throws(APIError) in _ = try await ns.delete(.configMaps, "none") }),
                ]
                for (verb, call) in calls {
                    let error = await refusal(call)
                    #expect(error.code == 404 && error.reason == "NotFound", "\(verb): \(error)")
                    #expect(error.message == "configmaps \"none\" not found", "\(verb)")
                }
            }
        }

        @Test func `an unknown resource is not found either`() async throws {
            let unknown = GroupVersionResource(group: "none.heddle.dev", resource: "things", kind: "Thing")
            let error = await refusal { () async throws(APIError) in
                try await cluster.client.perform(APIRequest(.list, unknown))
            }
            #expect(error.code == 404 && error.isNotFound)
        }

        @Test func `a namespace must be there`() async throws {
            let error = await refusal { () async throws(APIError) in
                try await cluster.client.create(
                    .configMaps, KubeObject(.configMaps, namespace: "heddle-nowhere", name: "a"))
            }
            #expect(error.code == 404 && error.message == "namespaces \"heddle-nowhere\" not found")
        }

        @Test func `generated names have the prefix and differ`() async throws {
            try await cluster.withNamespace { ns in
                var object = KubeObject(.configMaps, name: "")
                object.json["metadata"] = ["generateName": "pre-"]
                let one = try await ns.create(.configMaps, object)
                let two = try await ns.create(.configMaps, object)
                #expect(one.name.hasPrefix("pre-") && one.name.count == 9 && one.name != two.name)
                #expect(one.json[path: "metadata", "generateName"] == "pre-")
            }
        }

        @Test(arguments: ["", "Upper", "under_score", "-dash", "dot.", "a/b", "ü"])
        func `an improper name is refused at its field`(name: String) async throws {
            try await cluster.withNamespace { ns in
                let error = await refusal { () async throws(APIError) in try await ns.configMap(name) }
                #expect(error.code == 422 && error.reason == "Invalid", "\(error)")
                #expect(error.causes.contains { $0.path.hasPrefix("metadata.name") || $0.path == "name" }, "\(error)")
            }
        }

        @Test func `improper labels are refused`() async throws {
            try await cluster.withNamespace { ns in
                for labels in [["bad key": "v"], ["key": "bad value"], ["a/b/c": "v"]] {
                    let error = await refusal { () async throws(APIError) in try await ns.configMap("a", labels: labels)
                    }
                    #expect(error.code == 422 && error.causes.first?.path == "metadata.labels", "\(error)")
                }
            }
        }

        @Test func `a body of another kind, or none, is refused`() async throws {
            try await cluster.withNamespace { ns in
                let path = "/api/v1/namespaces/\(ns.name)/configmaps"
                for body in [
                    "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}", "{\"kind\":", "[]", "",
                ] {
                    let answer = try await cluster.http(.POST, path, body: body)
                    #expect(answer.code == 400 || answer.code == 415, "\(body): \(answer.code)")
                    #expect(answer.json["kind"] == "Status", "\(body)")
                }
            }
        }

        @Test func `YAML is taken as well as JSON`() async throws {
            try await cluster.withNamespace { ns in
                let answer = try await cluster.http(
                    .POST, "/api/v1/namespaces/\(ns.name)/configmaps", type: "application/yaml",
                    body: "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-yaml\ndata:\n  k: \"1\"\n")
                #expect(answer.code == 201 && answer.json["data"] == ["k": "1"])
            }
        }

        @Test func `a type that cannot be read is unsupported`() async throws {
            try await cluster.withNamespace { ns in
                let answer = try await cluster.http(
                    .POST, "/api/v1/namespaces/\(ns.name)/configmaps", type: "text/plain", body: "hello")
                #expect(answer.code == 415 && answer.json["reason"] == "UnsupportedMediaType")
            }
        }

        @Test func `base64 data of a Secret must be that, and plain text becomes that`() async throws {
            try await cluster.withNamespace { ns in
                var secret = KubeObject(.secrets, name: "a")
                secret.json["stringData"] = ["k": "plain"]
                let stored = try await ns.create(.secrets, secret)
                #expect(stored.json["data"] == ["k": "cGxhaW4="])
                secret.name = "b"
                secret.json["stringData"] = nil
                secret.json["data"] = ["k": "***"]
                let error = await refusal { [secret] () async throws(APIError) in
                    try await ns.create(.secrets, secret)
                }
                #expect(error.code == 400 || error.code == 422, "\(error)")
            }
        }

        @Test func `defaults of built-in kinds are filled in`() async throws {
            try await cluster.withNamespace { ns in
                let deployment = try await ns.create(.deployments, Objects.deployment())
                let spec = deployment.spec
                #expect(
                    spec["strategy"] == [
                        "type": "RollingUpdate", "rollingUpdate": ["maxSurge": "25%", "maxUnavailable": "25%"],
                    ])
                #expect(spec["revisionHistoryLimit"] == 10 && spec["progressDeadlineSeconds"] == 600)
                let pod = spec[path: "template", "spec"]
                #expect(pod?["restartPolicy"] == "Always" && pod?["dnsPolicy"] == "ClusterFirst")
                #expect(pod?["terminationGracePeriodSeconds"] == 30 && pod?["securityContext"] == [:])
                let container = pod?["containers"]?[0]
                #expect(
                    container?["imagePullPolicy"] == "IfNotPresent" && container?["ports"]?[0]?["protocol"] == "TCP")
                #expect(container?["terminationMessagePath"] == "/dev/termination-log")
                let service = try await ns.create(.services, Objects.service("s"))
                #expect(service.spec["type"] == "ClusterIP" && service.spec["sessionAffinity"] == "None")
                #expect(service.spec["clusterIP"]?.string?.isEmpty == false)
                #expect(service.spec["ports"]?[0]?["targetPort"] == 80)
            }
        }

        @Test func `built-in kinds are validated at their fields`() async throws {
            try await cluster.withNamespace { ns in
                func fields(_ resource: GroupVersionResource, _ object: KubeObject) async -> [String] {
                    await refusal { () async throws(APIError) in try await ns.create(resource, object) }.causes.map(
                        \.path)
                }
                var deployment = Objects.deployment()
                deployment.json.set(["matchLabels": ["app": "other"]], at: ["spec", "selector"])
                #expect(await fields(.deployments, deployment).contains("spec.template.metadata.labels"))
                deployment = Objects.deployment()
                deployment.json.set([], at: ["spec", "template", "spec", "containers"])
                #expect(await fields(.deployments, deployment).contains("spec.template.spec.containers"))
                var service = Objects.service("s")
                service.spec["ports"] = [["port": 0]]
                #expect(await fields(.services, service).contains("spec.ports[0].port"))
                service.spec["ports"] = [["port": 1], ["port": 2]]
                #expect(await fields(.services, service).contains("spec.ports[0].name"))
            }
        }

        @Test func `a Deployment's selector cannot be changed`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.deployments, Objects.deployment())
                let error = await refusal { () async throws(APIError) in
                    try await ns.patch(
                        .merge, .deployments, "web",
                        [
                            "spec": [
                                "selector": ["matchLabels": ["app": "x"]],
                                "template": ["metadata": ["labels": ["app": "x"]]],
                            ]
                        ])
                }
                #expect(error.code == 422 && error.causes.first?.path == "spec.selector")
            }
        }
    }

    @Suite struct DryRuns {
        let cluster = Cluster.current
        private let dry = ["dryRun": "All"]

        @Test func `nothing of a dry run is kept`() async throws {
            try await cluster.withNamespace { ns in
                let created = try await ns.create(.services, Objects.service("a"), dry)
                #expect(!created.uid.isEmpty && created.spec["type"] == "ClusterIP")
                #expect(try await ns.find(.services, "a") == nil)
                let real = try await ns.configMap("a", ["k": "v"])
                let patched = try await ns.patch(.merge, .configMaps, "a", dry, ["data": ["k": "w"]])
                #expect(patched.json["data"] == ["k": "w"])
                let applied = try await ns.apply(.configMaps, Objects.configMap("new", ["x": "y"]), as: "me", dry)
                #expect(applied.json["data"] == ["x": "y"])
                _ = try await ns.delete(.configMaps, "a", ["dryRun": ["All"]])
                #expect(try await ns.get(.configMaps, "a") == real)
                #expect(try await ns.find(.configMaps, "new") == nil)
            }
        }

        @Test func `a dry run is refused as the real one would be`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.configMap("a")
                let again = await refusal { () async throws(APIError) in
                    try await ns.create(.configMaps, Objects.configMap("a"), dry)
                }
                #expect(again.isAlreadyExists)
                let bad = await refusal { () async throws(APIError) in
                    try await ns.create(.configMaps, Objects.configMap("B"), dry)
                }
                #expect(bad.isInvalid)
            }
        }

        @Test func `another dry run than All is refused`() async throws {
            try await cluster.withNamespace { ns in
                let error = await refusal { () async throws(APIError) in
                    try await ns.create(.configMaps, Objects.configMap("a"), ["dryRun": "Some"])
                }
                #expect(error.code == 422, "\(error)")
                let stored = try await ns.find(.configMaps, "a")
                #expect(stored == nil)
            }
        }
    }
}
