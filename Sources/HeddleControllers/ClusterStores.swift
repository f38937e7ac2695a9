import HeddleAPI
package import KubeCore
package import KubeRuntime
package import MeshDialects

/// The caches that controllers and the mesh read; one watch a kind, shared by all.
package struct ClusterStores: Sendable {
    package let namespaces: Store
    package let pods: Store
    package let services: Store
    package let endpointSlices: Store
    package let deployments: Store
    package let replicaSets: Store
    package let meshes: Store
    package let adoptions: Store
    package let canaries: Store
    package let servicePolicies: Store
    package let metricTemplates: Store
    package let virtualServices: Store
    package let destinationRules: Store
    package let peerAuthentications: Store
    package let telemetries: Store
    package let sidecars: Store

    /// Index of ReplicaSets and pods by the uid of their controller.
    package static let byController = "controller"
    /// Index of canaries by `namespace/name` of their target.
    package static let byTarget = "target"
    /// Index of canaries and service policies by `namespace/name` of their Service.
    package static let byService = "service"

    package init(runtime: Runtime) {
        // Kinds of a mesh that is not installed count as empty: there is nothing to read.
        func optional(_ resource: GroupVersionResource) -> Store {
            runtime.store(for: resource, whenNotServed: .countAsEmpty)
        }
        namespaces = runtime.store(for: .namespaces)
        pods = runtime.store(for: .pods, keeping: WatchedFields.pods)
        services = runtime.store(for: .services)
        endpointSlices = runtime.store(for: .endpointSlices, keeping: WatchedFields.endpointSlices)
        deployments = runtime.store(for: .deployments)
        replicaSets = runtime.store(for: .replicaSets, keeping: WatchedFields.replicaSets)
        meshes = runtime.store(for: .meshes)
        adoptions = runtime.store(for: .adoptions)
        canaries = runtime.store(for: .canaries)
        servicePolicies = runtime.store(for: .servicePolicies)
        metricTemplates = runtime.store(for: .metricTemplates)
        virtualServices = optional(.virtualServices)
        destinationRules = optional(.destinationRules)
        peerAuthentications = optional(.peerAuthentications)
        telemetries = optional(.telemetries)
        sidecars = optional(.sidecars)
        for store in [replicaSets, pods] {
            store.addIndex(Self.byController) { $0.controllerReference.map { [$0.uid] } ?? [] }
        }
        canaries.addIndex(Self.byService) { canary in
            canary.spec[path: "service", "name"]?.string.map { ["\(canary.namespace)/\($0)"] } ?? []
        }
        servicePolicies.addIndex(Self.byService) { policy in
            policy.spec["service"]?.string.map { ["\(policy.namespace)/\($0)"] } ?? []
        }
        canaries.addIndex(Self.byTarget) { canary in
            canary.spec[path: "targetRef", "name"]?.string.map { ["\(canary.namespace)/\($0)"] } ?? []
        }
    }

    /// What the mesh snapshot is made of.
    package var meshObjects: MeshObjects {
        var objects = MeshObjects()
        objects.services = services.list()
        objects.endpointSlices = endpointSlices.list()
        objects.pods = pods.list()
        objects.virtualServices = virtualServices.list()
        objects.destinationRules = destinationRules.list()
        objects.peerAuthentications = peerAuthentications.list()
        objects.telemetries = telemetries.list()
        objects.sidecars = sidecars.list()
        return objects
    }

    /// The stores behind `meshObjects`, for whoever follows their changes.
    package var meshStores: [Store] {
        [
            services, endpointSlices, pods, virtualServices, destinationRules, peerAuthentications, telemetries,
            sidecars, meshes,
        ]
    }

    /// The mesh object of a reference such as `VirtualService shop/catalog`; nil when there is none.
    package func meshObject(_ reference: String) -> KubeObject? {
        let parts = reference.split(separator: " ").map(String.init)
        let key = (parts.last ?? "").split(separator: "/").map(String.init)
        guard parts.count == 2, key.count == 2 else { return nil }
        return [virtualServices, destinationRules, peerAuthentications, telemetries, sidecars]
            .first { $0.scope.resource.kind == parts[0] }?.get(namespace: key[0], name: key[1])
    }

    /// ReplicaSets that a Deployment controls.
    package func replicaSets(of deployment: KubeObject) -> [KubeObject] {
        replicaSets.list(index: Self.byController, deployment.uid)
    }

    /// Pods of a Deployment, through its ReplicaSets.
    package func pods(of deployment: KubeObject) -> [KubeObject] {
        replicaSets(of: deployment).flatMap { pods.list(index: Self.byController, $0.uid) }
    }
}
