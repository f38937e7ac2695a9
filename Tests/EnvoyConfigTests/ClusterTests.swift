import EnvoyAPI
import EnvoyConfig
import MeshModel
import SwiftProtobuf
import Testing

struct ClusterTests {
    static let all = "outbound|80||catalog.shop.svc.cluster.local"
    static let canary = "outbound|80|canary|catalog.shop.svc.cluster.local"

    /// What a client's proxy uses to reach one endpoint.
    enum Hop: String, Sendable { case plaintext, mutualTLS, each }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var meshed: [Bool]
        var policy: TrafficPolicy.ClientTLS?
        var peer: MTLSMode?
        var expected: Hop
        var testDescription: String { name }
    }

    @Test(arguments: [
        Case(name: "all meshed", meshed: [true, true], expected: .mutualTLS),
        Case(name: "none meshed", meshed: [false, false], expected: .plaintext),
        Case(name: "some meshed", meshed: [true, false], expected: .each),
        Case(name: "no endpoints", meshed: [], expected: .plaintext),
        Case(name: "no endpoints, policy asks", meshed: [], policy: .istioMutual, expected: .mutualTLS),
        Case(name: "policy disables", meshed: [true, true], policy: .disable, expected: .plaintext),
        Case(name: "policy asks, not meshed", meshed: [false], policy: .istioMutual, expected: .mutualTLS),
        Case(name: "server disables", meshed: [true], peer: .disable, expected: .plaintext),
        Case(name: "server strict", meshed: [true], peer: .strict, expected: .mutualTLS),
        Case(
            name: "policy asks, server disables", meshed: [true], policy: .istioMutual, peer: .disable,
            expected: .mutualTLS),
    ])
    func `Mutual TLS is used as policy, sidecars and the server's mode say`(_ test: Case) throws {
        var mesh = Shop.snapshot()
        mesh.endpoints[Shop.catalog] = test.meshed.enumerated().map { index, meshed in
            Shop.endpoint(Shop.pod("catalog-\(index)", "10.77.0.2\(index)", account: "catalog", meshed: meshed))
        }
        mesh.policies[0].traffic.tls = test.policy
        if let mode = test.peer { mesh.peerPolicies = [Shop.peerPolicy(mode)] }
        let configuration = ProxyConfiguration.make(for: Shop.front, in: mesh)
        let cluster = try #require(configuration.cluster(Self.all))
        let options = try Envoy_Extensions_Upstreams_Http_V3_HttpProtocolOptions(
            unpackingAny: try #require(
                cluster.typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]))
        let isHTTP2 = if case .http2ProtocolOptions = options.explicitHTTPConfig.protocolConfig { true } else { false }
        switch test.expected {
        case .plaintext:
            #expect(!cluster.hasTransportSocket && cluster.transportSocketMatches.isEmpty && !isHTTP2)
        case .mutualTLS:
            #expect(cluster.hasTransportSocket && cluster.transportSocketMatches.isEmpty && isHTTP2)
        case .each:
            #expect(!cluster.hasTransportSocket && cluster.transportSocketMatches.count == 1 && !isHTTP2)
        }
        let metadata = configuration.endpoints(Self.all)?.endpoints.flatMap(\.lbEndpoints).map {
            $0.metadata.filterMetadata["envoy.transport_socket_match"]?.fields["tlsMode"]?.stringValue
        }
        let expected: [String?] =
            switch test.expected {
            case .plaintext: test.meshed.map { _ in nil }
            case .mutualTLS: test.meshed.map { _ in "heddle" }
            case .each: test.meshed.map { $0 ? "heddle" : nil }
            }
        #expect(metadata == expected)
    }

    @Test func `A client accepts exactly the identities of the service's pods`() throws {
        var mesh = Shop.snapshot()
        mesh.endpoints[Shop.catalog]?.append(Shop.endpoint(Shop.pod("other", "10.77.0.40", account: "other")))
        let cluster = try #require(ProxyConfiguration.make(for: Shop.front, in: mesh).cluster(Self.all))
        let context = try Envoy_Extensions_TransportSockets_Tls_V3_UpstreamTlsContext(
            unpackingAny: cluster.transportSocket.typedConfig)
        let matchers = context.commonTlsContext.combinedValidationContext.defaultValidationContext
            .matchTypedSubjectAltNames
        #expect(matchers.map(\.sanType) == [.uri, .uri])
        #expect(
            matchers.map(\.matcher.exact) == [
                "spiffe://cluster.local/ns/shop/sa/catalog", "spiffe://cluster.local/ns/shop/sa/other",
            ])
        #expect(context.commonTlsContext.alpnProtocols == ["mesh", "h2"])
    }

    @Test func `Only ready endpoints get traffic, and a subset takes no others in their place`() {
        var mesh = Shop.snapshot()
        mesh.endpoints[Shop.catalog] = [Shop.endpoint(Shop.stable), Shop.endpoint(Shop.canary, ready: false)]
        let configuration = ProxyConfiguration.make(for: Shop.front, in: mesh)
        #expect(configuration.endpoints(Self.all)?.addresses == ["10.77.0.20:8080"])
        #expect(configuration.endpoints(Self.canary)?.addresses == [])
        #expect(configuration.cluster(Self.canary)?.type == .eds)
    }

    @Test func `A subset's cluster has the pods with its labels and says so in its metadata`() {
        let configuration = ProxyConfiguration.make(for: Shop.front, in: Shop.snapshot())
        #expect(configuration.endpoints(Self.canary)?.addresses == ["10.77.0.30:8080"])
        let metadata = configuration.cluster(Self.canary)?.metadata.filterMetadata["heddle"]?.fields
        #expect(metadata?["service"]?.stringValue == "catalog.shop")
        #expect(metadata?["subset"]?.stringValue == "canary")
    }

    @Test func `Limits and ejection are those of the policy, the rest unlimited`() throws {
        let cluster = try #require(ProxyConfiguration.make(for: Shop.front, in: Shop.snapshot()).cluster(Self.all))
        let thresholds = try #require(cluster.circuitBreakers.thresholds.first)
        #expect(thresholds.maxRequests.value == 100)
        #expect(thresholds.maxConnections.value == .max)
        #expect(thresholds.retryBudget.budgetPercent.value == 50)
        #expect(cluster.outlierDetection.consecutive5Xx.value == 5)
        #expect(cluster.outlierDetection.baseEjectionTime.seconds == 30)
        #expect(cluster.outlierDetection.enforcingSuccessRate.value == 0)
        #expect(cluster.commonLbConfig.healthyPanicThreshold.value == 0)
    }

    @Test func `A retry budget is the policy's, with Istio's defaults for what it leaves open`() throws {
        var mesh = Shop.snapshot()
        mesh.policies[0].traffic.retryBudget = RetryBudget(percent: 35)
        let cluster = try #require(ProxyConfiguration.make(for: Shop.front, in: mesh).cluster(Self.all))
        let budget = try #require(cluster.circuitBreakers.thresholds.first).retryBudget
        #expect(budget.budgetPercent.value == 35)
        #expect(budget.minRetryConcurrency.value == 3)
    }

    @Test func `Zero switches an ejection rule off`() throws {
        var mesh = Shop.snapshot()
        mesh.policies[0].traffic.outlierDetection = OutlierDetection(
            consecutive5xxErrors: 0, consecutiveGatewayErrors: 3)
        let detection = try #require(ProxyConfiguration.make(for: Shop.front, in: mesh).cluster(Self.all))
            .outlierDetection
        #expect(detection.enforcingConsecutive5Xx.value == 0)
        #expect(detection.consecutiveGatewayFailure.value == 3)
        #expect(detection.enforcingConsecutiveGatewayFailure.value == 100)
    }

    @Test func `A proxy knows only the services that its scope names`() {
        var mesh = Shop.snapshot()
        mesh.scopes = [
            EgressScope(source: "Sidecar shop/default", namespace: "shop", hosts: ["./ledger.shop.svc.cluster.local"])
        ]
        let configuration = ProxyConfiguration.make(for: Shop.front, in: mesh)
        #expect(configuration.cluster(Self.all) == nil)
        #expect(configuration.listener("10.96.0.11_5000") != nil)
        #expect(configuration.listener("10.96.0.10_80") == nil)
    }

    @Test func `Two policies for one service add up`() {
        var mesh = Shop.snapshot()
        mesh.policies.append(
            DestinationPolicy(
                source: "DestinationRule shop/more", service: Shop.catalog, traffic: .init(loadBalancing: .random),
                subsets: [.init(name: "v9", labels: ["version": "9"])]))
        let configuration = ProxyConfiguration.make(for: Shop.front, in: mesh)
        #expect(configuration.cluster(Self.all)?.lbPolicy == .random)
        #expect(configuration.cluster("outbound|80|v9|catalog.shop.svc.cluster.local") != nil)
        #expect(
            configuration.sources[.init(.cluster, Self.all)]?.prefix(2) == [
                "DestinationRule shop/catalog", "DestinationRule shop/more",
            ])
    }

    @Test func `Every name that a listener or route needs is there`() {
        for workload in [Shop.front, Shop.stable] {
            let configuration = ProxyConfiguration.make(for: workload, in: Shop.split(stable: 1, canary: 1))
            let known = Set(configuration.clusters.map(\.name))
            for (key, needed) in configuration.requiredClusters {
                #expect(needed.isSubset(of: known), "\(key)")
            }
            #expect(
                Set(configuration.endpoints.map(\.clusterName))
                    == Set(configuration.clusters.filter { $0.type == .eds }.map(\.name)))
        }
    }
}
