import HeddleAPI
package import KubeCore

/// Whether a new pod gets a sidecar, and why.
package enum InjectionDecision: Sendable, Hashable {
    case inject
    case skip(Reason)

    /// Why a pod stays as it is. The raw value is the reason of the event and the metric.
    package enum Reason: String, Sendable, Hashable, CaseIterable {
        /// The pod uses its node's network: redirecting its traffic would redirect the node's.
        case hostNetwork = "HostNetwork"
        /// A system namespace, or Heddle's own.
        case excludedNamespace = "ExcludedNamespace"
        /// The pod's own label or annotation says no.
        case optedOut = "OptedOut"
        /// Neither the pod nor its namespace asks for it.
        case notRequested = "NotRequested"
        /// A sidecar is there already, Heddle's or another mesh's.
        case alreadyInjected = "AlreadyInjected"
        /// The label or annotation is neither "true" nor "false".
        case invalidValue = "InvalidValue"
    }

    /// Label or annotation on a pod, label on a namespace.
    package static let injectKey = HeddleLabel.inject
    package static let systemNamespaces: Set<String> = ["kube-system", "kube-public", "kube-node-lease"]
    private static let foreignSidecars: Set<String> = ["istio-proxy", "linkerd-proxy", "consul-dataplane"]

    /// The pod's label beats its annotation, and both beat the namespace's label.
    package static func decide(pod: KubeObject, namespaceLabels: [String: String], excludedNamespaces: Set<String>)
        -> Self
    {
        if systemNamespaces.union(excludedNamespaces).contains(pod.namespace) { return .skip(.excludedNamespace) }
        if pod.spec["hostNetwork"]?.bool == true { return .skip(.hostNetwork) }
        let containers = (pod.spec["containers"]?.array ?? []) + (pod.spec["initContainers"]?.array ?? [])
        let names = Set(containers.compactMap { $0["name"]?.string })
        if names.contains(SidecarInjector.proxyContainer) || !names.isDisjoint(with: foreignSidecars) {
            return .skip(.alreadyInjected)
        }
        if let own = pod.labels[injectKey] ?? pod.annotations[injectKey] {
            switch own {
            case "true": return .inject
            case "false": return .skip(.optedOut)
            default: return .skip(.invalidValue)
            }
        }
        return namespaceLabels[injectKey] == "true" ? .inject : .skip(.notRequested)
    }
}
