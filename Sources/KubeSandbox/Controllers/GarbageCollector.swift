import KubeCore
import Logging

/// Removes objects whose owners are all gone, and carries out foreground and orphan deletion.
///
/// It knows the built-in kinds and, by watching the CustomResourceDefinitions, every custom kind.
struct GarbageCollector: Sendable {
    let api: any ClusterAPI
    let cache: ClusterCache
    let logger: Logger

    /// Works one change at a time until cancelled.
    func run() async {
        for await change in cache.changes(of: nil) {
            if change.resource == .customResourceDefinitions, let definition = change.new {
                for resource in Self.resources(of: definition) { cache.ensure(resource) }
            }
            guard let object = change.object else { continue }
            // Conflicts and owners that the cache sees a little later; what fails for good is somebody's webhook.
            for attempt in 1...5 {
                do {
                    try await settle(change, object)
                    break
                } catch {
                    logger.debug("collecting failed", metadata: ["object": "\(object.key)", "error": "\(error)"])
                    try? await Task.sleep(for: .milliseconds(50 * attempt))
                }
            }
        }
    }

    /// The collections that a CRD serves: its storage version.
    static func resources(of definition: KubeObject) -> [GroupVersionResource] {
        let names = definition.spec["names"]
        let version = definition.spec["versions"]?.array?.first { $0["storage"]?.bool ?? false }?["name"]?.string
        guard let group = definition.spec["group"]?.string, let plural = names?["plural"]?.string,
            let kind = names?["kind"]?.string, let version
        else { return [] }
        return [
            GroupVersionResource(
                group: group, version: version, resource: plural, kind: kind,
                isNamespaced: definition.spec["scope"]?.string == "Namespaced")
        ]
    }

    private func settle(_ change: ClusterCache.Change, _ object: KubeObject) async throws {
        if change.new == nil {
            for (resource, dependent) in dependents(of: object) { try await collect(resource, dependent) }
            // The last blocking dependent of an owner that goes in the foreground.
            for owner in object.ownerReferences {
                if let (resource, found) = find(owner, namespace: object.namespace) {
                    try await finish(resource, found)
                }
            }
            return
        }
        if object.isBeingDeleted { try await finish(change.resource, object) }
        if change.old == nil, !object.ownerReferences.isEmpty { try await collect(change.resource, object) }
    }

    private func dependents(of owner: KubeObject) -> [(GroupVersionResource, KubeObject)] {
        cache.resources.flatMap { resource in
            cache.list(resource, namespace: owner.namespace.isEmpty ? nil : owner.namespace)
                .filter { $0.ownerReferences.contains { $0.uid == owner.uid } }.map { (resource, $0) }
        }
    }

    /// Deletes an object none of whose owners is there.
    private func collect(_ resource: GroupVersionResource, _ object: KubeObject) async throws {
        guard !object.isBeingDeleted, !object.ownerReferences.isEmpty else { return }
        for owner in object.ownerReferences {
            guard let ownerResource = self.resource(of: owner) else { return }
            if find(owner, namespace: object.namespace) != nil { return }
            // The cache may lag: only the API's word kills.
            let live = try await api.find(
                ownerResource, namespace: ownerResource.isNamespaced ? object.namespace : nil, name: owner.name)
            if live?.uid == owner.uid { return }
        }
        try await api.delete(resource, namespace: object.namespace, name: object.name, uid: object.uid)
    }

    private func resource(of owner: OwnerReference) -> GroupVersionResource? {
        cache.resources.first { $0.kind == owner.kind && $0.apiVersion == owner.apiVersion }
            // Another version of the same kind: uid and name are the same there.
            ?? cache.resources.first { $0.kind == owner.kind && $0.group == Self.group(owner.apiVersion) }
    }

    private static func group(_ apiVersion: String) -> String {
        apiVersion.contains("/") ? String(apiVersion.prefix { $0 != "/" }) : ""
    }

    private func find(_ owner: OwnerReference, namespace: String) -> (GroupVersionResource, KubeObject)? {
        guard let resource = resource(of: owner),
            let object = cache.get(resource, namespace: resource.isNamespaced ? namespace : "", name: owner.name),
            object.uid == owner.uid
        else { return nil }
        return (resource, object)
    }

    /// Does what a deletion finalizer of the collector's asks for.
    private func finish(_ resource: GroupVersionResource, _ object: KubeObject) async throws {
        guard object.isBeingDeleted else { return }
        if object.finalizers.contains("orphan") {
            for (kind, dependent) in dependents(of: object) {
                var freed = dependent
                freed.ownerReferences = dependent.ownerReferences.filter { $0.uid != object.uid }
                let owners = freed.json[path: "metadata", "ownerReferences"] ?? .null
                _ = try await api.patch(
                    kind, namespace: dependent.namespace, name: dependent.name,
                    ["metadata": ["ownerReferences": owners]])
            }
            try await removeFinalizer("orphan", resource, object)
        } else if object.finalizers.contains("foregroundDeletion") {
            let blocking = dependents(of: object)
            for (kind, dependent) in blocking where !dependent.isBeingDeleted {
                try await api.delete(
                    kind, namespace: dependent.namespace, name: dependent.name, uid: dependent.uid,
                    propagation: "Foreground")
            }
            if blocking.isEmpty { try await removeFinalizer("foregroundDeletion", resource, object) }
        }
    }

    private func removeFinalizer(_ finalizer: String, _ resource: GroupVersionResource, _ object: KubeObject)
        async throws
    {
        let rest = object.finalizers.filter { $0 != finalizer }
        do {
            _ = try await api.patch(
                resource, namespace: object.namespace, name: object.name, ["metadata": ["finalizers": JSONValue(rest)]])
        } catch {
            if !error.isNotFound { throw error }
        }
    }
}
