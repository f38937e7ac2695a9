import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import Testing

@testable import HeddleControllers

struct ReleaseConflictTests {
    private func foreignRoute(_ name: String = "theirs", gateways: [String]? = nil) -> KubeObject {
        var route = KubeObject(.virtualServices, namespace: "shop", name: name)
        route.spec = ["hosts": ["catalog"], "http": [["route": [["destination": ["host": "catalog"]]]]]]
        if let gateways { route.spec["gateways"] = .array(gateways.map(JSONValue.string)) }
        return route
    }

    @Test func `somebody else's route on the host is reported and left alone`() async throws {
        let bench = ReleaseBench()
        let theirs = bench.cluster.seed(.virtualServices, foreignRoute())
        try await bench.look()
        try bench.apply("app:2")
        for _ in 0..<5 { try await bench.tick() }
        let programmed = try #require(try bench.status.conditions["Programmed"])
        #expect(programmed.status == .false)
        #expect(programmed.reason == "RouteConflict")
        #expect(programmed.message.contains("VirtualService shop/theirs"))
        #expect(bench.route == nil)
        #expect(!bench.hasCanary)
        #expect(try bench.isPaused, "the change waits")
        #expect(bench.cluster.object(.virtualServices, namespace: "shop", name: "theirs") == theirs)

        bench.cluster.clearLog()
        for _ in 0..<3 { try await bench.tick() }
        #expect(bench.cluster.writes.isEmpty, "what is said once is not written again")

        bench.cluster.remove(.virtualServices, namespace: "shop", name: "theirs")
        try await bench.run { try $0.status.phase == .succeeded }
        #expect(try bench.status.conditions["Programmed"]?.status == .true)
    }

    @Test func `a foreign route that comes during a run takes the weight back to 0`() async throws {
        let bench = ReleaseBench()
        try await bench.look()
        try bench.apply("app:2")
        try await bench.run { $0.weight == 10 }
        bench.cluster.seed(.virtualServices, foreignRoute())
        try await bench.run { try !$0.status.phase.isRunning && !$0.hasCanary && $0.weight == nil }
        #expect(bench.weights == [nil, 0, 10, 0, nil])
        #expect(try bench.status.change.rejected == nil, "the change is not at fault")
        #expect(try bench.status.conditions["Programmed"]?.reason == "RouteConflict")
        #expect(bench.cluster.object(.virtualServices, namespace: "shop", name: "theirs") != nil)
    }

    @Test func `a route of a gateway alone is in nobody's way`() async throws {
        let bench = ReleaseBench()
        bench.cluster.seed(.virtualServices, foreignRoute(gateways: ["ingress/public"]))
        try await bench.look()
        try bench.apply("app:2")
        try await bench.run { try $0.status.phase == .succeeded }
    }

    @Test func `an object of Heddle's name that is not Heddle's is never overwritten`() async throws {
        let bench = ReleaseBench()
        var theirs = foreignRoute("catalog-heddle")
        theirs.spec["hosts"] = ["other.shop.svc.cluster.local"]
        let before = bench.cluster.seed(.virtualServices, theirs)
        try await bench.look()
        try bench.apply("app:2")
        for _ in 0..<5 { try await bench.tick() }
        #expect(bench.route == before)
        #expect(try bench.status.conditions["Programmed"]?.reason == "RouteConflict")
    }

    @Test func `a Deployment of the canary's name that is not Heddle's is never overwritten`() async throws {
        let bench = ReleaseBench()
        bench.bench.addDeployment("catalog-canary", replicas: 3)
        try await bench.look()
        try bench.apply("app:2")
        for _ in 0..<5 { try await bench.tick() }
        let theirs = try bench.deployment("catalog-canary")
        #expect(theirs.spec["replicas"] == 3)
        #expect(ReleaseBench.image(of: theirs) == "app:1")
        #expect(try bench.status.conditions["Ready"]?.reason == "TargetConflict")
        #expect(try bench.status.message?.contains("catalog-canary is not Heddle's") == true)
    }

    @Test func `of two canaries on one target the older one releases and the other says so`() async throws {
        let bench = ReleaseBench()
        try await bench.look()
        bench.bench.advance(60)
        let first = try bench.bench.canary()
        // Its name comes first, but it is younger.
        bench.cluster.seed(
            .canaries, Canary(namespace: "shop", name: "a-rival", spec: first.spec, status: CanaryStatus()).object)
        let rival = ObjectKey(namespace: "shop", name: "a-rival")
        try bench.apply("app:2")
        for _ in 0..<60 where try bench.status.phase != .succeeded || bench.hasCanary {
            try await bench.tick()
            bench.bench.sync()
            _ = try await bench.reconciler.reconcile(rival)
        }
        #expect(try bench.status.phase == .succeeded)
        #expect(bench.weights == [nil, 0, 10, 50, 100, nil])
        let other = try bench.bench.canary("a-rival").status
        #expect(other.phase == .failed)
        #expect(other.conditions["Ready"]?.reason == "TargetConflict")
        #expect(other.message?.contains("Canary catalog releases Deployment catalog already") == true)
    }

    @Test func `a spec that is wrong gets a condition with the field's path and disturbs nothing else`() async throws {
        let bench = ReleaseBench()
        try await bench.look()
        var wrong = Canary(
            namespace: "shop", name: "wrong",
            spec: CanarySpec(
                targetRef: TargetRef(name: "cart"), service: CanaryService(name: "cart", port: 80), steps: []),
            status: CanaryStatus()
        ).object
        wrong.spec["steps"] = [["weight": 130]]
        bench.cluster.seed(.canaries, wrong)
        bench.bench.sync()
        bench.cluster.clearLog()
        let key = ObjectKey(namespace: "shop", name: "wrong")
        #expect(try await bench.reconciler.reconcile(key) == .done)
        let object = try bench.cluster.get("Canary", .canaries, "wrong")
        let conditions = try (object.status["conditions"]?.array ?? []).map { try $0.decode(Condition.self) }
        #expect(conditions["Accepted"]?.status == .false)
        #expect(conditions["Accepted"]?.reason == "InvalidSpec")
        #expect(conditions["Accepted"]?.message.contains("spec.steps[0].weight") == true)
        #expect(bench.cluster.writes.count == 1)
        bench.bench.sync()
        _ = try await bench.reconciler.reconcile(key)
        #expect(bench.cluster.writes.count == 1, "said once")

        try bench.apply("app:2")
        try await bench.run { try $0.status.phase == .succeeded }
    }

    @Test func `a missing Service stops a release before anything is changed`() async throws {
        let bench = ReleaseBench()
        bench.cluster.remove(.services, namespace: "shop", name: "catalog")
        try await bench.look()
        try bench.apply("app:2")
        for _ in 0..<3 { try await bench.tick() }
        #expect(try bench.status.message?.contains("Service catalog does not exist") == true)
        #expect(!bench.hasCanary && bench.route == nil)
    }
}
