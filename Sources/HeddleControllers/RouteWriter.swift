import FoundationEssentials
package import HeddleAPI
package import KubeCore
import KubeRuntime
import MeshDialects
package import MeshModel
package import MeshPlan

/// Writes the mesh objects of a Service (a VirtualService and a DestinationRule) as `ServiceRouting` composes them, and
/// reads the split back. Writes nothing that is there already.
package struct RouteWriter: Sendable {
    /// One manager for both objects, whichever controller has a say in them.
    package static let fieldManager = "heddle-routes"

    /// The route of a host is somebody else's.
    package struct Conflict: Error, Sendable, Hashable, CustomStringConvertible {
        package var description: String
    }

    let api: any ClusterAPI
    let stores: ClusterStores

    package init(api: any ClusterAPI, stores: ClusterStores) {
        self.api = api
        self.stores = stores
    }

    /// Name of both objects of a Service.
    package static func name(of service: ServiceID) -> String { "\(service.name)-heddle" }

    /// Puts the objects into the state that policy and split ask for.
    /// - Throws: `Conflict` when another VirtualService or DestinationRule is for the same host; `APIError`.
    package func write(_ routing: ServiceRouting) async throws {
        let service = routing.service
        if routing.route != nil || routing.destinationPolicy != nil { try checkHost(service) }
        let route = routing.route.map { IstioVirtualService.spec($0) }
        let policy = routing.destinationPolicy.map { IstioDestinationRule.spec($0) }
        // Subsets come before the route that names them, and go after it.
        if routing.split != nil {
            try await put(policy, .destinationRules, service, in: stores.destinationRules)
            try await put(route, .virtualServices, service, in: stores.virtualServices)
        } else {
            try await put(route, .virtualServices, service, in: stores.virtualServices)
            try await put(policy, .destinationRules, service, in: stores.destinationRules)
        }
    }

    /// The split as the cached objects have it; nil when the service's route splits nothing.
    package func split(of service: ServiceID) -> ServiceRouting.Split? {
        let key = ObjectKey(namespace: service.namespace, name: Self.name(of: service))
        guard let object = stores.virtualServices.get(key), let route = IstioVirtualService.read(object).value,
            let weight = ServiceRouting.Split.canaryWeight(in: route),
            let policy = stores.destinationRules.get(key).flatMap({ IstioDestinationRule.read($0).value })
        else { return nil }
        func hash(_ subset: String) -> String {
            policy.subsets.first { $0.name == subset }?.labels[HeddleLabel.podTemplateHash] ?? ""
        }
        return ServiceRouting.Split(
            stableHash: hash(ServiceRouting.stableSubset), canaryHash: hash(ServiceRouting.canarySubset),
            canaryWeightPercent: weight)
    }

    /// The policy of a Service, where a valid one exists; of several the oldest counts.
    package func policy(of service: ServiceID) -> ServicePolicySpec? {
        stores.servicePolicies.list(namespace: service.namespace)
            .filter { $0.spec["service"]?.string == service.name && !$0.isBeingDeleted }
            .sorted { ($0.creationTimestamp ?? .distantPast, $0.name) < ($1.creationTimestamp ?? .distantPast, $1.name) }
            .lazy.compactMap { try? ServicePolicy($0).spec }.first
    }

    /// What the proxies should know about a Service's route, by the names of its objects.
    package static func sources(of service: ServiceID) -> [String] {
        ["VirtualService", "DestinationRule"].map { "\($0) \(service.namespace)/\(name(of: service))" }
    }

    private func put(
        _ spec: JSONValue?, _ resource: GroupVersionResource, _ service: ServiceID, in store: Store
    ) async throws(APIError) {
        let key = ObjectKey(namespace: service.namespace, name: Self.name(of: service))
        let current = store.get(key)
        guard let spec else {
            if let current { try await api.delete(resource, namespace: key.namespace, name: key.name, uid: current.uid) }
            return
        }
        if current?.spec == spec { return }
        var object = KubeObject(resource, namespace: key.namespace, name: key.name)
        object.labels = [HeddleLabel.managedBy: "heddle"]
        object.spec = spec
        try await api.apply(resource, object, fieldManager: Self.fieldManager, force: true)
    }

    private func checkHost(_ service: ServiceID) throws {
        func others(_ store: Store, _ hosts: (KubeObject) -> [String]) -> KubeObject? {
            store.list(namespace: service.namespace).first { object in
                object.labels[HeddleLabel.managedBy] != "heddle"
                    && hosts(object).contains { ServiceID(host: $0, in: object.namespace) == service }
            }
        }
        let route = others(stores.virtualServices) { $0.spec["hosts"]?.array?.compactMap(\.string) ?? [] }
        let rule = others(stores.destinationRules) { $0.spec["host"]?.string.map { [$0] } ?? [] }
        guard let other = route ?? rule else { return }
        throw Conflict(
            description: "\(other.reference) is for the host \(service.host()) too, and a mesh takes only one. "
                + "Move what it says into a ServicePolicy, or delete it; Heddle leaves it as it is.")
    }
}
