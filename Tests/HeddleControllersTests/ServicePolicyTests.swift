import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import MeshModel
import MeshPlan
import Testing

@testable import HeddleControllers

struct ServicePolicyTests {
    private let bench = Bench()
    private let service = ServiceID(namespace: "shop", name: "catalog")

    init() { bench.addService("catalog") }

    private var routes: RouteWriter { RouteWriter(api: bench.cluster, stores: bench.stores) }
    private var route: KubeObject? { bench.cluster.object(.virtualServices, namespace: "shop", name: "catalog-heddle") }
    private var rule: KubeObject? { bench.cluster.object(.destinationRules, namespace: "shop", name: "catalog-heddle") }

    private func seed(
        _ name: String = "catalog", service: String = "catalog", _ change: (inout ServicePolicySpec) -> Void
    ) {
        var spec = ServicePolicySpec(service: service)
        change(&spec)
        bench.cluster.seed(
            .servicePolicies,
            ServicePolicy(namespace: "shop", name: name, spec: spec, status: ServicePolicyStatus()).object)
    }

    @discardableResult
    private func reconcile(_ name: String = "catalog", proxies: ProxyView = .none) async throws -> ReconcileResult {
        bench.sync()
        let reconciler = ServicePolicyReconciler(
            api: bench.cluster, stores: bench.stores, routes: routes, proxies: proxies, now: { bench.now })
        return try await reconciler.reconcile(ObjectKey(namespace: "shop", name: name))
    }

    private func status(_ name: String = "catalog") throws -> ServicePolicyStatus {
        try ServicePolicy(bench.cluster.get("ServicePolicy", .servicePolicies, name)).status
    }

    @Test func `a policy becomes a route and a rule and says so`() async throws {
        seed {
            $0.timeout = "3s"
            $0.retries = [RetryPolicy(methods: [.get], attempts: 3, perTryTimeout: "500ms")]
            $0.circuitBreaker = CircuitBreaker(maxConnections: 64)
            $0.retryBudget = RetryBudget()
        }
        try await reconcile()
        #expect(rule?.spec[path: "trafficPolicy", "retryBudget"] == ["percent": 20, "minRetryConcurrency": 3])
        let http = try #require(route?.spec["http"]?.array)
        #expect(http[0]["match"] == [["method": ["exact": "GET"]]])
        #expect(http[0][path: "retries", "attempts"] == 3)
        #expect(http[0]["timeout"] == "3s")
        #expect(http[1][path: "retries", "attempts"] == 0, "methods that no entry names are not retried")
        #expect(rule?.spec[path: "trafficPolicy", "connectionPool", "tcp", "maxConnections"] == 64)
        #expect(try status().rendered.map(\.kind) == ["VirtualService", "DestinationRule"])
        #expect(try status().conditions["Ready"]?.status == .true)

        bench.cluster.clearLog()
        for _ in 0..<3 { #expect(try await reconcile() == .done, "nothing to look at again but for a change") }
        #expect(bench.cluster.writes.isEmpty)
    }

    @Test func `a change of the policy keeps the split of a release that is under way`() async throws {
        bench.sync()
        let split = ServiceRouting.Split(stableHash: "aaa", canaryHash: "bbb", canaryWeightPercent: 25)
        try await routes.write(ServiceRouting(service: service, split: split))
        seed { $0.timeout = "3s" }
        try await reconcile()
        bench.sync()
        #expect(routes.split(of: service) == split)
        #expect(route?.spec["http"]?[0]?["timeout"] == "3s")

        bench.cluster.remove(.servicePolicies, namespace: "shop", name: "catalog")
        try await reconcile()
        bench.sync()
        #expect(routes.split(of: service) == split)
        #expect(route?.spec["http"]?[0]?["timeout"] == nil)
    }

    @Test func `a release between its two writes is left alone`() async throws {
        seed { $0.timeout = "3s" }
        try await reconcile()
        bench.sync()
        let split = ServiceRouting.Split(stableHash: "aaa", canaryHash: "bbb", canaryWeightPercent: 25)
        try await routes.write(ServiceRouting(service: service, policy: routes.policy(of: service), split: split))
        // The caches have the route already, and not its subsets.
        bench.sync()
        bench.stores.destinationRules.replace(with: [])
        let reconciler = ServicePolicyReconciler(
            api: bench.cluster, stores: bench.stores, routes: routes, proxies: .none, now: { bench.now })
        let result = try await reconciler.reconcile(ObjectKey(namespace: "shop", name: "catalog"))
        #expect(result == .requeue(after: .seconds(1)))
        bench.sync()
        #expect(routes.split(of: service) == split)
    }

    @Test func `the objects go with the policy`() async throws {
        seed {
            $0.timeout = "3s"
            $0.loadBalancing = .random
        }
        try await reconcile()
        #expect(route != nil && rule != nil)
        bench.cluster.remove(.servicePolicies, namespace: "shop", name: "catalog")
        try await reconcile()
        #expect(route == nil && rule == nil)
    }

    @Test func `a policy that moves to another Service takes its objects along`() async throws {
        bench.addService("cart")
        seed { $0.timeout = "3s" }
        try await reconcile()
        seed(service: "cart") { $0.timeout = "3s" }
        try await reconcile()
        #expect(route == nil)
        #expect(bench.cluster.object(.virtualServices, namespace: "shop", name: "cart-heddle") != nil)
    }

    @Test func `what a proxy refuses is said on the policy, and taken back`() async throws {
        seed { $0.timeout = "3s" }
        var proxies = ProxyView.none
        proxies.rejection = { $0 == "VirtualService shop/catalog-heddle" ? "timeout: value out of range" : nil }
        try await reconcile(proxies: proxies)
        let ready = try #require(try status().conditions["Ready"])
        #expect(ready.status == .false)
        #expect(ready.reason == "RejectedByProxy")
        #expect(ready.message.contains("timeout: value out of range"))
        try await reconcile()
        #expect(try status().conditions["Ready"]?.status == .true)
    }

    @Test func `of two policies for one Service the older one counts`() async throws {
        seed { $0.timeout = "3s" }
        bench.advance(10)
        seed("a-second") { $0.timeout = "9s" }
        try await reconcile()
        try await reconcile("a-second")
        #expect(route?.spec["http"]?[0]?["timeout"] == "3s")
        #expect(try status("a-second").conditions["Accepted"]?.reason == "FieldConflict")
        #expect(try status().conditions["Accepted"]?.status == .true)
    }

    @Test func `a Service that does not exist and a spec that is wrong are conditions`() async throws {
        seed("lost", service: "nobody") { $0.timeout = "3s" }
        try await reconcile("lost")
        #expect(try status("lost").conditions["Accepted"]?.reason == "ServiceNotFound")
        #expect(bench.cluster.objects(.virtualServices).isEmpty)

        var wrong = KubeObject(.servicePolicies, namespace: "shop", name: "wrong")
        wrong.spec = ["service": "catalog", "timeout": "soon"]
        bench.cluster.seed(.servicePolicies, wrong)
        try await reconcile("wrong")
        let object = try bench.cluster.get("ServicePolicy", .servicePolicies, "wrong")
        let conditions = try (object.status["conditions"]?.array ?? []).map { try $0.decode(Condition.self) }
        #expect(conditions["Accepted"]?.reason == "InvalidSpec")
        #expect(conditions["Accepted"]?.message.contains("spec.timeout") == true)
        #expect(route == nil)
    }

    @Test(arguments: [false, true])
    func `somebody else's route is reported, before and after Heddle's own is there`(isLate: Bool) async throws {
        seed { $0.timeout = "3s" }
        if isLate { try await reconcile() }
        var theirs = KubeObject(.virtualServices, namespace: "shop", name: "theirs")
        theirs.spec = ["hosts": ["catalog.shop.svc.cluster.local"], "http": []]
        let before = bench.cluster.seed(.virtualServices, theirs)
        try await reconcile()
        #expect(try status().conditions["Ready"]?.reason == "RouteConflict")
        #expect(try status().conditions["Ready"]?.message.contains("VirtualService shop/theirs") == true)
        #expect((route != nil) == isLate)
        #expect(bench.cluster.object(.virtualServices, namespace: "shop", name: "theirs") == before)
    }
}
