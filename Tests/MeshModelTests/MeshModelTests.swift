import Testing

@testable import MeshModel

@Suite struct ServiceIDTests {
    @Test(arguments: [
        ("catalog", "catalog.shop"), ("catalog.other", "catalog.other"), ("catalog.other.svc", "catalog.other"),
        ("catalog.other.svc.cluster.local", "catalog.other"),
    ])
    func aHostIsReadAsIstioReadsIt(host: String, expected: String) {
        #expect(ServiceID(host: host, in: "shop")?.description == expected)
    }

    @Test(arguments: ["*.shop", "example.com.net", "a..b", "", "catalog.other.svc.other.domain"])
    func whatIsNoServiceOfTheClusterIsNone(host: String) {
        #expect(ServiceID(host: host, in: "shop") == nil)
    }

    @Test func aWrittenHostIsReadBack() {
        let service = ServiceID(namespace: "shop", name: "catalog")
        #expect(ServiceID(host: service.host(), in: "elsewhere") == service)
    }
}

@Suite struct PortProtocolTests {
    @Test(
        arguments: [
            ("http", nil, PortProtocol.http), (nil, "http-web", .http), (nil, "grpc", .grpc),
            ("kubernetes.io/h2c", "http", .http2),
            (nil, "mysql", .tcp), (nil, nil, .tcp),
        ] as [(String?, String?, PortProtocol)])
    func theAppProtocolBeatsTheName(appProtocol: String?, name: String?, expected: PortProtocol) {
        #expect(PortProtocol(appProtocol: appProtocol, portName: name) == expected)
    }
}

@Suite struct PeerPolicyTests {
    private let cart = WorkloadInstance(
        namespace: "shop", pod: "cart-1", address: "127.0.0.2", labels: ["app": "cart"], serviceAccount: "cart",
        isMeshed: true)

    private func mode(_ policies: [PeerPolicy], port: Int = 8080) -> MTLSMode {
        policies.mode(for: cart, port: port, rootNamespace: "root")
    }

    @Test func withoutAPolicyEverythingIsAccepted() { #expect(mode([]) == .permissive) }

    @Test func theNarrowerScopeWins() {
        let mesh = PeerPolicy(source: "m", namespace: "root", mode: .strict)
        let namespace = PeerPolicy(source: "n", namespace: "shop", mode: .permissive)
        let own = PeerPolicy(source: "o", namespace: "shop", selector: ["app": "cart"], mode: .disable)
        #expect(mode([mesh]) == .strict)
        #expect(mode([mesh, namespace]) == .permissive)
        #expect(mode([mesh, namespace, own]) == .disable)
    }

    @Test func aPortsModeHoldsForThatPortOnly() {
        let own = PeerPolicy(
            source: "o", namespace: "shop", selector: ["app": "cart"], mode: .strict, portModes: [8080: .permissive])
        #expect(mode([own]) == .permissive)
        #expect(mode([own], port: 9090) == .strict)
    }

    @Test func theOldestOfAScopeWins() {
        let old = PeerPolicy(source: "b", namespace: "shop", mode: .strict, createdAt: "2026-01-01T00:00:00Z")
        let new = PeerPolicy(source: "a", namespace: "shop", mode: .permissive, createdAt: "2026-02-01T00:00:00Z")
        #expect(mode([new, old]) == .strict)
    }

    @Test func anUnsetModeInherits() {
        let mesh = PeerPolicy(source: "m", namespace: "root", mode: .strict)
        #expect(mode([mesh, PeerPolicy(source: "n", namespace: "shop")]) == .strict)
    }

    @Test func aSelectorInTheRootNamespaceSaysNothing() {
        #expect(
            mode([PeerPolicy(source: "r", namespace: "root", selector: ["app": "cart"], mode: .strict)]) == .permissive)
    }
}

@Suite struct EgressScopeTests {
    private let services = ["cart.shop", "catalog.shop", "ledger.bank"].compactMap { ServiceID(host: $0, in: "shop") }

    private func called(_ hosts: [String]?) -> [String] {
        var snapshot = MeshSnapshot()
        for service in services { snapshot.services[service] = MeshService(id: service, addresses: [], ports: []) }
        if let hosts { snapshot.scopes = [EgressScope(source: "s", namespace: "shop", hosts: hosts)] }
        let proxy = WorkloadInstance(
            namespace: "shop", pod: "p", address: "127.0.0.2", labels: [:], serviceAccount: "default", isMeshed: true)
        return snapshot.services(callableBy: proxy).map(\.id.description).sorted()
    }

    @Test func withoutAScopeAProxyKnowsEveryService() { #expect(called(nil).count == 3) }
    @Test func aDotIsTheOwnNamespace() { #expect(called(["./*"]) == ["cart.shop", "catalog.shop"]) }
    @Test func aStarIsAnyNamespace() { #expect(called(["*/*"]).count == 3) }
    @Test func oneHostIsOneService() { #expect(called(["bank/ledger.bank.svc.cluster.local"]) == ["ledger.bank"]) }
    @Test func aTildeIsNone() { #expect(called(["~/*"]).isEmpty) }
}
