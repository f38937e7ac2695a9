package import KubeCore

/// Holds an object's deletion until what Heddle made for it elsewhere is undone.
///
/// Guarantees:
/// - `apply` runs only after the finalizer is stored, so nothing is made that a deletion could leave behind;
/// - `cleanup` runs while the object still exists, at least once, and again after a crash: it must bear repetition;
/// - the finalizer goes only after `cleanup` has succeeded, and other finalizers are never touched: both writes carry the
///   resource version that they were computed from, and conflict rather than overwrite.
///
/// Not guaranteed: anything, if a person removes the finalizer by hand. What can be owned by reference needs no finalizer.
package struct Finalizer: Sendable {
    /// As in `metadata.finalizers`: `heddle.dev/<what>`.
    package let name: String
    private let api: any ClusterAPI
    private let resource: GroupVersionResource

    package init(_ name: String, of resource: GroupVersionResource, api: any ClusterAPI) {
        self.name = name
        self.resource = resource
        self.api = api
    }

    package func isOn(_ object: KubeObject) -> Bool { object.finalizers.contains(name) }

    /// Runs `apply` on a living object and `cleanup` on one that is being deleted; without the finalizer, the latter is
    /// none of our business any more.
    /// - Throws: what the closures throw, and `APIError`; on a conflict the cached object is behind: try again later.
    package func reconcile(
        _ object: KubeObject, apply: (KubeObject) async throws -> ReconcileResult,
        cleanup: (KubeObject) async throws -> ReconcileResult
    ) async throws -> ReconcileResult {
        guard object.isBeingDeleted else { return try await apply(try await add(to: object)) }
        guard isOn(object) else { return .done }
        // A cleanup that wants to be called again is not done.
        if case .requeue(let delay) = try await cleanup(object) { return .requeue(after: delay) }
        try await remove(from: object)
        return .done
    }

    /// Stores the finalizer unless it is there.
    /// - Returns: the object as it is now.
    package func add(to object: KubeObject) async throws(APIError) -> KubeObject {
        if isOn(object) { return object }
        return try await write(object.finalizers + [name], to: object)
    }

    /// Takes the finalizer away; that the object has gone meanwhile is fine.
    package func remove(from object: KubeObject) async throws(APIError) {
        guard isOn(object) else { return }
        do {
            _ = try await write(object.finalizers.filter { $0 != name }, to: object)
        } catch  where error.isNotFound {}
    }

    private func write(_ finalizers: [String], to object: KubeObject) async throws(APIError) -> KubeObject {
        try await api.patch(
            resource, namespace: object.namespace, name: object.name,
            [
                "metadata": [
                    "resourceVersion": .string(object.resourceVersion),
                    "finalizers": finalizers.isEmpty ? .null : JSONValue(finalizers),
                ]
            ])
    }
}
