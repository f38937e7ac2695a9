import MeshModel

/// A small mesh: `front` calls `catalog` (HTTP, two versions), `ledger` (TCP) and `peers` (headless).
enum Shop {
    static let catalog = ServiceID(namespace: "shop", name: "catalog")
    static let ledger = ServiceID(namespace: "shop", name: "ledger")
    static let peers = ServiceID(namespace: "shop", name: "peers")

    static let front = pod("front-1", "10.77.0.10", account: "front")
    static let stable = pod("catalog-1", "10.77.0.20", account: "catalog", hash: "aaa", ports: [8080, 9000])
    static let canary = pod("catalog-2", "10.77.0.30", account: "catalog", hash: "bbb", ports: [8080, 9000])

    static func pod(
        _ name: String, _ address: String, account: String, hash: String = "aaa", meshed: Bool = true, ports: [Int] = []
    ) -> WorkloadInstance {
        WorkloadInstance(
            namespace: "shop", pod: name, address: address, labels: ["app": account, "pod-template-hash": hash],
            serviceAccount: account, isMeshed: meshed,
            ports: ports.map { WorkloadPort(number: $0, protocol: $0 == 8080 ? .http : .tcp) })
    }

    static func endpoint(_ pod: WorkloadInstance, _ ports: [Int: Int] = [80: 8080], ready: Bool = true)
        -> ServiceEndpoint
    {
        ServiceEndpoint(address: pod.address, targetPorts: ports, workload: pod, isReady: ready)
    }

    static func snapshot() -> MeshSnapshot {
        MeshSnapshot(
            services: [
                catalog: MeshService(
                    id: catalog, addresses: ["10.96.0.10"], ports: [.init(name: "http", number: 80, protocol: .http)]),
                ledger: MeshService(
                    id: ledger, addresses: ["10.96.0.11"], ports: [.init(name: "tcp", number: 5000, protocol: .tcp)]),
                peers: MeshService(
                    id: peers, addresses: [], ports: [.init(name: "http", number: 7000, protocol: .http)]),
            ],
            endpoints: [
                catalog: [endpoint(stable), endpoint(canary)],
                ledger: [endpoint(stable, [5000: 9000])],
                peers: [endpoint(stable, [7000: 7000])],
            ],
            policies: [
                DestinationPolicy(
                    source: "DestinationRule shop/catalog", service: catalog,
                    traffic: TrafficPolicy(
                        connectionPool: ConnectionPool(maxRequests: 100),
                        outlierDetection: OutlierDetection(consecutive5xxErrors: 5, baseEjectionSeconds: 30)),
                    subsets: [
                        .init(name: "canary", labels: ["pod-template-hash": "bbb"]),
                        .init(name: "stable", labels: ["pod-template-hash": "aaa"]),
                    ])
            ])
    }

    /// `snapshot` with a VirtualService that splits catalog's requests.
    static func split(stable: Int, canary: Int) -> MeshSnapshot {
        var mesh = snapshot()
        mesh.routes = [
            TrafficRoute(
                source: "VirtualService shop/catalog", namespace: "shop", services: [catalog],
                rules: [
                    RouteRule(destinations: [
                        .init(destination: .init(service: catalog, subset: "stable"), weight: stable),
                        .init(destination: .init(service: catalog, subset: "canary"), weight: canary),
                    ])
                ])
        ]
        return mesh
    }

    static func peerPolicy(_ mode: MTLSMode, ports: [Int: MTLSMode] = [:], app: String? = nil) -> PeerPolicy {
        PeerPolicy(
            source: "PeerAuthentication shop/\(app ?? "default")", namespace: "shop", selector: app.map { ["app": $0] },
            mode: mode, portModes: ports)
    }
}
