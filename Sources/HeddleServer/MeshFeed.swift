import EnvoyAPI
import EnvoyConfig
package import KubeCore
package import MeshDialects
package import MeshModel
import Synchronization
package import XDSServer

/// What proxies should have, made from what the caches hold: the one place where the cluster's objects become Envoy's
/// configuration. `refresh` takes in a new state; proxies ask for their part of it.
package final class MeshFeed: ProxyConfigurationSource, Sendable {
    private struct State {
        var snapshot = MeshSnapshot()
        var workloads: [ObjectKey: WorkloadInstance] = [:]
        var problems: [String: [FieldError]] = [:]
        var called = CalledServices()
    }

    private let state = Mutex(State())

    package init() {}

    /// Takes in the objects of this moment.
    /// - Returns: Whether anything that proxies see has changed.
    package func refresh(_ objects: MeshObjects, settings: MeshSettings) -> Bool {
        let built = MeshSnapshot.build(from: objects, settings: settings)
        return state.withLock { state in
            let isChanged = state.snapshot != built.snapshot || state.workloads != built.workloads
            state.snapshot = built.snapshot
            state.workloads = built.workloads
            state.problems = built.problems
            if isChanged { state.called.keep(built.workloads.values, built.snapshot.services) }
            return isChanged
        }
    }

    package var snapshot: MeshSnapshot { state.withLock { $0.snapshot } }

    /// What could not be taken over from mesh objects, by object (`VirtualService shop/catalog`).
    package var problems: [String: [FieldError]] { state.withLock { $0.problems } }

    package func resources(for proxy: ProxyIdentity, requested: Set<String>) -> ResourceSet {
        guard let configuration = configuration(of: proxy, requested: requested) else { return ResourceSet() }
        var resources = ResourceSet()
        func requires(_ kind: ResourceKey.Kind, _ name: String) -> Set<String> {
            configuration.requiredClusters[ResourceKey(kind, name)] ?? []
        }
        // Encoding fails only for messages with missing required fields, which proto3 has not.
        for cluster in configuration.clusters {
            if let resource = try? XDSResource(name: cluster.name, message: cluster) { resources.insert(resource) }
        }
        for endpoints in configuration.endpoints {
            if let resource = try? XDSResource(name: endpoints.clusterName, message: endpoints) {
                resources.insert(resource)
            }
        }
        for listener in configuration.listeners {
            let needed = requires(.listener, listener.name)
            if let resource = try? XDSResource(name: listener.name, message: listener, requires: needed) {
                resources.insert(resource)
            }
        }
        for routes in configuration.routes {
            let needed = requires(.routes, routes.name)
            if let resource = try? XDSResource(name: routes.name, message: routes, requires: needed) {
                resources.insert(resource)
            }
        }
        return resources
    }

    /// The objects that a refused resource was made of, most specific first.
    package func sources(of rejection: Rejection, for proxy: ProxyIdentity) -> [String] {
        guard let configuration = configuration(of: proxy, requested: []) else { return [] }
        return rejection.resourceNames.flatMap { name in
            ResourceKey(typeURL: rejection.type.rawValue, name: name).flatMap { configuration.sources[$0] } ?? []
        }
    }

    private func configuration(of proxy: ProxyIdentity, requested: Set<String>) -> ProxyConfiguration? {
        let known = state.withLock { state -> (MeshSnapshot, WorkloadInstance, Set<ServiceID>)? in
            let key = ObjectKey(namespace: proxy.namespace, name: proxy.podName)
            guard let workload = state.workloads[key] else { return nil }
            state.called.note(requested, by: workload, clusterDomain: state.snapshot.settings.clusterDomain)
            return (state.snapshot, workload, state.called.services(calledBy: workload))
        }
        // A pod that the cache does not know yet gets its configuration when it does: the feed is refreshed then.
        guard let (snapshot, workload, called) = known else { return nil }
        return ProxyConfiguration.make(for: workload, in: snapshot, calling: called)
    }
}
