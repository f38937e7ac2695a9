import EnvoyAPI
import EnvoyConfig
import MeshModel
import SwiftProtobuf
import Testing

struct RouteTests {
    static let name = "80.catalog.shop.svc.cluster.local"
    static func cluster(_ subset: String) -> String { "outbound|80|\(subset)|catalog.shop.svc.cluster.local" }

    private func make(_ rules: [RouteRule], for workload: WorkloadInstance = Shop.front) -> ProxyConfiguration {
        var mesh = Shop.split(stable: 0, canary: 0)
        mesh.routes[0].rules = rules
        return ProxyConfiguration.make(for: workload, in: mesh)
    }

    private let toStable = [
        WeightedDestination(destination: .init(service: Shop.catalog, subset: "stable"), weight: 100)
    ]
    private let toCanary = [
        WeightedDestination(destination: .init(service: Shop.catalog, subset: "canary"), weight: 100)
    ]

    @Test(arguments: [
        (90, 10, ["stable": 90, "canary": 10]), (100, 0, ["stable": 1]), (0, 100, ["canary": 1]), (0, 0, ["stable": 1]),
        (2, 1, ["stable": 2, "canary": 1]),
    ])
    func `Weights are shares; one without weight gets nothing`(stable: Int, canary: Int, expected: [String: UInt32])
        throws
    {
        let configuration = ProxyConfiguration.make(for: Shop.front, in: Shop.split(stable: stable, canary: canary))
        let action = try #require(configuration.routes(Self.name).first).route
        var shares: [String: UInt32] = [:]
        switch action.clusterSpecifier {
        case .cluster(let name): shares[name] = 1
        case .weightedClusters(let weighted): for entry in weighted.clusters { shares[entry.name] = entry.weight.value }
        case nil: break
        }
        #expect(shares == Dictionary(uniqueKeysWithValues: expected.map { (Self.cluster($0.key), $0.value) }))
    }

    @Test func `A service that nothing routes gets one route, without a time limit`() throws {
        let configuration = ProxyConfiguration.make(for: Shop.front, in: Shop.snapshot())
        let routes = configuration.routes(Self.name)
        #expect(routes.map(\.match.prefix) == ["/"])
        #expect(routes[0].route.cluster == Self.cluster(""))
        #expect(routes[0].route.timeout.seconds == 0 && routes[0].route.hasTimeout)
        #expect(routes[0].route.retryPolicy.retryOn == "connect-failure,refused-stream,reset-before-request")
        #expect(routes[0].route.retryPolicy.numRetries.value == 2)
    }

    @Test func `A rule with several matches becomes several routes, in order`() {
        let rule = RouteRule(
            matches: [
                RequestMatch(uri: .exact("/a"), method: .exact("GET")),
                RequestMatch(
                    uri: .prefix("/b"), ignoreURICase: true, headers: ["x-user": .present, "x-a": .exact("1")]),
                RequestMatch(
                    uri: .regex("/c.*"), withoutHeaders: ["x-old": .present], queryParameters: ["q": .prefix("z")]),
            ], destinations: toCanary)
        let routes = make([rule, RouteRule(destinations: toStable)]).routes(Self.name)
        #expect(
            routes.map(\.route.cluster) == [
                Self.cluster("canary"), Self.cluster("canary"), Self.cluster("canary"), Self.cluster("stable"),
            ])
        #expect(routes[0].match.path == "/a")
        #expect(routes[0].match.headers.map(\.name) == [":method"])
        #expect(routes[1].match.prefix == "/b" && routes[1].match.caseSensitive.value == false)
        #expect(routes[1].match.headers.map(\.name) == ["x-a", "x-user"] && routes[1].match.headers[1].presentMatch)
        #expect(routes[2].match.safeRegex.regex == "/c.*")
        #expect(routes[2].match.headers[0].invertMatch && routes[2].match.headers[0].presentMatch)
        #expect(routes[2].match.queryParameters[0].stringMatch.prefix == "z")
    }

    @Test func `Rules for other clients, namespaces and ports are left out`() {
        let rules = [
            RouteRule(matches: [.init(sourceLabels: ["app": "batch"])], destinations: toCanary),
            RouteRule(matches: [.init(sourceNamespace: "other")], destinations: toCanary),
            RouteRule(matches: [.init(port: 81)], destinations: toCanary),
            RouteRule(
                matches: [.init(sourceLabels: ["app": "front"], sourceNamespace: "shop")], destinations: toStable),
        ]
        #expect(make(rules).routes(Self.name).map(\.route.cluster) == [Self.cluster("stable")])
        let batch = Shop.pod("batch", "10.77.0.50", account: "batch")
        #expect(make(rules, for: batch).routes(Self.name).first?.route.cluster == Self.cluster("canary"))
    }

    @Test func `Requests that no rule matches are answered 404, and that is reported`() {
        let configuration = make([RouteRule(matches: [.init(method: .exact("GET"))], destinations: toStable)])
        #expect(configuration.routes(Self.name).count == 1)
        #expect(configuration.problems.map(\.source) == ["VirtualService shop/catalog"])
        #expect(configuration.problems.first?.message.contains("404") == true)
    }

    @Test func `A missing subset costs no more than its own meaning`() {
        let configuration = make([
            RouteRule(destinations: [
                .init(destination: .init(service: Shop.catalog, subset: "gone"), weight: 10),
                .init(destination: .init(service: Shop.catalog, subset: "stable"), weight: 90),
            ])
        ])
        let weighted = configuration.routes(Self.name).first?.route.weightedClusters.clusters
        #expect(weighted?.map(\.name) == [Self.cluster(""), Self.cluster("stable")])
        #expect(configuration.problems.contains { $0.message.contains("subset gone") })
    }

    @Test func `A missing service keeps the shares of the others`() {
        let configuration = make([
            RouteRule(destinations: [
                .init(destination: .init(service: .init(namespace: "shop", name: "nobody")), weight: 1),
                .init(destination: .init(service: Shop.catalog, subset: "stable"), weight: 3),
            ])
        ])
        let weighted = configuration.routes(Self.name).first?.route.weightedClusters.clusters
        #expect(weighted?.map(\.name) == ["BlackHoleCluster", Self.cluster("stable")])
        #expect(weighted?.map(\.weight.value) == [1, 3])
    }

    struct RetryCase: Sendable {
        var policy: RetryPolicy
        var retryOn: String
        var retries: UInt32
        var codes: [UInt32] = []
    }

    @Test(arguments: [
        RetryCase(policy: .init(attempts: 0), retryOn: "", retries: 0),
        RetryCase(
            policy: .init(attempts: 3),
            retryOn: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            retries: 3, codes: [503]),
        RetryCase(
            policy: .init(attempts: 1, retryOn: ["5xx", "429"]), retryOn: "5xx,retriable-status-codes", retries: 1,
            codes: [429]),
    ])
    func `Retries are as the policy says`(_ test: RetryCase) throws {
        let rule = RouteRule(destinations: toStable, retries: test.policy)
        let action = try #require(make([rule]).routes(Self.name).first).route
        #expect(action.hasRetryPolicy == (test.retries > 0))
        #expect(action.retryPolicy.retryOn == test.retryOn)
        #expect(action.retryPolicy.numRetries.value == test.retries)
        #expect(action.retryPolicy.retriableStatusCodes == test.codes)
    }

    @Test func `Timeouts, mirrors, faults, rewrites and header changes are carried over`() throws {
        let rule = RouteRule(
            matches: [.init(uri: .prefix("/v1"))], destinations: toStable, timeoutSeconds: 1.5,
            retries: .init(attempts: 2, perTryTimeoutSeconds: 0.5, backoffSeconds: 0.025),
            mirrors: [.init(destination: .init(service: Shop.catalog, subset: "canary"), percent: 12.5)],
            fault: .init(delaySeconds: 1, delayPercent: 50, abortStatus: 503, abortPercent: 1),
            rewriteURI: "/v2", rewriteAuthority: "catalog.example",
            requestHeaders: .init(set: ["x-b": "2", "x-a": "1"], add: ["x-c": "3"], remove: ["cookie"]),
            responseHeaders: .init(set: ["server": "shop"]))
        let configuration = make([rule, RouteRule(destinations: toStable)])
        let route = try #require(configuration.routes(Self.name).first)
        #expect(route.route.timeout == .init(seconds: 1, nanos: 500_000_000))
        #expect(route.route.retryPolicy.perTryTimeout == .init(nanos: 500_000_000))
        #expect(route.route.retryPolicy.retryBackOff.maxInterval == .init(nanos: 250_000_000))
        #expect(route.route.requestMirrorPolicies.map(\.cluster) == [Self.cluster("canary")])
        #expect(route.route.requestMirrorPolicies[0].runtimeFraction.defaultValue.numerator == 125_000)
        #expect(route.route.prefixRewrite == "/v2")
        #expect(route.route.hostRewriteLiteral == "catalog.example")
        #expect(route.requestHeadersToAdd.map(\.header.key) == ["x-a", "x-b", "x-c"])
        #expect(route.requestHeadersToRemove == ["cookie"])
        #expect(route.responseHeadersToAdd.map(\.header.value) == ["shop"])
        let fault = try Envoy_Extensions_Filters_Http_Fault_V3_HTTPFault(
            unpackingAny: try #require(route.typedPerFilterConfig["envoy.filters.http.fault"]))
        #expect(fault.delay.percentage.numerator == 500_000 && fault.abort.httpStatus == 503)
    }

    @Test func `A new authority among the headers is a rewrite of the host`() throws {
        let rule = RouteRule(destinations: toStable, requestHeaders: .init(set: ["Host": "other.example"]))
        let route = try #require(make([rule]).routes(Self.name).first)
        #expect(route.route.hostRewriteLiteral == "other.example")
        #expect(route.requestHeadersToAdd.isEmpty)
    }

    @Test func `Connections to a TCP service are split too`() throws {
        var mesh = Shop.snapshot()
        mesh.routes = [
            TrafficRoute(
                source: "VirtualService shop/ledger", namespace: "shop", services: [Shop.ledger],
                rules: [
                    RouteRule(destinations: [
                        .init(destination: .init(service: Shop.ledger), weight: 3),
                        .init(destination: .init(service: Shop.catalog, port: 80), weight: 1),
                    ])
                ])
        ]
        let configuration = ProxyConfiguration.make(for: Shop.front, in: mesh)
        let listener = try #require(configuration.listener("10.96.0.11_5000"))
        let proxy = try Envoy_Extensions_Filters_Network_TcpProxy_V3_TcpProxy(
            unpackingAny: listener.filterChains[0].filters[0].typedConfig)
        #expect(proxy.weightedClusters.clusters.map(\.weight) == [3, 1])
        #expect(configuration.sources[.init(.listener, "10.96.0.11_5000")]?.first == "VirtualService shop/ledger")
    }

    @Test func `Of two objects that route a service the first counts and the other is reported`() {
        var mesh = Shop.split(stable: 1, canary: 1)
        var second = mesh.routes[0]
        second.source = "VirtualService shop/late"
        mesh.routes.append(second)
        let configuration = ProxyConfiguration.make(for: Shop.front, in: mesh)
        #expect(configuration.problems.map(\.source) == ["VirtualService shop/late"])
        #expect(configuration.sources[.init(.routes, Self.name)]?.first == "VirtualService shop/catalog")
    }
}
