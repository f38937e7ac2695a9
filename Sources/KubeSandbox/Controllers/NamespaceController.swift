import KubeCore

/// Namespaces: gives each its default ServiceAccount and the cluster's root certificate; empties a deleted one.
struct NamespaceController: Reconciler {
    let api: any ClusterAPI
    let cache: ClusterCache
    /// PEM of the API server's certificate authority.
    let rootCertificate: String

    let name = "namespace"
    let watches: [GroupVersionResource] = [.namespaces, .serviceAccounts, .configMaps]

    static let rootCertificateName = "kube-root-ca.crt"

    func keys(for change: ClusterCache.Change) -> [ObjectKey] {
        guard let object = change.object else { return [] }
        switch change.resource {
        case .namespaces: return [object.key]
        case .serviceAccounts where change.new == nil && object.name == "default",
            .configMaps where object.name == Self.rootCertificateName:
            return [ObjectKey(namespace: "", name: object.namespace)]
        default: return []
        }
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let namespace = cache.get(.namespaces, name: key.name) else { return nil }
        if namespace.isBeingDeleted { return try await empty(namespace) }
        if cache.get(.serviceAccounts, namespace: key.name, name: "default") == nil {
            try await ensure(.serviceAccounts, KubeObject(.serviceAccounts, namespace: key.name, name: "default"))
        }
        let data: JSONValue = ["ca.crt": .string(rootCertificate)]
        var config = KubeObject(.configMaps, namespace: key.name, name: Self.rootCertificateName)
        config.json["data"] = data
        if let present = cache.get(.configMaps, namespace: key.name, name: config.name) {
            if present.json["data"] != data {
                _ = try await api.patch(.configMaps, namespace: key.name, name: config.name, ["data": data])
            }
        } else {
            try await ensure(.configMaps, config)
        }
        return nil
    }

    private func ensure(_ resource: GroupVersionResource, _ object: KubeObject) async throws {
        do {
            cache.observe(resource, try await api.create(resource, object))
        } catch {
            if !error.isAlreadyExists { throw error }
        }
    }

    /// What every cluster has, whether a controller looks at it or not.
    private static let builtin = Set(
        BuiltinResources.all.filter { $0.isNamespaced && !$0.isVirtual && $0.collection != "events" }.map(\.gvr))

    /// None of a kind whose definition has gone.
    private func objects(_ resource: GroupVersionResource, _ namespace: String) async throws(APIError) -> [KubeObject] {
        do {
            return try await api.list(resource, namespace: namespace).items
        } catch {
            if error.isNotFound { return [] }
            throw error
        }
    }

    /// Deletes what is inside; when nothing is left, the namespace's own finalizer.
    private func empty(_ namespace: KubeObject) async throws -> Duration? {
        var remaining = 0
        for resource in Self.builtin.union(cache.resources) where resource.isNamespaced && resource != .events {
            for object in try await objects(resource, namespace.name) {
                remaining += 1
                if !object.isBeingDeleted {
                    try await api.delete(resource, namespace: namespace.name, name: object.name, uid: object.uid)
                }
            }
        }
        if remaining > 0 { return .milliseconds(200) }
        for event in try await api.list(.events, namespace: namespace.name).items {
            try await api.delete(.events, namespace: namespace.name, name: event.name)
        }
        guard let finalizers = namespace.spec["finalizers"]?.array, finalizers.contains("kubernetes") else {
            return nil
        }
        var finalized = namespace
        finalized.json.set(.array(finalizers.filter { $0 != "kubernetes" }), at: ["spec", "finalizers"])
        do {
            _ = try await api.update(.namespaces, finalized, subresource: "finalize")
        } catch {
            if !error.isNotFound { throw error }
        }
        return nil
    }
}
