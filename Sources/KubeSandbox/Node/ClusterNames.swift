import KubeCore

/// What a name in the cluster's domain means, from Services and EndpointSlices. Nothing outside is known or asked for.
struct ClusterNames: Sendable {
    enum Answer: Equatable {
        /// The name exists; it may have no IPv4 address.
        case addresses([String])
        case unknown
        /// Not in the cluster's domain.
        case foreign
    }

    let cache: ClusterCache
    static let domain = "cluster.local"

    func resolve(_ name: String) -> Answer {
        let labels = name.split(separator: ".").map(String.init)
        guard labels.suffix(2) == ["cluster", "local"] else { return .foreign }
        let inside = labels.dropLast(2)
        guard inside.last == "svc" else { return inside.isEmpty ? .addresses([]) : .unknown }
        let path = Array(inside.dropLast())
        switch path.count {
        case 0: return .addresses([])
        case 1: return cache.get(.namespaces, name: path[0]) == nil ? .unknown : .addresses([])
        case 2: return service(path[0], namespace: path[1])
        case 3: return host(path[0], service: path[1], namespace: path[2])
        default: return .unknown
        }
    }

    private func service(_ name: String, namespace: String) -> Answer {
        guard let service = cache.get(.services, namespace: namespace, name: name) else { return .unknown }
        guard let address = service.spec["clusterIP"]?.string, !address.isEmpty, address != "None" else {
            return .addresses(endpoints(of: name, namespace: namespace).map(\.address))
        }
        return .addresses([address])
    }

    private func host(_ host: String, service: String, namespace: String) -> Answer {
        let found = endpoints(of: service, namespace: namespace).filter {
            $0.hostname == host || $0.address.split(separator: ".").joined(separator: "-") == host
        }
        return found.isEmpty ? .unknown : .addresses(found.map(\.address))
    }

    private func endpoints(of service: String, namespace: String) -> [(address: String, hostname: String?)] {
        var found: [(address: String, hostname: String?)] = []
        for slice in cache.list(.endpointSlices, namespace: namespace)
        where slice.labels[EndpointSliceController.serviceNameLabel] == service {
            for endpoint in slice.json["endpoints"]?.array ?? []
            where endpoint[path: "conditions", "ready"]?.bool ?? true {
                for address in endpoint["addresses"]?.array ?? [] {
                    if let address = address.string { found.append((address, endpoint["hostname"]?.string)) }
                }
            }
        }
        return found.sorted { $0.address < $1.address }
    }

    /// The answer to a query's bytes; nil when they deserve none.
    func answer(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
        guard let message = DNSMessage(query: bytes) else { return nil }
        guard let question = message.question else { return message.response(.formatError) }
        switch resolve(question.name) {
        case .foreign: return message.response(.refused)
        case .unknown: return message.response(.nameError)
        case .addresses(let addresses):
            let wanted = question.type == DNSMessage.RecordType.a || question.type == DNSMessage.RecordType.any
            return message.response(.noError, addresses: wanted ? addresses : [], limit: limit)
        }
    }
}
