package import KubeCore

/// What an API server serves, in its order of preference.
package struct APICatalog: Sendable, Hashable {
    package struct Resource: Sendable, Hashable {
        package var resource: GroupVersionResource
        /// Singular name, e.g. `deployment`; empty when the server does not say.
        package var singular: String
        package var shortNames: [String]
        package var categories: [String]
        /// As in RBAC.
        package var verbs: [String]
        /// By name, e.g. `status`, `scale`.
        package var subresources: [String]
    }

    package var resources: [Resource] = []
    /// Groups and versions that exist but could not be looked into, e.g. because the server behind them is down.
    package var failures: [String: String] = [:]

    package init() {}

    package func serves(_ resource: GroupVersionResource) -> Bool {
        resources.contains {
            $0.resource.group == resource.group && $0.resource.version == resource.version
                && $0.resource.resource == resource.resource
        }
    }

    /// What a person's word means, as kubectl reads it: `deployments`, `deployment`, `deploy`, `Deployment`,
    /// `deployments.apps`, `deployments.v1.apps`. Most preferred first; empty when nothing is called so.
    package func find(_ word: String) -> [Resource] {
        let parts = word.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let first = parts.first?.lowercased(), !first.isEmpty else { return [] }
        let qualifier = parts.count > 1 ? parts[1] : nil
        return resources.filter { entry in
            let resource = entry.resource
            let isNamed =
                resource.resource == first || entry.singular == first || resource.kind.lowercased() == first
                || entry.shortNames.contains(first)
            guard isNamed, let qualifier else { return isNamed }
            return qualifier == resource.group || qualifier == "\(resource.version).\(resource.group)"
                || (resource.group.isEmpty && qualifier == resource.version)
        }
    }
}
