/// What a workload accepts on its ports: the meaning of a PeerAuthentication.
package struct PeerPolicy: Sendable, Hashable {
    /// The object it came from, e.g. `PeerAuthentication shop/default`.
    package var source: String
    package var namespace: String
    /// Nil: the whole namespace (the whole mesh in the root namespace).
    package var selector: [String: String]?
    package var mode: MTLSMode?
    /// By container port; only with a selector.
    package var portModes: [Int: MTLSMode]
    /// Orders policies of one scope: the oldest wins. Any sortable text (RFC 3339).
    package var createdAt: String

    package init(
        source: String, namespace: String, selector: [String: String]? = nil, mode: MTLSMode? = nil,
        portModes: [Int: MTLSMode] = [:], createdAt: String = ""
    ) {
        self.source = source
        self.namespace = namespace
        self.selector = selector
        self.mode = mode
        self.portModes = portModes
        self.createdAt = createdAt
    }
}

package enum MTLSMode: String, Sendable, Hashable {
    case strict = "STRICT"
    case permissive = "PERMISSIVE"
    case disable = "DISABLE"
}

extension [PeerPolicy] {
    /// What a workload accepts on a port: mesh (root namespace, no selector) < namespace < workload, the oldest of each
    /// scope; a port's mode only from the workload's policy. Nothing set: permissive. As Istio decides it.
    package func mode(for workload: WorkloadInstance, port: Int, rootNamespace: String) -> MTLSMode {
        func oldest(_ scope: (PeerPolicy) -> Bool) -> PeerPolicy? {
            filter(scope).min { ($0.createdAt, $0.source) < ($1.createdAt, $1.source) }
        }
        let mesh = oldest { $0.namespace == rootNamespace && $0.selector == nil }
        let namespace = oldest { $0.namespace == workload.namespace && $0.selector == nil }
        let own = oldest { policy in
            guard policy.namespace == workload.namespace, policy.namespace != rootNamespace,
                let selector = policy.selector
            else { return false }
            return selector.allSatisfy { workload.labels[$0.key] == $0.value }
        }
        return own?.portModes[port] ?? own?.mode ?? namespace?.mode ?? mesh?.mode ?? .permissive
    }
}
