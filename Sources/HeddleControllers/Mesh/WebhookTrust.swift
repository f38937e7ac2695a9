import HeddleAPI
package import KubeCore
package import KubeRuntime

/// Keeps the `caBundle` of Heddle's webhook configurations equal to what its webhook server's certificate is signed by.
package struct WebhookTrust: Reconciler {
    let api: any ClusterAPI
    let store: Store
    let resource: GroupVersionResource
    /// Base64 of the PEM bundle.
    let bundle: @Sendable () -> String

    package init(
        api: any ClusterAPI, store: Store, resource: GroupVersionResource, bundle: @escaping @Sendable () -> String
    ) {
        self.api = api
        self.store = store
        self.resource = resource
        self.bundle = bundle
    }

    package func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        guard key.name.hasPrefix("heddle-"), let object = store.get(key) else { return .done }
        let bundle = bundle()
        var operations: [JSONValue] = []
        for (index, webhook) in (object.json["webhooks"]?.array ?? []).enumerated()
        where webhook[path: "clientConfig", "caBundle"]?.string != bundle {
            operations.append([
                "op": "add", "path": .string("/webhooks/\(index)/clientConfig/caBundle"), "value": .string(bundle),
            ])
        }
        guard !operations.isEmpty else { return .done }
        // The test keeps an index from pointing at another entry after a concurrent change.
        operations.insert(
            ["op": "test", "path": "/metadata/resourceVersion", "value": .string(object.resourceVersion)], at: 0)
        _ = try await api.patch(
            resource, name: key.name, type: .json, fieldManager: HeddleFieldManager.mesh, .array(operations))
        return .done
    }
}
