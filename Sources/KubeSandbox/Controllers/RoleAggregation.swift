import KubeCore

extension GroupVersionResource {
    static let clusterRoles = Self(
        group: "rbac.authorization.k8s.io", resource: "clusterroles", kind: "ClusterRole", isNamespaced: false)
}

/// Fills each ClusterRole that has an `aggregationRule` with the rules of the roles that it selects.
struct RoleAggregation: Reconciler {
    let api: any ClusterAPI
    let cache: ClusterCache

    let name = "role-aggregation"
    let watches: [GroupVersionResource] = [.clusterRoles]

    func keys(for change: ClusterCache.Change) -> [ObjectKey] {
        guard change.object != nil else { return [] }
        return cache.list(.clusterRoles).filter { $0.json["aggregationRule"]?.object != nil }.map(\.key)
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let role = cache.get(.clusterRoles, name: key.name), !role.isBeingDeleted else { return nil }
        let selectors = (role.json[path: "aggregationRule", "clusterRoleSelectors"]?.array ?? []).compactMap {
            try? $0.decode(LabelSelector.self)
        }
        var rules: [JSONValue] = []
        for part in cache.list(.clusterRoles) where part.name != role.name {
            guard selectors.contains(where: { $0.matches(part.labels) }) else { continue }
            for rule in part.json["rules"]?.array ?? [] where !rules.contains(rule) { rules.append(rule) }
        }
        guard role.json["rules"]?.array ?? [] != rules else { return nil }
        let patched = try await api.patch(.clusterRoles, name: role.name, ["rules": .array(rules)])
        cache.observe(.clusterRoles, patched)
        return nil
    }
}
