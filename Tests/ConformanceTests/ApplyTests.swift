import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Applies {
        let cluster = Cluster.current

        @Test func `apply makes an object and notes what the applier owns`() async throws {
            try await cluster.withNamespace { ns in
                let applied = try await ns.apply(
                    .configMaps, Objects.configMap("a", ["k": "v"], labels: ["l": "x"]), as: "one")
                let entry = try #require(applied.managers.first)
                #expect(applied.managers.count == 1)
                #expect(entry["manager"] == "one" && entry["operation"] == "Apply" && entry["apiVersion"] == "v1")
                #expect(entry["fieldsType"] == "FieldsV1")
                #expect(entry["fieldsV1"] == ["f:data": ["f:k": [:]], "f:metadata": ["f:labels": ["f:l": [:]]]])
            }
        }

        @Test func `what is applied again unchanged changes nothing`() async throws {
            try await cluster.withNamespace { ns in
                let first = try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one")
                #expect(try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one") == first)
            }
        }

        @Test func `what is no longer applied goes`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(
                    .configMaps, Objects.configMap("a", ["k": "v", "x": "y"], labels: ["l": "x"]), as: "one")
                let less = try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one")
                #expect(less.json["data"] == ["k": "v"] && less.labels.isEmpty)
                #expect(less.owned(by: "one") == ["f:data": ["f:k": [:]]])
            }
        }

        @Test func `another's field is a conflict, told by field and owner`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v", "x": "y"]), as: "one")
                let error = await refusal { () async throws(APIError) in
                    try await ns.apply(.configMaps, Objects.configMap("a", ["k": "w", "new": "z"]), as: "two")
                }
                #expect(error.code == 409 && error.reason == "Conflict" && error.isConflict)
                #expect(error.message.contains("conflict with \"one\": .data.k"), "\(error)")
                #expect(error.causes.map(\.path) == [".data.k"])
                #expect(error.fieldConflicts.map(\.manager) == ["one"])
                #expect(try await ns.get(.configMaps, "a").json["data"] == ["k": "v", "x": "y"])
            }
        }

        @Test func `the causes of a conflict carry their reason`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one")
                let answer = try await cluster.http(
                    .PATCH, "/api/v1/namespaces/\(ns.name)/configmaps/a?fieldManager=two",
                    type: "application/apply-patch+yaml",
                    body: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: w}\n")
                #expect(answer.code == 409)
                #expect(answer.json[path: "details", "causes"]?[0]?["reason"] == "FieldManagerConflict")
            }
        }

        @Test func `force takes fields over, and their owner loses them`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v", "x": "y"]), as: "one")
                let forced = try await ns.apply(.configMaps, Objects.configMap("a", ["k": "w"]), as: "two", force: true)
                #expect(forced.json["data"] == ["k": "w", "x": "y"])
                #expect(forced.owned(by: "one") == ["f:data": ["f:x": [:]]])
                #expect(forced.owned(by: "two") == ["f:data": ["f:k": [:]]])
            }
        }

        @Test func `a field that two own stays until both give it up`() async throws {
            try await cluster.withNamespace { ns in
                for manager in ["one", "two"] {
                    try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: manager)
                }
                var object = try await ns.apply(.configMaps, Objects.configMap("a"), as: "one")
                #expect(object.json["data"] == ["k": "v"] && object.owned(by: "one") == nil)
                object = try await ns.apply(.configMaps, Objects.configMap("a"), as: "two")
                #expect((object.json["data"]?.object ?? [:]).isEmpty && object.owned(by: "two") == nil)
            }
        }

        @Test func `an update of an applied field takes it from its applier`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one")
                let changed = try await ns.patch(
                    .merge, .configMaps, "a", ["fieldManager": "editor"], ["data": ["k": "w"]])
                #expect(changed.owned(by: "one") == nil)
                #expect(changed.owned(by: "editor", "Update") == ["f:data": ["f:k": [:]]])
                let error = await refusal { () async throws(APIError) in
                    try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one")
                }
                #expect(error.fieldConflicts.map(\.manager) == ["editor"], "\(error)")
            }
        }

        @Test func `an update that leaves a value alone leaves its owner alone`() async throws {
            try await cluster.withNamespace { ns in
                var object = try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one")
                object.json["data"] = ["k": "v", "x": "y"]
                let updated = try await ns.update(.configMaps, object, ["fieldManager": "editor"])
                #expect(updated.owned(by: "one") == ["f:data": ["f:k": [:]]])
                #expect(updated.owned(by: "editor", "Update") == ["f:data": ["f:x": [:]]])
            }
        }

        @Test func `a field that is removed by an update is nobody's`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v", "x": "y"]), as: "one")
                let changed = try await ns.patch(
                    .merge, .configMaps, "a", ["fieldManager": "editor"], ["data": ["k": .null]])
                #expect(changed.owned(by: "one") == ["f:data": ["f:x": [:]]])
                #expect(changed.owned(by: "editor", "Update")?[path: "f:data", "f:k"] == nil)
            }
        }

        @Test func `two managers own containers of one Deployment`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(.deployments, Objects.deployment(), as: "one")
                let side: JSONValue = [
                    "spec": ["template": ["spec": ["containers": [["name": "side", "image": "registry.invalid/s:1"]]]]]
                ]
                var object = KubeObject(json: side.merging(["metadata": ["name": "web"]]))
                object = try await ns.apply(.deployments, object, as: "two")
                func names(_ object: KubeObject) -> [String] {
                    object.spec[path: "template", "spec", "containers"]?.array?.compactMap { $0["name"]?.string } ?? []
                }
                #expect(names(object) == ["app", "side"])
                object = try await ns.apply(.deployments, KubeObject(json: ["metadata": ["name": "web"]]), as: "two")
                #expect(names(object) == ["app"] && object.owned(by: "two") == nil)
                let containers = object.owned(by: "one")?[
                    path: "f:spec", "f:template", "f:spec", "f:containers", "k:{\"name\":\"app\"}"]
                #expect(containers?["."] == [:] && containers?["f:image"] == [:] && containers?["f:name"] == [:])
                let port = containers?[path: "f:ports", "k:{\"containerPort\":80,\"protocol\":\"TCP\"}"]
                #expect(port?["f:containerPort"] == [:] && port?["f:protocol"] == nil)
            }
        }

        @Test func `defaults are not the applier's`() async throws {
            try await cluster.withNamespace { ns in
                let deployment = try await ns.apply(.deployments, Objects.deployment(), as: "one")
                let owned = deployment.owned(by: "one")
                #expect(owned?[path: "f:spec", "f:replicas"] == [:] && owned?[path: "f:spec", "f:strategy"] == nil)
                #expect(deployment.spec[path: "strategy", "type"] == "RollingUpdate")
            }
        }

        @Test func `atomic fields change hands as one`() async throws {
            guard cluster.serves(.atomicSelectors) else { return }
            try await cluster.withNamespace { ns in
                var service = Objects.service("s")
                service.spec["selector"] = ["app": "web", "tier": "front"]
                service.spec["ports"] = [["port": 80, "protocol": "TCP"]]
                try await ns.apply(.services, service, as: "one")
                let other = KubeObject(json: ["metadata": ["name": "s"], "spec": ["selector": ["app": "other"]]])
                let error = await refusal { () async throws(APIError) in try await ns.apply(.services, other, as: "two")
                }
                #expect(error.causes.map(\.path) == [".spec.selector"], "\(error)")
                let forced = try await ns.apply(.services, other, as: "two", force: true)
                #expect(forced.spec["selector"] == ["app": "other"])
            }
        }

        @Test func `a label, a finalizer and an owner have their own owners`() async throws {
            try await cluster.withNamespace { ns in
                let owner = try await ns.configMap("owner")
                var one = Objects.configMap("a", labels: ["one": "1"])
                one.finalizers = ["heddle.dev/one"]
                try await ns.apply(.configMaps, one, as: "one")
                var two = Objects.configMap("a", labels: ["two": "2"])
                two.finalizers = ["heddle.dev/two"]
                two.json[path: "metadata", "ownerReferences"] = [owner.owner()]
                var object = try await ns.apply(.configMaps, two, as: "two")
                #expect(object.labels == ["one": "1", "two": "2"])
                #expect(Set(object.finalizers) == ["heddle.dev/one", "heddle.dev/two"])
                let metadata = object.owned(by: "two")?["f:metadata"]
                #expect(metadata?[path: "f:finalizers", "v:\"heddle.dev/two\""] == [:])
                #expect(metadata?[path: "f:ownerReferences", "k:{\"uid\":\"\(owner.uid)\"}"] != nil)
                object = try await ns.apply(.configMaps, Objects.configMap("a"), as: "one")
                #expect(object.labels == ["two": "2"] && object.finalizers == ["heddle.dev/two"])
                object = try await ns.apply(.configMaps, Objects.configMap("a"), as: "two")
                #expect(object.finalizers.isEmpty && object.ownerReferences.isEmpty)
            }
        }

        @Test func `who applies must say so, and only for himself`() async throws {
            try await cluster.withNamespace { ns in
                let nobody = await refusal { () async throws(APIError) in
                    try await ns.patch(
                        .apply, .configMaps, "a",
                        ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "a"]])
                }
                #expect(nobody.code == 422 && nobody.message.contains("fieldManager"), "\(nobody)")
                var object = Objects.configMap("a", ["k": "v"])
                object = try await ns.apply(.configMaps, object, as: "one")
                let copied = await refusal { [object] () async throws(APIError) in
                    try await ns.apply(.configMaps, object, as: "two")
                }
                #expect(copied.code == 400 && copied.message.contains("managedFields must be nil"), "\(copied)")
            }
        }

        @Test func `an applied object must say what it is`() async throws {
            try await cluster.withNamespace { ns in
                for body: JSONValue in [
                    ["metadata": ["name": "a"]], ["apiVersion": "v1", "kind": "ConfigMap", "metadata": ["name": "b"]],
                ] {
                    let error = await refusal { () async throws(APIError) in
                        try await ns.patch(.apply, .configMaps, "a", ["fieldManager": "one"], body)
                    }
                    #expect(error.code == 400, "\(error)")
                }
            }
        }

        @Test func `apply with a version relies on it, and with a uid makes nothing`() async throws {
            try await cluster.withNamespace { ns in
                let old = try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one")
                try await ns.patch(.merge, .configMaps, "a", ["data": ["x": "y"]])
                var stale = Objects.configMap("a", ["k": "w"])
                stale.resourceVersion = old.resourceVersion
                let error = await refusal { [stale] () async throws(APIError) in
                    try await ns.apply(.configMaps, stale, as: "one")
                }
                #expect(error.code == 409, "\(error)")
                var other = Objects.configMap("b")
                other.json[path: "metadata", "uid"] = .string(old.uid)
                let uid = await refusal { [other] () async throws(APIError) in
                    try await ns.apply(.configMaps, other, as: "one")
                }
                #expect(uid.code == 409, "\(uid)")
            }
        }

        @Test func `managed fields are dropped on request`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(.configMaps, Objects.configMap("a", ["k": "v"]), as: "one")
                let stripped = try await ns.patch(
                    .json, .configMaps, "a",
                    [["op": "replace", "path": "/metadata/managedFields", "value": [[:]]]])
                #expect(stripped.managers.isEmpty)
                // What was there before the first apply is then nobody's in particular.
                let error = await refusal { () async throws(APIError) in
                    try await ns.apply(.configMaps, Objects.configMap("a", ["k": "w"]), as: "two")
                }
                #expect(error.fieldConflicts.map(\.manager) == ["before-first-apply"], "\(error)")
                let again = try await ns.apply(
                    .configMaps, Objects.configMap("a", ["k": "w"]), as: "two", force: true)
                #expect(again.json["data"] == ["k": "w"])
            }
        }

        @Test func `the parts of an object that updates make are their makers'`() async throws {
            try await cluster.withNamespace { ns in
                let created = try await ns.create(
                    .configMaps, Objects.configMap("a", ["k": "v"], labels: ["l": "x"]), ["fieldManager": "maker"])
                let owned = created.owned(by: "maker", "Update")
                #expect(owned?["f:data"] == [".": [:], "f:k": [:]])
                #expect(owned?[path: "f:metadata", "f:labels"] == [".": [:], "f:l": [:]])
                #expect(owned?[path: "f:metadata", "f:name"] == nil)
                #expect(created.managers.first?["time"]?.string.flatMap(KubeTime.parse) != nil)
            }
        }

        @Test func `status has managers of its own`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.awaitServiceAccount()
                try await ns.create(.pods, Objects.pod("p"), ["fieldManager": "maker"])
                let pod = try await ns.apply(
                    .pods, KubeObject(json: ["metadata": ["name": "p"], "status": ["message": "hello"]]), as: "node",
                    subresource: "status")
                #expect(pod.status["message"] == "hello")
                guard cluster.serves(.managedSubresources) else { return }
                #expect(pod.owned(by: "node", subresource: "status") == ["f:status": ["f:message": [:]]])
                // Through the main door the same manager is another one.
                let main = try await ns.apply(
                    .pods, KubeObject(json: ["metadata": ["name": "p", "labels": ["l": "x"]]]), as: "node")
                #expect(main.owned(by: "node") == ["f:metadata": ["f:labels": ["f:l": [:]]]])
                #expect(main.owned(by: "node", subresource: "status") != nil && main.status["message"] == "hello")
            }
        }

        @Test func `scale has managers of its own`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.apply(.deployments, Objects.deployment(replicas: 0), as: "one")
                try await ns.patch(
                    .merge, .deployments, "web", subresource: "scale", ["fieldManager": "scaler"],
                    ["spec": ["replicas": 1]])
                let deployment = try await ns.get(.deployments, "web")
                #expect(deployment.spec["replicas"] == 1)
                guard cluster.serves(.managedSubresources) else { return }
                #expect(
                    deployment.owned(by: "scaler", "Update", subresource: "scale") == ["f:spec": ["f:replicas": [:]]])
                #expect(deployment.owned(by: "one")?[path: "f:spec", "f:replicas"] == nil)
            }
        }

        @Test func `an unknown field of a built-in kind is refused by apply`() async throws {
            guard cluster.serves(.builtinSchemas) else { return }
            try await cluster.withNamespace { ns in
                let error = await refusal { () async throws(APIError) in
                    try await ns.apply(
                        .configMaps, KubeObject(json: ["metadata": ["name": "a"], "none": "x"]), as: "one")
                }
                #expect(error.message.contains("field not declared in schema"), "\(error)")
            }
        }
    }
}
