package import KubeCore
package import KubeRuntime

/// Keeps the published root certificates current, in every namespace that has them: when the authority's roots change, and
/// when somebody spoils a ConfigMap. Where there is none, injection makes one.
package struct RootPublisher: Reconciler {
    let keeper: AuthorityKeeper
    /// ConfigMaps by the one name, in all namespaces.
    let store: Store
    /// The roots in PEM, as they are now.
    let roots: @Sendable () -> String

    package init(keeper: AuthorityKeeper, store: Store, roots: @escaping @Sendable () -> String) {
        self.keeper = keeper
        self.store = store
        self.roots = roots
    }

    package func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        let roots = roots()
        guard let map = store.get(key), !map.isBeingDeleted, !roots.isEmpty,
            map.json[path: "data", "root.pem"]?.string != roots
        else { return .done }
        try await keeper.publish(roots, in: key.namespace)
        return .done
    }
}
