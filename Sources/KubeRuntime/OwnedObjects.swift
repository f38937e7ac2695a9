package import KubeCore

/// What one object must not own another for.
package enum OwnershipError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The owner has no uid yet: it was never stored.
    case ownerNotStored(ObjectKey)
    /// Namespaced owners own in their namespace only: the garbage collector would delete the object at once.
    case ownerElsewhere(owner: ObjectKey, object: ObjectKey)
    /// Another object controls it already.
    case controlled(ObjectKey, by: OwnerReference)

    package var description: String {
        switch self {
        case .ownerNotStored(let owner): "\(owner) cannot own anything before it is stored"
        case .ownerElsewhere(let owner, let object): "\(owner) cannot own \(object), which is not in its namespace"
        case .controlled(let object, let by): "\(object) is controlled by \(by.kind) \(by.name) already"
        }
    }
}

extension KubeObject {
    /// Makes `owner` the controlling owner: this object goes with it, by the cluster's own garbage collection.
    package mutating func setController(_ owner: KubeObject) throws(OwnershipError) {
        guard !owner.uid.isEmpty else { throw .ownerNotStored(owner.key) }
        guard owner.namespace.isEmpty || owner.namespace == namespace else {
            throw .ownerElsewhere(owner: owner.key, object: key)
        }
        if let other = controllerReference, other.uid != owner.uid { throw .controlled(key, by: other) }
        ownerReferences = ownerReferences.filter { $0.uid != owner.uid } + [owner.asController]
    }

    /// Whether `owner`, that very object and not one that bore its name before, controls this one.
    package func isControlled(by owner: KubeObject) -> Bool {
        !owner.uid.isEmpty && controllerReference?.uid == owner.uid
    }
}

/// The objects of one kind that objects of another control, from the cache.
package struct OwnedObjects: Sendable {
    private static let index = " controller"
    private let store: Store
    private let api: any ClusterAPI

    /// Adds an index to the store.
    package init(_ store: Store, api: any ClusterAPI) {
        self.store = store
        self.api = api
        store.addIndex(Self.index) { $0.controllerReference.map { [$0.uid] } ?? [] }
    }

    package func of(_ owner: KubeObject) -> [KubeObject] { store.list(index: Self.index, owner.uid) }

    /// Deletes what `owner` controls and does not want any more. Each deletion names the uid and resource version that were
    /// seen, so it cannot hit an object that came under the name since, or that somebody changed. Nothing to delete costs no
    /// request.
    /// - Returns: how many were deleted.
    /// - Throws: the first `APIError`; a conflict means that the cache was behind.
    @discardableResult
    package func prune(of owner: KubeObject, keeping: Set<ObjectKey>) async throws(APIError) -> Int {
        var deleted = 0
        for object in of(owner) where !keeping.contains(object.key) && !object.isBeingDeleted {
            try await api.delete(
                store.scope.resource, namespace: object.namespace, name: object.name, uid: object.uid,
                resourceVersion: object.resourceVersion)
            deleted += 1
        }
        return deleted
    }
}
