import EnvoyAPI
import EnvoyConfig
import MeshModel
import SwiftProtobuf
import Testing

struct InboundTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var policies: [PeerPolicy]
        /// Names of chains in order, the black hole left out.
        var chains: [String]
        var testDescription: String { name }
    }

    private static let permissive = [
        "inbound_mtls_7000", "inbound_plain_7000", "inbound_plain_7000-tls",
        "inbound_mtls_8080", "inbound_plain_8080", "inbound_plain_8080-tls",
        "inbound_mtls_9000", "inbound_plain_9000", "inbound_plain_9000-tls",
        "inbound_mtls_other", "inbound_plain_other", "inbound_plain_other-tls",
    ]

    @Test(arguments: [
        Case(name: "nothing said", policies: [], chains: permissive),
        Case(name: "permissive", policies: [Shop.peerPolicy(.permissive)], chains: permissive),
        Case(
            name: "strict", policies: [Shop.peerPolicy(.strict)],
            chains: ["inbound_mtls_7000", "inbound_mtls_8080", "inbound_mtls_9000", "inbound_mtls_other"]),
        Case(
            name: "strict but for one port",
            policies: [Shop.peerPolicy(.strict, ports: [9000: .permissive], app: "catalog")],
            chains: [
                "inbound_mtls_7000", "inbound_mtls_8080", "inbound_mtls_9000", "inbound_plain_9000",
                "inbound_plain_9000-tls", "inbound_mtls_other",
            ]),
        Case(
            name: "disabled", policies: [Shop.peerPolicy(.disable)],
            chains: [
                "inbound_plain_7000", "inbound_plain_7000-tls", "inbound_plain_8080", "inbound_plain_8080-tls",
                "inbound_plain_9000", "inbound_plain_other",
            ]),
    ])
    func `Which connections a port takes follows from the peer policies`(_ test: Case) throws {
        var mesh = Shop.snapshot()
        mesh.peerPolicies = test.policies
        let listener = try #require(ProxyConfiguration.make(for: Shop.stable, in: mesh).listener("virtualInbound"))
        #expect(listener.filterChains.map(\.name) == ["black-hole-15006"] + test.chains)
        for chain in listener.filterChains where chain.name.contains("mtls") {
            #expect(chain.filterChainMatch.transportProtocol == "tls")
            #expect(chain.filterChainMatch.applicationProtocols == ["mesh"])
            let context = try Envoy_Extensions_TransportSockets_Tls_V3_DownstreamTlsContext(
                unpackingAny: chain.transportSocket.typedConfig)
            #expect(context.requireClientCertificate.value)
        }
    }

    @Test func `Silent clients of a port without mutual TLS are not waited for`() throws {
        var mesh = Shop.snapshot()
        mesh.peerPolicies = [Shop.peerPolicy(.permissive, ports: [9000: .disable], app: "catalog")]
        let listener = try #require(ProxyConfiguration.make(for: Shop.stable, in: mesh).listener("virtualInbound"))
        let range = listener.listenerFilters[1].filterDisabled.destinationPortRange
        #expect(range.start == 9000 && range.end == 9001)
        #expect(listener.continueOnListenerFiltersTimeout)
    }

    @Test func `The application is reached from the address that capture leaves alone, in its own protocol`() throws {
        let configuration = ProxyConfiguration.make(for: Shop.stable, in: Shop.snapshot())
        for cluster in configuration.clusters where cluster.name.lowercased().hasPrefix("inbound") {
            #expect(cluster.type == .originalDst)
            #expect(cluster.upstreamBindConfig.sourceAddress.address == "127.0.0.6")
        }
        let cluster = try #require(configuration.cluster("inbound|8080||"))
        let metadata = cluster.metadata.filterMetadata["heddle"]?.fields
        #expect(metadata?["service"]?.stringValue == "catalog.shop")
        #expect(metadata?["subset"]?.stringValue == "stable")
        #expect(cluster.typedExtensionProtocolOptions.count == 1)
        #expect(configuration.cluster("inbound|9000||")?.typedExtensionProtocolOptions.isEmpty == true)
    }

    @Test func `A new subset changes no listener`() throws {
        let before = ProxyConfiguration.make(for: Shop.stable, in: Shop.snapshot())
        var mesh = Shop.snapshot()
        mesh.policies = []
        let after = ProxyConfiguration.make(for: Shop.stable, in: mesh)
        #expect(before.listener("virtualInbound") == after.listener("virtualInbound"))
        #expect(before.cluster("inbound|8080||") != after.cluster("inbound|8080||"))
    }

    @Test func `Two services that call one port differently get one answer and a report`() {
        var mesh = Shop.snapshot()
        mesh.endpoints[Shop.ledger] = [Shop.endpoint(Shop.stable, [5000: 8080])]
        let configuration = ProxyConfiguration.make(for: Shop.stable, in: mesh)
        #expect(configuration.problems.map(\.source) == ["Service shop/ledger"])
        #expect(configuration.cluster("inbound|8080||")?.typedExtensionProtocolOptions.count == 1)
    }

    @Test func `The most specific Telemetry decides on tracing`() throws {
        var mesh = Shop.snapshot()
        mesh.settings.tracing = TracingBackend(
            kind: .zipkin, host: "10.9.9.9", port: 9411, path: "/api/v2/spans", samplingPercent: 1)
        mesh.telemetry = [
            TelemetryPolicy(
                source: "Telemetry shop/all", namespace: "shop", samplingPercent: 20, tags: ["team": "shop"]),
            TelemetryPolicy(
                source: "Telemetry shop/quiet", namespace: "shop", selector: ["app": "front"], disablesTracing: true),
        ]
        #expect(ProxyConfiguration.make(for: Shop.front, in: mesh).cluster("tracing|9411||10.9.9.9") == nil)
        let configuration = ProxyConfiguration.make(for: Shop.stable, in: mesh)
        #expect(configuration.cluster("tracing|9411||10.9.9.9")?.type == .static)
        let listener = try #require(configuration.listener("10.96.0.10_80"))
        let manager = try Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager(
            unpackingAny: listener.filterChains[0].filters[0].typedConfig)
        #expect(manager.tracing.randomSampling.value == 20)
        #expect(manager.tracing.customTags.map(\.literal.value) == ["shop"])
    }
}
