import KubeClient
import KubeCore
import KubeTesting

/// Webhooks for one test: what is special about them, and what they answer.
struct Hooks: Sendable {
    var resource: GroupVersionResource
    /// What is special about each; name, address, selector, rules for ConfigMaps and the rest are filled in.
    var hooks: [JSONValue]
    var decide: HookServer.Decision
    /// Tells whether the server knows the webhooks by now, which takes some time; usually by making an object whose name
    /// begins with `probe`.
    var isActive: @Sendable (TestNamespace, HookServer) async throws -> Bool

    init(
        _ resource: GroupVersionResource, _ hooks: [JSONValue] = [[:]], deciding decide: @escaping HookServer.Decision,
        isActive: @escaping @Sendable (TestNamespace, HookServer) async throws -> Bool = { ns, server in
            try? await ns.probe()
            return server.count > 0
        }
    ) {
        self.resource = resource
        self.hooks = hooks
        self.decide = decide
        self.isActive = isActive
    }

    /// Runs the body in a namespace of its own once the webhooks are asked about it.
    func run(on cluster: Cluster, _ body: (TestNamespace, HookServer) async throws -> Void) async throws {
        guard cluster.serves(.localWebhooks) else { return }
        try await cluster.withNamespace { ns in
            try await HookServer.run(decide) { server in
                // The namespace's label is there before the webhook.
                _ = try await cluster.client.patch(
                    .namespaces, name: ns.name,
                    ["metadata": ["labels": ["heddle.dev/hooks": "on", "heddle.dev/test": .string(ns.name)]]])
                let object = configuration(for: ns, at: server)
                _ = try await cluster.client.create(resource, object)
                do {
                    let isThere = try await eventually(within: .seconds(30)) { try await isActive(ns, server) }
                    guard isThere else {
                        throw APIError(code: 0, reason: "NotActive", message: "the webhook is not asked in time")
                    }
                    try await body(ns, server)
                    try await cluster.client.delete(resource, name: object.name)
                } catch {
                    try? await cluster.client.delete(resource, name: object.name)
                    throw error
                }
            }
        }
    }

    private func configuration(for ns: TestNamespace, at server: HookServer) -> KubeObject {
        var object = KubeObject(resource, name: "\(ns.name)-\(resource.kind.lowercased())")
        object.json["webhooks"] = .array(
            hooks.enumerated().map { index, change in
                let standard: JSONValue = [
                    "name": .string("h\(index).conformance.heddle.dev"), "sideEffects": "None",
                    "admissionReviewVersions": ["v1"], "timeoutSeconds": 10,
                    "clientConfig": [
                        "url": .string("https://localhost:\(server.port)/\(index)"),
                        "caBundle": .string(server.authority),
                    ],
                    "namespaceSelector": [
                        "matchLabels": ["heddle.dev/hooks": "on", "heddle.dev/test": .string(ns.name)]
                    ],
                    "rules": [
                        [
                            "operations": ["CREATE", "UPDATE", "DELETE"], "apiGroups": [""], "apiVersions": ["v1"],
                            "resources": ["configmaps"],
                        ]
                    ],
                ]
                return standard.merging(change)
            })
        return object
    }
}

extension TestNamespace {
    /// Makes an object that is of no other use.
    func probe() async throws(APIError) {
        var object = KubeObject(.configMaps, name: "")
        object.json["metadata"] = ["generateName": "probe-"]
        try await create(.configMaps, object)
    }
}
