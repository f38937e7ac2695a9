import HeddleAPI
import KubeCore
import MeshDialects
import MeshModel
import Testing

@testable import MeshPlan

struct ServiceRoutingTests {
    private let service = ServiceID(namespace: "shop", name: "catalog")
    private let split = ServiceRouting.Split(stableHash: "aaa", canaryHash: "bbb", canaryWeightPercent: 25)

    private func policy(_ change: (inout ServicePolicySpec) -> Void) -> ServicePolicySpec {
        var policy = ServicePolicySpec(service: "catalog")
        change(&policy)
        return policy
    }

    private func weights(_ rule: RouteRule) -> [String: Int] {
        rule.destinations.reduce(into: [:]) { $0[$1.destination.subset ?? "-"] = $1.weight }
    }

    @Test func `with neither a policy nor a split there is nothing to say`() {
        let routing = ServiceRouting(service: service)
        #expect(routing.route == nil)
        #expect(routing.destinationPolicy == nil)
        let empty = ServiceRouting(service: service, policy: ServicePolicySpec(service: "catalog"))
        #expect(empty.route == nil)
        #expect(empty.destinationPolicy == nil)
    }

    @Test(arguments: [0, 1, 50, 100])
    func `a split names both subsets and their shares add up`(weight: Int) throws {
        var split = split
        split.canaryWeightPercent = weight
        let routing = ServiceRouting(service: service, split: split)
        let rule = try #require(routing.route?.rules.first)
        #expect(routing.route?.rules.count == 1)
        #expect(weights(rule) == ["stable": 100 - weight, "canary": weight])
        #expect(rule.retries == nil, "a split changes nothing but the destinations")
        let subsets = try #require(routing.destinationPolicy?.subsets)
        #expect(subsets.map(\.name) == ["stable", "canary"])
        #expect(subsets.map(\.labels) == [["pod-template-hash": "aaa"], ["pod-template-hash": "bbb"]])
    }

    @Test(arguments: [(-5, 0), (130, 100)])
    func `a share stays within 0 and 100`(asked: Int, kept: Int) {
        #expect(
            ServiceRouting.Split(stableHash: "a", canaryHash: "b", canaryWeightPercent: asked).canaryWeightPercent
                == kept)
    }

    @Test func `every rule of a policy takes part in the split`() throws {
        let routing = ServiceRouting(
            service: service,
            policy: policy {
                $0.timeout = "3s"
                $0.retries = [
                    RetryPolicy(methods: [.get, .head], attempts: 3), RetryPolicy(methods: [.put], attempts: 1),
                ]
            }, split: split)
        let rules = try #require(routing.route?.rules)
        #expect(rules.count == 3)
        for rule in rules {
            #expect(weights(rule) == ["stable": 75, "canary": 25])
            #expect(rule.timeoutSeconds == 3)
        }
        #expect(rules[0].matches.map(\.method) == [.exact("GET"), .exact("HEAD")])
        #expect(rules[0].retries?.attempts == 3)
        #expect(rules[1].retries?.attempts == 1)
        #expect(rules[2].matches.isEmpty)
        #expect(rules[2].retries?.attempts == 0, "a method that no entry names is not retried")
    }

    @Test func `an entry without methods is for all, and needs no rule after it`() throws {
        let routing = ServiceRouting(service: service, policy: policy { $0.retries = [RetryPolicy(attempts: 2)] })
        let rules = try #require(routing.route?.rules)
        #expect(rules.count == 1)
        #expect(rules[0].matches.isEmpty)
        #expect(rules[0].destinations.map(\.destination.subset) == [nil])
    }

    @Test func `no retries are written as no conditions either`() throws {
        let routing = ServiceRouting(service: service, policy: policy { $0.retries = [RetryPolicy(attempts: 0)] })
        #expect(try #require(routing.route?.rules.first?.retries).retryOn.isEmpty)
    }

    @Test func `limits and balancing make a rule without a route`() throws {
        let routing = ServiceRouting(
            service: service,
            policy: policy {
                $0.loadBalancing = .leastRequest
                $0.circuitBreaker = CircuitBreaker(maxConnections: 10, maxPendingRequests: 20, maxRequests: 30)
                $0.outlierDetection = HeddleAPI.OutlierDetection()
            })
        #expect(routing.route == nil)
        let traffic = try #require(routing.destinationPolicy?.traffic)
        #expect(traffic.loadBalancing == .leastRequest)
        #expect(traffic.connectionPool?.maxConnections == 10)
        #expect(traffic.connectionPool?.maxPendingRequests == 20)
        #expect(traffic.connectionPool?.maxRequests == 30)
        #expect(traffic.outlierDetection?.consecutive5xxErrors == 5)
        #expect(traffic.outlierDetection?.baseEjectionSeconds == 30)
        #expect(routing.destinationPolicy?.subsets.isEmpty == true)
    }

    @Test(arguments: [0, 7, 50, 100])
    func `a split that was written is read back the same through Istio's objects`(weight: Int) throws {
        var split = split
        split.canaryWeightPercent = weight
        let routing = ServiceRouting(
            service: service, policy: policy { $0.retries = [RetryPolicy(methods: [.get])] }, split: split)
        var object = KubeObject(.virtualServices, namespace: "shop", name: "catalog-heddle")
        object.spec = IstioVirtualService.spec(try #require(routing.route))
        let reading = IstioVirtualService.read(object)
        #expect(reading.problems.isEmpty)
        #expect(ServiceRouting.Split.canaryWeight(in: try #require(reading.value)) == weight)

        var rule = KubeObject(.destinationRules, namespace: "shop", name: "catalog-heddle")
        rule.spec = IstioDestinationRule.spec(try #require(routing.destinationPolicy))
        #expect(IstioDestinationRule.read(rule).value?.subsets == routing.destinationPolicy?.subsets)
    }

    @Test func `a route that splits nothing has no canary's share`() throws {
        let routing = ServiceRouting(service: service, policy: policy { $0.timeout = "1s" })
        #expect(ServiceRouting.Split.canaryWeight(in: try #require(routing.route)) == nil)
    }
}
