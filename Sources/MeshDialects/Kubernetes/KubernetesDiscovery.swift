package import KubeCore
package import MeshModel

/// Services, pods and endpoint slices as the mesh's services, workloads and endpoints.
package enum KubernetesDiscovery {
    /// The label that injection puts on a pod: its sidecar accepts mutual TLS.
    package static let injectedLabel = "heddle.dev/injected"

    package static func service(_ object: KubeObject) -> MeshService? {
        guard object.spec["type"]?.string != "ExternalName" else { return nil }
        let addresses = object.spec["clusterIPs"]?.array?.compactMap(\.string) ?? []
        let single = object.spec["clusterIP"]?.string.map { [$0] } ?? []
        let ports: [ServicePort] = (object.spec["ports"]?.array ?? []).compactMap { port in
            guard let number = port["port"]?.int, port["protocol"]?.string ?? "TCP" == "TCP" else { return nil }
            let name = port["name"]?.string
            return ServicePort(
                name: name ?? "", number: number,
                protocol: PortProtocol(appProtocol: port["appProtocol"]?.string, portName: name))
        }
        return MeshService(
            id: ServiceID(namespace: object.namespace, name: object.name),
            addresses: (addresses.isEmpty ? single : addresses).filter { $0 != "None" && !$0.isEmpty }, ports: ports)
    }

    /// A pod as a workload; its ports are those that its containers declare. Services add theirs: `endpoints`.
    package static func workload(_ pod: KubeObject) -> WorkloadInstance? {
        guard let address = pod.status["podIP"]?.string, !address.isEmpty, pod.spec["hostNetwork"]?.bool != true else {
            return nil
        }
        guard !["Succeeded", "Failed"].contains(pod.status["phase"]?.string ?? "") else { return nil }
        var ports: [WorkloadPort] = []
        for container in pod.spec["containers"]?.array ?? [] {
            for port in container["ports"]?.array ?? [] where port["protocol"]?.string ?? "TCP" == "TCP" {
                guard let number = port["containerPort"]?.int else { continue }
                ports.append(
                    WorkloadPort(
                        number: number,
                        protocol: PortProtocol(appProtocol: port["appProtocol"]?.string, portName: port["name"]?.string)
                    ))
            }
        }
        return WorkloadInstance(
            namespace: pod.namespace, pod: pod.name, address: address, labels: pod.labels,
            serviceAccount: pod.spec["serviceAccountName"]?.string ?? "default",
            isMeshed: pod.labels[injectedLabel] == "true", ports: ports)
    }

    /// Endpoints of one service from its slices. Slices name their ports; a service port finds its target by that name.
    /// Endpoints that are terminating are left out: they finish what they have and get nothing new.
    package static func endpoints(
        of service: MeshService, slices: [KubeObject], workloads: [ObjectKey: WorkloadInstance]
    ) -> [ServiceEndpoint] {
        var endpoints: [String: ServiceEndpoint] = [:]
        for slice in slices {
            var targets: [Int: Int] = [:]
            for port in slice.json["ports"]?.array ?? [] {
                guard let number = port["port"]?.int else { continue }
                for servicePort in service.ports where servicePort.name == port["name"]?.string ?? "" {
                    targets[servicePort.number] = number
                }
            }
            for endpoint in slice.json["endpoints"]?.array ?? [] {
                if endpoint[path: "conditions", "terminating"]?.bool == true { continue }
                let key = ObjectKey(namespace: slice.namespace, name: endpoint[path: "targetRef", "name"]?.string ?? "")
                for address in endpoint["addresses"]?.array?.compactMap(\.string) ?? [] {
                    var merged = endpoints[address]?.targetPorts ?? [:]
                    merged.merge(targets) { $1 }
                    endpoints[address] = ServiceEndpoint(
                        address: address, targetPorts: merged, workload: workloads[key],
                        isReady: endpoint[path: "conditions", "ready"]?.bool ?? true)
                }
            }
        }
        return endpoints.values.sorted { $0.address < $1.address }
    }

    /// Adds to each workload the target ports of the services in front of it: a service's protocol beats the container's,
    /// and a port that no container declares is served all the same.
    package static func addServicePorts(
        to workloads: inout [ObjectKey: WorkloadInstance], services: [ServiceID: MeshService],
        endpoints: [ServiceID: [ServiceEndpoint]]
    ) {
        for (id, list) in endpoints.sorted(by: { $0.key < $1.key }) {
            guard let service = services[id] else { continue }
            for endpoint in list {
                guard let workload = endpoint.workload else { continue }
                let key = ObjectKey(namespace: workload.namespace, name: workload.pod)
                for (servicePort, target) in endpoint.targetPorts {
                    guard let port = service.port(servicePort) else { continue }
                    workloads[key]?.ports.removeAll { $0.number == target }
                    workloads[key]?.ports.append(WorkloadPort(number: target, protocol: port.protocol))
                }
            }
        }
        for key in workloads.keys { workloads[key]?.ports.sort { $0.number < $1.number } }
    }
}
