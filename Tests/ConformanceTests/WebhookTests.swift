import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Synchronization
import Testing

extension Conformance {
    @Suite struct Webhooks {
        let cluster = Cluster.current

        private static let addsLabel = HookServer.patch([
            ["op": "add", "path": "/metadata/labels", "value": ["hooked": "yes"]]
        ])

        @Test func `a mutating webhook changes the object by JSON patch`() async throws {
            let hooks = Hooks(.mutatingWebhookConfigurations, deciding: { _ in Self.addsLabel })
            try await hooks.run(on: cluster) { ns, _ in
                #expect(try await ns.configMap("a").labels == ["hooked": "yes"])
                let applied = try await ns.apply(.configMaps, Objects.configMap("b"), as: "one")
                #expect(applied.labels == ["hooked": "yes"])
            }
        }

        @Test func `a webhook is told what happens, by whom, and what was there before`() async throws {
            let hooks = Hooks(.validatingWebhookConfigurations, deciding: { _ in HookServer.allow })
            try await hooks.run(on: cluster) { ns, hook in
                let made = try await ns.configMap("a", ["k": "v"])
                try await ns.patch(.merge, .configMaps, "a", ["fieldManager": "editor"], ["data": ["k": "w"]])
                try await ns.delete(.configMaps, "a")
                let asked = hook.requests
                #expect(asked.map { $0["operation"]?.string } == ["CREATE", "UPDATE", "DELETE"])
                for request in asked {
                    #expect(request["kind"] == ["group": "", "version": "v1", "kind": "ConfigMap"])
                    #expect(request["resource"] == ["group": "", "version": "v1", "resource": "configmaps"])
                    #expect(request["requestKind"] == request["kind"])
                    #expect(request["namespace"]?.string == ns.name && request["name"] == "a")
                    #expect(request[path: "userInfo", "username"]?.string?.isEmpty == false)
                    #expect(request["dryRun"] == false)
                }
                #expect(asked[0][path: "object", "metadata", "uid"]?.string == made.uid)
                #expect(asked[0]["oldObject"]?.isNull ?? true)
                #expect(asked[0][path: "options", "kind"] == "CreateOptions")
                #expect(
                    asked[1][path: "oldObject", "data"] == ["k": "v"] && asked[1][path: "object", "data"] == ["k": "w"])
                #expect(asked[1][path: "options", "kind"] == "UpdateOptions")
                #expect(asked[1][path: "options", "fieldManager"] == "editor")
                #expect(asked[2]["object"]?.isNull ?? true)
                #expect(asked[2][path: "oldObject", "data"] == ["k": "w"])
                #expect(asked[2][path: "options", "kind"] == "DeleteOptions")
            }
        }

        @Test func `a denial says which webhook and why`() async throws {
            let hooks = Hooks(
                .validatingWebhookConfigurations,
                deciding: { request in
                    switch request["name"]?.string {
                    case "plain": HookServer.deny("not today")
                    case "coded": HookServer.deny("too large", code: 413, reason: "RequestEntityTooLarge")
                    case "silent": ["allowed": false]
                    default: HookServer.allow
                    }
                }
            )
            try await hooks.run(on: cluster) { ns, _ in
                let plain = await refusal { () async throws(APIError) in try await ns.configMap("plain") }
                #expect(plain.code == 400 || plain.code == 403, "\(plain)")
                #expect(
                    plain.message == "admission webhook \"h0.conformance.heddle.dev\" denied the request: not today")
                let coded = await refusal { () async throws(APIError) in try await ns.configMap("coded") }
                #expect(coded.code == 413 && coded.reason == "RequestEntityTooLarge", "\(coded)")
                let silent = await refusal { () async throws(APIError) in try await ns.configMap("silent") }
                #expect(silent.message.contains("denied the request"), "\(silent)")
                let stored = try await ns.find(.configMaps, "plain")
                #expect(stored == nil)
            }
        }

        @Test func `a denied deletion leaves the object`() async throws {
            let hooks = Hooks(
                .validatingWebhookConfigurations,
                deciding: { $0["operation"] == "DELETE" ? HookServer.deny("it stays") : HookServer.allow }
            )
            try await hooks.run(on: cluster) { ns, _ in
                try await ns.configMap("a")
                let error = await refusal { () async throws(APIError) in try await ns.delete(.configMaps, "a") }
                #expect(error.message.contains("it stays"))
                #expect(try await ns.get(.configMaps, "a").isBeingDeleted == false)
            }
            // The namespace goes all the same: the webhook is away by then.
        }

        @Test func `failure policy Fail refuses when the webhook does not answer, Ignore goes on`() async throws {
            let dead: JSONValue = ["clientConfig": ["url": "https://localhost:1/"]]
            let hooks = Hooks(
                .validatingWebhookConfigurations, [dead.merging(["failurePolicy": "Fail"])],
                deciding: { _ in HookServer.allow },
                isActive: { ns, _ in
                    do {
                        try await ns.probe()
                        return false
                    } catch let error as APIError {
                        return error.code == 500
                    }
                }
            )
            try await hooks.run(on: cluster) { ns, _ in
                let error = await refusal { () async throws(APIError) in try await ns.configMap("a") }
                #expect(error.code == 500 && error.reason == "InternalError", "\(error)")
                #expect(error.message.contains("failed calling webhook \"h0.conformance.heddle.dev\""))
            }
            // The second webhook, which answers, shows that the first was there to be ignored.
            let lenient = Hooks(
                .validatingWebhookConfigurations, [dead.merging(["failurePolicy": "Ignore"]), [:]],
                deciding: { _ in HookServer.allow }
            )
            try await lenient.run(on: cluster) { ns, hook in
                try await ns.configMap("a")
                #expect(hook.requests.count == 1)
            }
        }

        @Test func `a webhook that takes too long has failed`() async throws {
            let hooks = Hooks(
                .validatingWebhookConfigurations, [["timeoutSeconds": 1, "failurePolicy": "Fail"]],
                deciding: { request in
                    if request["name"] == "slow" { try await Task.sleep(for: .seconds(20)) }
                    return HookServer.allow
                }
            )
            try await hooks.run(on: cluster) { ns, hook in
                let error = await refusal { () async throws(APIError) in try await ns.configMap("slow") }
                #expect(error.code == 500 && error.message.contains("failed calling webhook"), "\(error)")
                try await ns.configMap("quick")
                #expect(hook.requests.map { $0["name"]?.string } == ["slow", "quick"])
            }
        }

        @Test func `an answer to another question is no answer`() async throws {
            let hooks = Hooks(
                .validatingWebhookConfigurations,
                deciding: { $0["name"] == "a" ? ["allowed": true, "uid": "other"] : HookServer.allow }
            )
            try await hooks.run(on: cluster) { ns, _ in
                let error = await refusal { () async throws(APIError) in try await ns.configMap("a") }
                #expect(error.code == 500 && error.message.contains("uid"), "\(error)")
            }
        }

        @Test func `a patch that cannot be applied refuses the request`() async throws {
            let hooks = Hooks(
                .mutatingWebhookConfigurations,
                deciding: {
                    $0["name"] == "a"
                        ? HookServer.patch([["op": "remove", "path": "/none/deep"]]) : HookServer.allow
                }
            )
            try await hooks.run(on: cluster) { ns, _ in
                let error = await refusal { () async throws(APIError) in try await ns.configMap("a") }
                #expect(error.code == 500, "\(error)")
            }
        }

        @Test func `selectors of objects and operations say what a webhook is asked about`() async throws {
            let hooks = Hooks(
                .validatingWebhookConfigurations,
                [
                    [
                        "objectSelector": ["matchLabels": ["watched": "yes"]],
                        "rules": [
                            [
                                "operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["*"],
                                "resources": ["configmaps"], "scope": "Namespaced",
                            ]
                        ],
                    ]
                ],
                deciding: { _ in HookServer.allow },
                isActive: { ns, hook in
                    var object = KubeObject(.configMaps, name: "")
                    object.json["metadata"] = ["generateName": "probe-", "labels": ["watched": "yes"]]
                    try await ns.create(.configMaps, object)
                    return hook.count > 0
                }
            )
            try await hooks.run(on: cluster) { ns, hook in
                try await ns.configMap("no")
                try await ns.configMap("yes", labels: ["watched": "yes"])
                // An object counts as selected when it was so before or is after.
                try await ns.patch(.merge, .configMaps, "yes", ["metadata": ["labels": ["watched": "no"]]])
                try await ns.patch(.merge, .configMaps, "yes", ["data": ["k": "v"]])
                try await ns.delete(.configMaps, "yes")
                try await ns.create(.secrets, KubeObject(.secrets, name: "other"))
                #expect(hook.requests.map { $0["operation"]?.string } == ["CREATE", "UPDATE"])
            }
        }

        @Test func `a namespace that is not selected is left alone`() async throws {
            let hooks = Hooks(.validatingWebhookConfigurations, deciding: { _ in HookServer.allow })
            try await hooks.run(on: cluster) { _, hook in
                try await cluster.withNamespace { other in
                    try await other.configMap("a")
                    #expect(hook.requests.isEmpty)
                }
            }
        }

        @Test func `a dry run reaches webhooks and says that it is one`() async throws {
            let hooks = Hooks(
                .validatingWebhookConfigurations, [["sideEffects": "NoneOnDryRun"]],
                deciding: { _ in HookServer.allow }
            )
            try await hooks.run(on: cluster) { ns, hook in
                try await ns.create(.configMaps, Objects.configMap("a"), ["dryRun": "All"])
                #expect(hook.requests.first?["dryRun"] == true)
            }
        }

        @Test func `subresources are asked about by their own rules`() async throws {
            let hooks = Hooks(
                .validatingWebhookConfigurations,
                [
                    [
                        "rules": [
                            [
                                "operations": ["UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"],
                                "resources": ["deployments/scale"],
                            ],
                            [
                                "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"],
                                "resources": ["configmaps"],
                            ],
                        ]
                    ]
                ], deciding: { _ in HookServer.allow }
            )
            try await hooks.run(on: cluster) { ns, hook in
                try await ns.create(.deployments, Objects.deployment())
                try await ns.patch(.merge, .deployments, "web", ["metadata": ["labels": ["x": "y"]]])
                try await ns.client.setScale(.deployments, namespace: ns.name, name: "web", replicas: 0)
                try await ns.client.setScale(.deployments, namespace: ns.name, name: "web", replicas: 1)
                #expect(hook.requests.contains { $0["subResource"] == "scale" })
                let kinds = hook.requests.compactMap { $0[path: "kind", "kind"]?.string }
                #expect(Set(kinds) == ["Scale"], "\(kinds)")
            }
        }

        @Test func `webhooks run in order of their names, and once more when asked to`() async throws {
            let hooks = Hooks(
                .mutatingWebhookConfigurations,
                [["reinvocationPolicy": "IfNeeded"], ["reinvocationPolicy": "Never"]],
                deciding: { request in
                    // The second webhook adds what the first one counts.
                    let data = request[path: "object", "data"]
                    if data?["second"] == nil, data?["first"] != nil {
                        return HookServer.patch([["op": "add", "path": "/data/second", "value": "x"]])
                    }
                    if data?["first"] == nil {
                        return HookServer.patch([["op": "add", "path": "/data", "value": ["first": "1"]]])
                    }
                    return HookServer.patch([["op": "replace", "path": "/data/first", "value": "2"]])
                }
            )
            try await hooks.run(on: cluster) { ns, hook in
                let object = try await ns.configMap("a")
                #expect(object.json["data"] == ["first": "2", "second": "x"])
                #expect(hook.requests.count == 3, "\(hook.requests.map { $0["object"]?.serialized() ?? "" })")
            }
        }

        @Test func `warnings reach the client`() async throws {
            let hooks = Hooks(
                .validatingWebhookConfigurations,
                deciding: { _ in ["allowed": true, "warnings": ["this is \"old\""]] }
            )
            try await hooks.run(on: cluster) { ns, _ in
                let answer = try await cluster.http(
                    .POST, "/api/v1/namespaces/\(ns.name)/configmaps",
                    body: "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}")
                #expect(answer.code == 201)
                #expect(answer.values("Warning") == ["299 - \"this is \\\"old\\\"\""])
            }
        }

        @Test func `custom resources pass webhooks and are validated after them`() async throws {
            let widgets = cluster.definitions.widgets
            let hooks = Hooks(
                .mutatingWebhookConfigurations,
                [
                    [
                        "rules": [
                            [
                                "operations": ["CREATE"], "apiGroups": [.string(widgets.group), ""],
                                "apiVersions": ["v1"], "resources": ["widgets", "configmaps"],
                            ]
                        ]
                    ]
                ],
                deciding: { request in
                    guard request[path: "kind", "kind"] == "Widget" else { return HookServer.allow }
                    let size = request["name"] == "bad" ? 99 : 7
                    return HookServer.patch([
                        ["op": "add", "path": "/spec/size", "value": .int(size)],
                        ["op": "add", "path": "/spec/unknown", "value": 1],
                    ])
                }
            )
            try await hooks.run(on: cluster) { ns, _ in
                let good = try await ns.create(widgets, Widget.object("good"))
                #expect(good.spec["size"] == 7 && good.spec["unknown"] == nil)
                let error = await refusal { () async throws(APIError) in
                    try await ns.create(widgets, Widget.object("bad"))
                }
                #expect(error.code == 422 && error.causes.first?.path == "spec.size", "\(error)")
            }
        }

        static let senseless: [(field: String, value: JSONValue)] = [
            ("name", "short"), ("sideEffects", "Some"), ("timeoutSeconds", 31), ("timeoutSeconds", 0),
            ("failurePolicy", "Maybe"), ("matchPolicy", "Maybe"), ("admissionReviewVersions", ["v0"]),
        ]

        @Test(arguments: senseless)
        func `a configuration that makes no sense is refused`(field: String, value: JSONValue) async throws {
            var hook: JSONValue = [
                "name": "x.conformance.heddle.dev", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": ["url": "https://localhost:1/"], "rules": [],
            ]
            hook[field] = value
            var object = KubeObject(.validatingWebhookConfigurations, name: "conformance-\(cluster.run)-bad")
            object.json["webhooks"] = [hook]
            let error = await refusal { [object] () async throws(APIError) in
                try await cluster.client.create(
                    .validatingWebhookConfigurations, object, options: .init(isDryRun: true))
            }
            #expect(error.code == 422 && error.causes.contains { $0.path.contains(field) }, "\(error)")
        }
    }
}
