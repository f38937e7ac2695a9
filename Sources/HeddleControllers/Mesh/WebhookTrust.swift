import HeddleAPI
package import KubeCore
package import KubeRuntime

/// Keeps the `caBundle` of Heddle's webhook configurations equal to the roots that its webhook server's certificate is
/// verified by.
///
/// A configuration that cert-manager's injector looks after (by annotation) is left to it.
package struct WebhookTrust: Reconciler {
    let api: any ClusterAPI
    let store: Store
    let resource: GroupVersionResource
    /// Base64 of the PEM bundle, as it is now; empty: not known yet.
    let bundle: @Sendable () -> String

    package init(
        api: any ClusterAPI, store: Store, resource: GroupVersionResource, bundle: @escaping @Sendable () -> String
    ) {
        self.api = api
        self.store = store
        self.resource = resource
        self.bundle = bundle
    }

    /// The configurations of a kind, for whoever has to have them looked at when the bundle changes.
    package static func keys(of resource: GroupVersionResource) -> [ObjectKey] {
        let names =
            resource == .validatingWebhookConfigurations
            ? [HeddleOperator.validatorWebhook] : [HeddleOperator.injectorWebhook, HeddleOperator.releaseWebhook]
        return names.map { ObjectKey(namespace: "", name: $0) }
    }

    package func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        guard Self.keys(of: resource).contains(key), let object = store.get(key), !Self.isInjectedByOthers(object)
        else { return .done }
        let bundle = bundle()
        guard !bundle.isEmpty else { return .done }
        var operations: [JSONValue] = []
        for (index, webhook) in (object.json["webhooks"]?.array ?? []).enumerated()
        where webhook[path: "clientConfig", "caBundle"]?.string != bundle {
            operations.append([
                "op": "add", "path": .string("/webhooks/\(index)/clientConfig/caBundle"), "value": .string(bundle),
            ])
        }
        guard !operations.isEmpty else { return .done }
        // A conflict keeps an index from pointing at another entry after a concurrent change.
        operations.insert(
            ["op": "replace", "path": "/metadata/resourceVersion", "value": .string(object.resourceVersion)], at: 0)
        _ = try await api.patch(
            resource, name: key.name, type: .json, fieldManager: HeddleFieldManager.mesh, .array(operations))
        return .done
    }

    private static func isInjectedByOthers(_ object: KubeObject) -> Bool {
        object.annotations.keys.contains { $0.hasPrefix("cert-manager.io/inject-") }
    }
}
