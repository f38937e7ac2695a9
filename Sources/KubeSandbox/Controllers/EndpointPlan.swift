import KubeCore

/// From a Service and the pods it selects to its EndpointSlices and Endpoints.
struct EndpointPlan {
    let service: KubeObject
    let pods: [KubeObject]

    /// A Service's ports as they are in one pod; pods where a named port has another number make another group.
    private typealias Ports = [JSONValue]

    private var addressed: [KubeObject] { pods.filter { $0.podIP != nil && !$0.isPodFinished } }
    private var publishesAll: Bool { service.spec["publishNotReadyAddresses"]?.bool ?? false }

    var slices: [KubeObject] {
        var groups: [(ports: Ports, pods: [KubeObject])] = []
        for pod in addressed {
            let ports = ports(in: pod)
            if let index = groups.firstIndex(where: { $0.ports == ports }) {
                groups[index].pods.append(pod)
            } else {
                groups.append((ports, [pod]))
            }
        }
        if groups.isEmpty { groups = [([], [])] }
        return groups.map { group in
            let hash = DeploymentView.hash(template: [.string(service.uid), .array(group.ports)], collisions: 0).prefix(
                5)
            var slice = KubeObject(.endpointSlices, namespace: service.namespace, name: "\(service.name)-\(hash)")
            slice.labels = service.labels.merging([
                EndpointSliceController.serviceNameLabel: service.name,
                EndpointSliceController.managedByLabel: "endpointslice-controller.k8s.io",
            ]) { $1 }
            slice.ownerReferences = [service.asController]
            slice.json["addressType"] = "IPv4"
            slice.json["ports"] = .array(group.ports)
            slice.json["endpoints"] = .array(group.pods.map(endpoint))
            return slice
        }
    }

    private func endpoint(_ pod: KubeObject) -> JSONValue {
        let isServing = pod.isPodReady
        var endpoint: JSONValue = [
            "addresses": [.string(pod.podIP ?? "")],
            "conditions": [
                "ready": .bool(publishesAll || (isServing && !pod.isBeingDeleted)), "serving": .bool(isServing),
                "terminating": .bool(pod.isBeingDeleted),
            ],
            "targetRef": reference(pod),
        ]
        if let node = pod.nodeName { endpoint["nodeName"] = .string(node) }
        if let hostname = hostname(pod) { endpoint["hostname"] = .string(hostname) }
        return endpoint
    }

    /// Pods of a headless Service that name it as their subdomain have a name of their own in DNS.
    private func hostname(_ pod: KubeObject) -> String? {
        guard pod.spec["subdomain"]?.string == service.name else { return nil }
        return pod.spec["hostname"]?.string
    }

    private func reference(_ pod: KubeObject) -> JSONValue {
        ["kind": "Pod", "namespace": .string(pod.namespace), "name": .string(pod.name), "uid": .string(pod.uid)]
    }

    private func ports(in pod: KubeObject) -> Ports {
        (service.spec["ports"]?.array ?? []).compactMap { port in
            guard let number = Self.number(of: port, in: pod) else { return nil }
            var result: JSONValue = [
                "name": port["name"] ?? "", "port": .int(number), "protocol": port["protocol"] ?? "TCP",
            ]
            result["appProtocol"] = port["appProtocol"]
            return result
        }
    }

    private static func number(of port: JSONValue, in pod: KubeObject) -> Int? {
        let target = port["targetPort"] ?? port["port"]
        if let number = target?.int { return number == 0 ? port["port"]?.int : number }
        guard let name = target?.string else { return nil }
        if let number = Int(name) { return number }
        let transport = port["protocol"]?.string ?? "TCP"
        for field in ["containers", "initContainers"] {
            for container in pod.spec[field]?.array ?? [] {
                for candidate in container["ports"]?.array ?? []
                where candidate["name"]?.string == name && (candidate["protocol"]?.string ?? "TCP") == transport {
                    return candidate["containerPort"]?.int
                }
            }
        }
        return nil
    }

    var endpoints: KubeObject {
        var object = KubeObject(.endpoints, namespace: service.namespace, name: service.name)
        object.labels = service.labels
        let subsets = slices.compactMap { slice -> JSONValue? in
            let all = slice.json["endpoints"]?.array ?? []
            guard !all.isEmpty else { return nil }
            var subset: JSONValue = ["ports": slice.json["ports"] ?? []]
            for (field, isReady) in [("addresses", true), ("notReadyAddresses", false)] {
                let part = all.filter { ($0[path: "conditions", "ready"]?.bool ?? true) == isReady }.map(Self.address)
                if !part.isEmpty { subset[field] = .array(part) }
            }
            return subset
        }
        object.json["subsets"] = .array(subsets)
        return object
    }

    private static func address(_ endpoint: JSONValue) -> JSONValue {
        var address: JSONValue = ["ip": endpoint["addresses"]?[0] ?? ""]
        address["nodeName"] = endpoint["nodeName"]
        address["targetRef"] = endpoint["targetRef"]
        address["hostname"] = endpoint["hostname"]
        return address
    }
}
