package import KubeCore
package import MeshModel

/// The objects from which a mesh snapshot is made, as the caches hold them.
package struct MeshObjects: Sendable {
    package var services: [KubeObject] = []
    package var endpointSlices: [KubeObject] = []
    package var pods: [KubeObject] = []
    package var virtualServices: [KubeObject] = []
    package var destinationRules: [KubeObject] = []
    package var peerAuthentications: [KubeObject] = []
    package var telemetries: [KubeObject] = []
    package var sidecars: [KubeObject] = []

    package init() {}
}

extension MeshSnapshot {
    /// Makes the snapshot, the workloads that proxies stand for, and the list of what could not be taken over, by object.
    package static func build(from objects: MeshObjects, settings: MeshSettings) -> (
        snapshot: MeshSnapshot, workloads: [ObjectKey: WorkloadInstance], problems: [String: [FieldError]]
    ) {
        var snapshot = MeshSnapshot(settings: settings)
        var problems: [String: [FieldError]] = [:]
        func take<Value>(_ objects: [KubeObject], _ read: (KubeObject) -> Reading<Value>) -> [Value] {
            objects.sorted { $0.key < $1.key }.compactMap { object in
                let reading = read(object)
                if !reading.problems.isEmpty { problems[object.reference] = reading.problems }
                return reading.value
            }
        }
        for object in objects.services {
            guard let service = KubernetesDiscovery.service(object) else { continue }
            snapshot.services[service.id] = service
        }
        var workloads: [ObjectKey: WorkloadInstance] = [:]
        for pod in objects.pods { workloads[pod.key] = KubernetesDiscovery.workload(pod) }

        var slices: [ServiceID: [KubeObject]] = [:]
        for slice in objects.endpointSlices {
            guard let name = slice.labels["kubernetes.io/service-name"] else { continue }
            slices[ServiceID(namespace: slice.namespace, name: name), default: []].append(slice)
        }
        for (id, service) in snapshot.services {
            snapshot.endpoints[id] = KubernetesDiscovery.endpoints(
                of: service, slices: slices[id] ?? [], workloads: workloads)
        }
        KubernetesDiscovery.addServicePorts(to: &workloads, services: snapshot.services, endpoints: snapshot.endpoints)

        snapshot.routes = take(objects.virtualServices, IstioVirtualService.read)
        snapshot.policies = take(objects.destinationRules, IstioDestinationRule.read)
        snapshot.peerPolicies = take(objects.peerAuthentications, IstioPeerAuthentication.read)
        snapshot.telemetry = take(objects.telemetries, IstioTelemetry.read)
        snapshot.scopes = take(objects.sidecars, IstioSidecar.read)
        return (snapshot, workloads, problems)
    }
}
