import EnvoyAPI
import EnvoyConfig
import MeshModel
import SwiftProtobuf
import Testing

/// A proxy gets the clusters of the services that its workload calls, and asks for the others when a request needs them.
struct CallScopeTests {
    private static let other = ServiceID(namespace: "other", name: "reviews")

    private func outbound(_ configuration: ProxyConfiguration) -> Set<String> {
        Set(configuration.clusters.map(\.name).filter { $0.hasPrefix("outbound|") })
    }

    private func filters(_ configuration: ProxyConfiguration, _ listener: String) throws -> [String] {
        let found = try #require(configuration.listeners.first { $0.name == listener })
        let filter = try #require(found.filterChains.first?.filters.first)
        return try Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager(
            unpackingAny: filter.typedConfig
        ).httpFilters.map(\.name)
    }

    @Test func `Nothing called yet means no cluster of a service, but every listener and route`() throws {
        let all = ProxyConfiguration.make(for: Shop.front, in: Shop.split(stable: 90, canary: 10))
        let scoped = ProxyConfiguration.make(for: Shop.front, in: Shop.split(stable: 90, canary: 10), calling: [])
        #expect(outbound(scoped).isEmpty && !outbound(all).isEmpty)
        #expect(scoped.endpoints.isEmpty)
        #expect(scoped.listeners.map(\.name) == all.listeners.map(\.name))
        #expect(scoped.routes == all.routes)
        #expect(scoped.clusters.contains { $0.name == ResourceNames.passthroughCluster })
        #expect(try filters(scoped, "10.96.0.10_80").first == "envoy.filters.http.on_demand")
        #expect(try !filters(all, "10.96.0.10_80").contains("envoy.filters.http.on_demand"))
    }

    @Test func `A service that is called brings all its tracks, so that a shift of weight waits for nothing`() {
        let scoped = ProxyConfiguration.make(
            for: Shop.front, in: Shop.split(stable: 90, canary: 10), calling: [Shop.catalog])
        #expect(
            outbound(scoped) == [
                RouteTests.cluster(""), RouteTests.cluster("stable"), RouteTests.cluster("canary"),
            ])
        #expect(Set(scoped.endpoints.map(\.clusterName)) == outbound(scoped))
    }

    @Test func `A service whose requests are routed to one that is called counts as called`() {
        var mesh = Shop.snapshot()
        mesh.services[Self.other] = MeshService(
            id: Self.other, addresses: ["10.96.0.99"], ports: [.init(name: "http", number: 80, protocol: .http)])
        mesh.routes = [
            TrafficRoute(
                source: "VirtualService shop/catalog", namespace: "shop", services: [Shop.catalog],
                rules: [
                    RouteRule(destinations: [
                        WeightedDestination(destination: .init(service: Shop.catalog), weight: 50),
                        WeightedDestination(destination: .init(service: Self.other), weight: 50),
                    ])
                ])
        ]
        let scoped = ProxyConfiguration.make(for: Shop.front, in: mesh, calling: [Self.other])
        #expect(
            outbound(scoped).isSuperset(of: [RouteTests.cluster(""), "outbound|80||reviews.other.svc.cluster.local"]))
        #expect(!outbound(scoped).contains { $0.contains("ledger") })
    }

    @Test func `Connections and headless services wait for their cluster too`() throws {
        let scoped = ProxyConfiguration.make(for: Shop.front, in: Shop.snapshot(), calling: [])
        let ledger = try #require(scoped.listeners.first { $0.name == "10.96.0.11_5000" })
        let filter = try #require(ledger.filterChains.first?.filters.first)
        let proxy = try Envoy_Extensions_Filters_Network_TcpProxy_V3_TcpProxy(unpackingAny: filter.typedConfig)
        #expect(
            proxy.onDemand.odcdsConfig
                == .with {
                    $0.ads = .init()
                    $0.resourceApiVersion = .v3
                } && proxy.onDemand.timeout.seconds == 5)
        let peer = try #require(scoped.listeners.first { $0.name == "10.77.0.20_7000" })
        let manager = try Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager(
            unpackingAny: try #require(peer.filterChains.first?.filters.first).typedConfig)
        #expect(manager.routeConfig.hasValidateClusters && !manager.routeConfig.validateClusters.value)
    }

    @Test func `A Sidecar says what is called, so nothing is left to ask for`() throws {
        var mesh = Shop.snapshot()
        mesh.scopes = [
            EgressScope(source: "Sidecar shop/default", namespace: "shop", hosts: ["./catalog.shop.svc.cluster.local"])
        ]
        let scoped = ProxyConfiguration.make(for: Shop.front, in: mesh, calling: [])
        #expect(
            outbound(scoped) == [RouteTests.cluster(""), RouteTests.cluster("stable"), RouteTests.cluster("canary")])
        #expect(try !filters(scoped, "10.96.0.10_80").contains("envoy.filters.http.on_demand"))
    }

    @Test(arguments: [
        ("outbound|80|canary|catalog.shop.svc.cluster.local", "shop/catalog"), ("inbound|80||", nil),
        ("PassthroughCluster", nil), ("outbound|80||example.com.org", nil),
    ])
    func `The service of a cluster is in its name`(name: String, expected: String?) {
        let service = ResourceNames.service(ofCluster: name, clusterDomain: "cluster.local")
        #expect(service.map { "\($0.namespace)/\($0.name)" } == expected)
    }
}
