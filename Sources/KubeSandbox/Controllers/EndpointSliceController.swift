import KubeCore

/// EndpointSlices and Endpoints of Services that have a selector; Services without one are their owner's business.
struct EndpointSliceController: Reconciler {
    let api: any ClusterAPI
    let cache: ClusterCache

    let name = "endpointslice"
    let watches: [GroupVersionResource] = [.services, .pods, .endpointSlices, .endpoints]

    static let managedByLabel = "endpointslice.kubernetes.io/managed-by"
    static let serviceNameLabel = "kubernetes.io/service-name"
    private static let manager = "endpointslice-controller.k8s.io"

    func keys(for change: ClusterCache.Change) -> [ObjectKey] {
        guard let object = change.object else { return [] }
        switch change.resource {
        case .services, .endpoints: return [object.key]
        case .endpointSlices:
            guard object.labels[Self.managedByLabel] == Self.manager, let service = object.labels[Self.serviceNameLabel]
            else { return [] }
            return [ObjectKey(namespace: object.namespace, name: service)]
        default:
            return cache.list(.services, namespace: object.namespace).filter { service in
                [change.old, change.new].contains { $0.map { Self.selects(service, $0) } ?? false }
            }.map(\.key)
        }
    }

    static func selects(_ service: KubeObject, _ pod: KubeObject) -> Bool {
        let selector = service.spec["selector"]?.stringMap ?? [:]
        return !selector.isEmpty && selector.allSatisfy { pod.labels[$0.key] == $0.value }
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        let present = cache.list(.endpointSlices, namespace: key.namespace).filter {
            $0.labels[Self.serviceNameLabel] == key.name && $0.labels[Self.managedByLabel] == Self.manager
        }
        guard let service = cache.get(.services, namespace: key.namespace, name: key.name), !service.isBeingDeleted,
            !(service.spec["selector"]?.stringMap ?? [:]).isEmpty
        else {
            // The collector removes the slices of a Service that is gone; one that lost its selector keeps them.
            return nil
        }
        let pods = cache.list(.pods, namespace: key.namespace).filter { Self.selects(service, $0) }
        let wanted = EndpointPlan(service: service, pods: pods).slices
        for slice in wanted {
            let old = present.first { $0.name == slice.name }
            try await write(.endpointSlices, slice, over: old, fields: ["endpoints", "ports", "metadata"])
        }
        for old in present where !wanted.contains(where: { $0.name == old.name }) {
            try await api.delete(.endpointSlices, namespace: old.namespace, name: old.name, uid: old.uid)
        }
        let endpoints = EndpointPlan(service: service, pods: pods).endpoints
        try await write(
            .endpoints, endpoints, over: cache.get(.endpoints, namespace: key.namespace, name: key.name),
            fields: ["subsets", "metadata"])
        return nil
    }

    private func write(
        _ resource: GroupVersionResource, _ object: KubeObject, over old: KubeObject?, fields: [String]
    ) async throws {
        guard let old else {
            do {
                cache.observe(resource, try await api.create(resource, object))
            } catch {
                if !error.isAlreadyExists { throw error }
            }
            return
        }
        var target = old.json
        for field in fields {
            target[field] =
                field == "metadata" ? (old.json[field] ?? [:]).merging(object.json[field] ?? [:]) : object.json[field]
        }
        guard let patch = old.json.mergePatch(to: target) else { return }
        cache.observe(resource, try await api.patch(resource, namespace: old.namespace, name: old.name, patch))
    }
}
