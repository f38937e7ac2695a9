package import KubeCore

/// Holds an object's deletion until what Heddle made for it elsewhere is undone.
///
/// ## Guarantees
///
/// - **Nothing is made before it can be undone.** `apply` runs only after the finalizer is stored.
/// - **`cleanup` runs while the object still exists**, at least once for every object on which `apply` ever ran, and again
///   after every failure, conflict, restart and change of leader until it has succeeded once.
/// - **The finalizer goes last**: only after `cleanup` has returned `.done`. `.requeue` says that it is not through.
/// - **At most one at a time.** A controller reconciles one key once at a time, and the fence keeps a replica that lost the
///   lead from writing; so `apply` and `cleanup` of one object do not overlap, except that calls which leave the cluster
///   (a webhook, say) may still be under way on the replica that was stopped.
/// - **Other finalizers are never touched.** Both writes carry the resource version that they were computed from, and
///   conflict rather than overwrite.
///
/// ## What the closures owe
///
/// - Both must bear repetition: a crash after the work and before the answer runs them again.
/// - `cleanup` must not need `apply` to have ended: it may have failed half-way, or not have begun.
/// - `cleanup` must end. An object that cannot be cleaned up stays, and says so in its conditions; only a person may take
///   the finalizer away.
///
/// ## Where a crash leaves it
///
/// | crash | what happens next |
/// |---|---|
/// | before the finalizer is stored | nothing was made; `apply` starts anew |
/// | after it is stored, before `apply` | `apply` runs |
/// | during or after `apply` | `apply` runs again |
/// | during or after `cleanup` | `cleanup` runs again |
/// | after the finalizer was taken away | the object is gone; nothing is left to do |
///
/// ## Not guaranteed
///
/// Anything, if a person removes the finalizer by hand or deletes the CRD's storage. Nor a time: an operator that does not
/// run holds deletions up. So Heddle puts a finalizer only on objects that have something to undo outside of them; what
/// can be owned by reference needs none (`OwnedObjects`).
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
        } catch {
            guard error.isNotFound else { throw error }
        }
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
