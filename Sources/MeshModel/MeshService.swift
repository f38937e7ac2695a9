/// A service of the mesh: what clients call.
package struct MeshService: Sendable, Hashable {
    package var id: ServiceID
    /// Addresses that clients connect to; empty for a headless service.
    package var addresses: [String]
    package var ports: [ServicePort]

    package init(id: ServiceID, addresses: [String], ports: [ServicePort]) {
        self.id = id
        self.addresses = addresses
        self.ports = ports
    }

    package func port(_ number: Int) -> ServicePort? { ports.first { $0.number == number } }
}

/// Namespace and name of a service.
package struct ServiceID: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var namespace: String
    package var name: String

    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    /// The cluster's DNS name for the service, e.g. `catalog.shop.svc.cluster.local`.
    package func host(clusterDomain: String = "cluster.local") -> String { "\(name).\(namespace).svc.\(clusterDomain)" }

    /// Reads a host as Istio does: `catalog` (in the namespace of the object that says it), `catalog.shop`,
    /// `catalog.shop.svc` or the full name. Nil for anything else (a wildcard, an external host).
    package init?(host: String, in namespace: String, clusterDomain: String = "cluster.local") {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard !parts.contains(""), !host.contains("*") else { return nil }
        if parts.count == 1 {
            self.init(namespace: namespace, name: parts[0])
        } else if parts.count == 2 || (parts.count == 3 && parts[2] == "svc")
            || host == "\(parts[0]).\(parts[1]).svc.\(clusterDomain)"
        {
            self.init(namespace: parts[1], name: parts[0])
        } else {
            return nil
        }
    }

    /// `catalog.shop`, as in the metrics' `destination_service` label.
    package var description: String { "\(name).\(namespace)" }
    package static func < (a: Self, b: Self) -> Bool { (a.namespace, a.name) < (b.namespace, b.name) }
}

/// What a port speaks; decides whether requests or only connections can be seen and routed.
package enum PortProtocol: String, Sendable, Hashable {
    case http, http2, grpc, tcp

    package var isHTTP: Bool { self != .tcp }

    /// Reads `appProtocol`, else the port's name (`http`, `http-web`, `grpc-api`, ...), as Istio does; TCP if neither tells.
    package init(appProtocol: String?, portName: String?) {
        let prefix = portName.map { String($0.prefix { $0 != "-" }) }
        self =
            switch (appProtocol ?? prefix)?.lowercased() {
            case "http", "http1", "kubernetes.io/ws": .http
            case "http2", "kubernetes.io/h2c": .http2
            case "grpc", "grpc-web": .grpc
            default: .tcp
            }
    }
}

package struct ServicePort: Sendable, Hashable {
    package var name: String
    package var number: Int
    package var `protocol`: PortProtocol

    package init(name: String, number: Int, protocol: PortProtocol) {
        self.name = name
        self.number = number
        self.protocol = `protocol`
    }
}

/// One pod behind a service, with the port it serves each service port on.
package struct ServiceEndpoint: Sendable, Hashable {
    package var address: String
    /// Target port by service port number.
    package var targetPorts: [Int: Int]
    package var workload: WorkloadInstance?
    package var isReady: Bool

    package init(address: String, targetPorts: [Int: Int], workload: WorkloadInstance?, isReady: Bool) {
        self.address = address
        self.targetPorts = targetPorts
        self.workload = workload
        self.isReady = isReady
    }
}

/// A running pod as the mesh sees it.
package struct WorkloadInstance: Sendable, Hashable {
    package var namespace: String
    package var pod: String
    package var address: String
    package var labels: [String: String]
    package var serviceAccount: String
    /// Whether a sidecar of the mesh answers for it (it accepts mutual TLS).
    package var isMeshed: Bool
    /// Ports that its containers declare, and the target ports of services that select it.
    package var ports: [WorkloadPort]

    package init(
        namespace: String, pod: String, address: String, labels: [String: String], serviceAccount: String,
        isMeshed: Bool,
        ports: [WorkloadPort] = []
    ) {
        self.namespace = namespace
        self.pod = pod
        self.address = address
        self.labels = labels
        self.serviceAccount = serviceAccount
        self.isMeshed = isMeshed
        self.ports = ports
    }

    package func spiffeID(trustDomain: String) -> String {
        "spiffe://\(trustDomain)/ns/\(namespace)/sa/\(serviceAccount)"
    }
}

/// A port that a workload listens on.
package struct WorkloadPort: Sendable, Hashable {
    package var number: Int
    package var `protocol`: PortProtocol

    package init(number: Int, protocol: PortProtocol) {
        self.number = number
        self.protocol = `protocol`
    }
}
