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
    package static func name(of service: ServiceID) -> String { service.name + suffix }
    private static let suffix = "-heddle"

    /// Puts the objects into the state that policy and split ask for. What is there already is kept right even beside
    /// somebody else's route, so that a weight can always be taken back; nothing new is made there.
    /// - Throws: `Conflict` when another VirtualService or DestinationRule is for the same host; `APIError`, a conflict
    ///   among them when the caches are behind.
    package func write(_ routing: ServiceRouting) async throws {
        let service = routing.service
        if routing.route != nil || routing.destinationPolicy != nil, let conflict = conflict(on: service),
            !isOurs(routing.route, in: stores.virtualServices, service)
                || !isOurs(routing.destinationPolicy, in: stores.destinationRules, service)
        {
            throw conflict
        }
        let route = routing.route.map { IstioVirtualService.spec($0) }
        let policy = routing.destinationPolicy.map { IstioDestinationRule.spec($0) }
        try await confirmSeen(route, .virtualServices, policy, .destinationRules, service)
        // Subsets come before the route that names them, and go after it.
        if routing.split != nil {
            try await put(policy, .destinationRules, service, in: stores.destinationRules)
            try await put(route, .virtualServices, service, in: stores.virtualServices)
        } else {
            try await put(route, .virtualServices, service, in: stores.virtualServices)
            try await put(policy, .destinationRules, service, in: stores.destinationRules)
        }
    }

    /// The split as the cached objects have it; nil when the service's route splits nothing. A subset that the
    /// DestinationRule does not have, as between two writes, has an empty hash.
    package func split(of service: ServiceID) -> ServiceRouting.Split? {
        let key = ObjectKey(namespace: service.namespace, name: Self.name(of: service))
        guard let object = stores.virtualServices.get(key), let route = IstioVirtualService.read(object).value,
            let weight = ServiceRouting.Split.canaryWeight(in: route)
        else { return nil }
        let policy = stores.destinationRules.get(key).flatMap { IstioDestinationRule.read($0).value }
        func hash(_ subset: String) -> String {
            policy?.subsets.first { $0.name == subset }?.labels[HeddleLabel.podTemplateHash] ?? ""
        }
        return ServiceRouting.Split(
            stableHash: hash(ServiceRouting.stableSubset), canaryHash: hash(ServiceRouting.canarySubset),
            canaryWeightPercent: weight)
    }

    /// The services of a namespace that objects of Heddle's are for.
    package func services(in namespace: String) -> [ServiceID] {
        let objects =
            stores.virtualServices.list(namespace: namespace) + stores.destinationRules.list(namespace: namespace)
        return Set(objects.compactMap { Self.service(of: $0) }).sorted()
    }

    /// The Service that one of Heddle's own route objects is for; nil for others' objects.
    package static func service(of object: KubeObject) -> ServiceID? {
        guard object.labels[HeddleLabel.managedBy] == "heddle", object.name.hasSuffix(suffix) else { return nil }
        return ServiceID(namespace: object.namespace, name: String(object.name.dropLast(suffix.count)))
    }

    /// Takes away the subsets that a removal left when it was cut off between its two writes.
    package func removeLeftovers(of service: ServiceID) async throws {
        guard split(of: service) == nil, hasSubsets(service) else { return }
        try await write(ServiceRouting(service: service, policy: policy(of: service), split: nil))
    }

    /// Whether Heddle's DestinationRule of a Service names subsets.
    package func hasSubsets(_ service: ServiceID) -> Bool {
        stores.destinationRules.get(namespace: service.namespace, name: Self.name(of: service)).map {
            Self.service(of: $0) != nil && $0.spec["subsets"]?.array?.isEmpty == false
        } ?? false
    }

    /// The policy of a Service, where a valid one exists; of several the oldest counts.
    package func policy(of service: ServiceID) -> ServicePolicySpec? {
        stores.servicePolicies.list(index: ClusterStores.byService, "\(service.namespace)/\(service.name)")
            .filter { !$0.isBeingDeleted }
            .sorted {
                ($0.creationTimestamp ?? .distantPast, $0.name) < ($1.creationTimestamp ?? .distantPast, $1.name)
            }
            .lazy.compactMap { try? ServicePolicy($0).spec }.first
    }

    /// What the proxies should know about a Service's route, by the names of its objects.
    package static func sources(of service: ServiceID) -> [String] {
        ["VirtualService", "DestinationRule"].map { "\($0) \(service.namespace)/\(name(of: service))" }
    }

    private func put(
        _ spec: JSONValue?, _ resource: GroupVersionResource, _ service: ServiceID, in store: Store
    ) async throws {
        let key = ObjectKey(namespace: service.namespace, name: Self.name(of: service))
        let current = store.get(key)
        guard let spec else {
            guard let current, Self.service(of: current) != nil else { return }
            return try await api.delete(resource, namespace: key.namespace, name: key.name, uid: current.uid)
        }
        if current?.spec == spec { return }
        var object = KubeObject(resource, namespace: key.namespace, name: key.name)
        if let current { object.resourceVersion = current.resourceVersion }
        object.labels = [HeddleLabel.managedBy: "heddle"]
        object.spec = spec
        try await api.apply(resource, object, fieldManager: Self.fieldManager, force: true)
    }

    /// Two controllers write these objects, and the two objects belong together: the one whose cache is behind in either must
    /// not put an old weight back, or a route to subsets that are gone. Asked only when something is to be written.
    /// - Throws: `CacheBehind`.
    private func confirmSeen(
        _ route: JSONValue?, _ routes: GroupVersionResource, _ policy: JSONValue?, _ rules: GroupVersionResource,
        _ service: ServiceID
    ) async throws {
        let key = ObjectKey(namespace: service.namespace, name: Self.name(of: service))
        let cached = [
            (routes, stores.virtualServices.get(key), route), (rules, stores.destinationRules.get(key), policy),
        ]
        guard cached.contains(where: { $0.1?.json["spec"] != $0.2 }) else { return }
        for (resource, object, _) in cached {
            let live: KubeObject?
            do {
                live = try await api.get(resource, namespace: key.namespace, name: key.name)
            } catch {
                guard error.isNotFound else { throw error }
                live = nil
            }
            if live?.resourceVersion != object?.resourceVersion { throw CacheBehind() }
        }
    }

    /// Somebody else's object for the same host, or of the name that Heddle's would have; nil when there is none.
    package func conflict(on service: ServiceID) -> Conflict? {
        func other(_ store: Store, _ hosts: (KubeObject) -> [String]) -> KubeObject? {
            store.list(namespace: service.namespace).first { object in
                object.labels[HeddleLabel.managedBy] != "heddle"
                    && (object.name == Self.name(of: service)
                        || hosts(object).contains { ServiceID(host: $0, in: object.namespace) == service })
            }
        }
        let route = other(stores.virtualServices) { object in
            // Routes of gateways alone say nothing to sidecars.
            let gateways = object.spec["gateways"]?.array?.compactMap(\.string) ?? []
            guard gateways.isEmpty || gateways.contains("mesh") else { return [] }
            return object.spec["hosts"]?.array?.compactMap(\.string) ?? []
        }
        let rule = other(stores.destinationRules) { $0.spec["host"]?.string.map { [$0] } ?? [] }
        return (route ?? rule).map { other in
            Conflict(
                description: "\(other.reference) is for the host \(service.host()) too, and a mesh takes only one. "
                    + "Move what it says into a ServicePolicy, or delete it; Heddle leaves it as it is.")
        }
    }

    /// Whether a part needs no new object: there is nothing to say, or Heddle's own object is there.
    private func isOurs<Part>(_ part: Part?, in store: Store, _ service: ServiceID) -> Bool {
        guard part != nil else { return true }
        return store.get(namespace: service.namespace, name: Self.name(of: service)).map { Self.service(of: $0) != nil }
            ?? false
    }
}
