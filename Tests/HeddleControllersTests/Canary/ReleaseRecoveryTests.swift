import HeddleAPI
import KubeCore
import KubeTesting
import MeshModel
import MeshPlan
import Synchronization
import Testing

@testable import HeddleControllers

/// The operator dies, loses answers, or finds the world changed: the run goes on as if nothing had been.
struct ReleaseRecoveryTests {
    private func started(_ change: (inout CanarySpec) -> Void = { _ in }) async throws -> ReleaseBench {
        let bench = ReleaseBench(change)
        try await bench.run(limit: 3) { try $0.status.phase == .idle && $0.status.change.promoted != nil }
        return bench
    }

    /// Longer steps, so that there is something to lose.
    private func long(_ spec: inout CanarySpec) {
        spec.steps[0].duration = "6s"
        spec.steps[1].duration = "6s"
    }

    @Test(arguments: [5, 7, 9, 12, 14, 17])
    func `a restart in the middle of a run loses no request, doubles none and changes no weight`(at tick: Int)
        async throws
    {
        func evidence(restartAt: Int?) async throws -> (weights: [Int?], counts: TrackCounts?) {
            let bench = try await started(long)
            try bench.apply("app:2")
            for index in 0..<25 {
                if index == restartAt { bench.restart() }
                try await bench.tick()
            }
            return (bench.weights, try bench.status.evidence.first?.counts)
        }
        let undisturbed = try await evidence(restartAt: nil)
        let restarted = try await evidence(restartAt: tick)
        #expect((undisturbed.counts?.canaryRequests ?? 0) > 100)
        #expect(restarted.counts == undisturbed.counts)
        #expect(restarted.weights == undisturbed.weights)
    }

    @Test func `a look whose status could not be written is read again by the next one`() async throws {
        let bench = try await started(long)
        try bench.apply("app:2")
        try await bench.run { try $0.weight == 10 && ($0.status.evidence.first?.counts.canaryRequests ?? 0) > 0 }
        let before = try #require(try bench.status.evidence.first?.counts)
        bench.cluster.injectFaults { request, _ in
            request.subresource == "status"
                ? .refuse(APIError(code: 500, reason: "InternalError", message: "etcd")) : nil
        }
        await #expect(throws: APIError.self) { try await bench.look() }
        bench.cluster.injectFaults(nil)
        bench.serve()
        bench.bench.advance(1)
        try await bench.look()
        let after = try #require(try bench.status.evidence.first?.counts)
        // The second that was read in vain, and the one after.
        #expect(after.canaryRequests - before.canaryRequests == 20)
        #expect(after.stableRequests - before.stableRequests == 180)
    }

    /// How many writes a whole run makes when nothing goes wrong.
    private func writesOfARun() async throws -> Int {
        let bench = try await started()
        try bench.apply("app:2")
        bench.cluster.clearLog()
        try await bench.run { try $0.status.phase == .succeeded && !$0.hasCanary }
        return bench.cluster.writes.count
    }

    @Test(arguments: [true, false])
    func `a crash at any write of a run converges to the same end`(after: Bool) async throws {
        let total = try await writesOfARun()
        #expect(total > 15)
        for number in 1...total {
            let bench = try await started()
            try bench.apply("app:2")
            bench.cluster.clearLog()
            let error = APIError(code: 0, reason: "Unknown", message: "connection reset")
            let isArmed = Mutex(true)
            bench.cluster.injectFaults { _, write in
                guard write == number,
                    isArmed.withLock({ armed in
                        defer { armed = false }
                        return armed
                    })
                else { return nil }
                return after ? .loseAnswer(error) : .refuse(error)
            }
            for _ in 0..<80 {
                if try bench.status.phase == .succeeded, !bench.hasCanary, bench.rule == nil { break }
                do { try await bench.tick() } catch is APIError { bench.restart() }
            }
            #expect(try bench.status.phase == .succeeded, "crash at write \(number)")
            #expect(bench.weights == [nil, 0, 10, 50, 100, nil], "crash at write \(number)")
            #expect(
                !bench.hasCanary && bench.route == nil && bench.rule == nil, "crash at write \(number) left something")
            #expect(try !bench.isPaused, "crash at write \(number)")
        }
    }

    @Test func `a look at a settled run writes nothing`() async throws {
        let bench = try await started()
        try bench.apply("app:2")
        try await bench.run { try $0.status.phase == .succeeded && !$0.hasCanary && $0.rule == nil }
        try await bench.tick()
        bench.cluster.clearLog()
        for _ in 0..<5 { try await bench.tick() }
        #expect(bench.cluster.writes.isEmpty)
    }

    @Test(arguments: [2, 4, 6, 9, 13, 16])
    func `a look just after a look writes nothing`(at tick: Int) async throws {
        let bench = try await started(long)
        try bench.apply("app:2")
        for _ in 0..<tick { try await bench.tick() }
        // What the last second changed is taken in; then its own writes come back as events.
        for _ in 0..<8 {
            try await bench.look()
            bench.kubernetes()
            bench.bench.advance(0.03)
        }
        bench.cluster.clearLog()
        for _ in 0..<5 {
            try await bench.look()
            bench.bench.advance(0.03)
        }
        #expect(bench.cluster.writes.isEmpty, "its own status writes would make it look again, and so on")
    }

    @Test func `a run that is held by its spec writes nothing while it waits`() async throws {
        let bench = try await started()
        try bench.apply("app:2")
        try await bench.run { $0.weight == 10 }
        var object = try bench.bench.canary().object
        object.spec["paused"] = true
        bench.cluster.seed(.canaries, object)
        for _ in 0..<2 { try await bench.tick() }
        bench.cluster.clearLog()
        for _ in 0..<5 { try await bench.tick() }
        #expect(bench.cluster.writes.isEmpty)
        #expect(bench.weight == 10)
    }

    @Test func `a route that somebody changed or removed is put right`() async throws {
        let bench = try await started(long)
        try bench.apply("app:2")
        try await bench.run { $0.weight == 10 }
        bench.cluster.remove(.virtualServices, namespace: "shop", name: "catalog-heddle")
        try await bench.look()
        #expect(bench.weight == 10)
        bench.cluster.remove(.destinationRules, namespace: "shop", name: "catalog-heddle")
        try await bench.look()
        #expect(bench.rule?.spec["subsets"]?.array?.count == 2)
    }

    @Test func `a template that came since the cache was filled is not released by the promotion of another`()
        async throws
    {
        let bench = try await started()
        try bench.apply("app:2")
        try await bench.run { try $0.status.phase == .promoting && $0.weight == 100 && $0.isPaused }
        bench.bench.sync()
        try bench.apply("app:3")
        // From what it knows, this look would resume the Deployment.
        await #expect(throws: APIError.self) {
            try await bench.reconciler.reconcile(ObjectKey(namespace: "shop", name: "catalog"))
        }
        #expect(try bench.isPaused)
        #expect(try bench.image == "app:3")
        try await bench.run { try $0.status.phase == .succeeded && $0.image == "app:3" && !$0.hasCanary }
        #expect(try !bench.isPaused)
    }

    @Test func `a Canary that is deleted during its run leaves no split behind`() async throws {
        let bench = try await started()
        try bench.apply("app:2")
        try await bench.run { $0.weight == 10 }
        bench.cluster.remove(.canaries, namespace: "shop", name: "catalog")
        #expect(!bench.hasCanary, "the canary's pods go with their owner")
        bench.bench.sync()
        // As at a restart: the routes of the cache lead to a key.
        let route = try #require(bench.route)
        #expect(RouteWriter.service(of: route)?.name == "catalog")
        _ = try await bench.reconciler.reconcile(route.key)
        #expect(bench.route == nil)
        #expect(bench.rule == nil)
    }

    @Test func `a DestinationRule that a crash left is removed at rest`() async throws {
        let bench = try await started()
        var rule = KubeObject(.destinationRules, namespace: "shop", name: "catalog-heddle")
        rule.labels = [HeddleLabel.managedBy: "heddle"]
        rule.spec = [
            "host": "catalog.shop.svc.cluster.local",
            "subsets": [["name": "stable", "labels": ["pod-template-hash": "x"]]],
        ]
        bench.cluster.seed(.destinationRules, rule)
        try await bench.look()
        #expect(bench.rule == nil)
    }

    @Test func `a write from a stale cache cannot put an old weight back`() async throws {
        let bench = try await started()
        try bench.apply("app:2")
        try await bench.run { $0.weight == 10 }
        bench.bench.sync()
        let routes = RouteWriter(api: bench.cluster, stores: bench.bench.stores)
        let service = ServiceID(namespace: "shop", name: "catalog")
        let old = try #require(routes.split(of: service))
        var none = old
        none.canaryWeightPercent = 0
        try await routes.write(ServiceRouting(service: service, split: none))
        #expect(bench.weight == 0)
        // The cache still shows 10 %: as ServicePolicyReconciler would write it with a policy.
        var policy = ServicePolicySpec(service: "catalog")
        policy.timeout = "3s"
        await #expect(throws: CacheBehind.self) {
            try await routes.write(ServiceRouting(service: service, policy: policy, split: routes.split(of: service)))
        }
        #expect(bench.weight == 0)
    }
}
