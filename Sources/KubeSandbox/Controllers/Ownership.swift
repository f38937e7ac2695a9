import KubeCore

/// Which objects a controller counts as its own: those it owns, and orphans that its selector matches, which it adopts.
struct Ownership: Sendable {
    let api: any ClusterAPI
    let cache: ClusterCache

    /// The owned objects; adopts matching orphans and lets go of owned ones that no longer match.
    func claim(
        _ resource: GroupVersionResource, for owner: KubeObject, selector: LabelSelector,
        adopting canAdopt: (KubeObject) -> Bool = { _ in true }
    ) async throws -> [KubeObject] {
        var claimed: [KubeObject] = []
        for object in cache.list(resource, namespace: owner.namespace) {
            let matches = selector.matches(object.labels)
            if let reference = object.controllerReference {
                guard reference.uid == owner.uid else { continue }
                if matches {
                    claimed.append(object)
                } else if !owner.isBeingDeleted {
                    try await setOwners(resource, object, object.ownerReferences.filter { $0.uid != owner.uid })
                }
            } else if matches, !owner.isBeingDeleted, !object.isBeingDeleted, canAdopt(object) {
                claimed.append(try await setOwners(resource, object, object.ownerReferences + [owner.asController]))
            }
        }
        return claimed
    }

    @discardableResult
    private func setOwners(_ resource: GroupVersionResource, _ object: KubeObject, _ owners: [OwnerReference])
        async throws
        -> KubeObject
    {
        var wanted = object
        wanted.ownerReferences = owners
        // The uid makes this fail when another object took the name meanwhile.
        let patch: JSONValue = [
            "metadata": [
                "uid": .string(object.uid),
                "ownerReferences": wanted.json[path: "metadata", "ownerReferences"] ?? .null,
            ]
        ]
        let result = try await api.patch(resource, namespace: object.namespace, name: object.name, patch)
        cache.observe(resource, result)
        return result
    }
}
