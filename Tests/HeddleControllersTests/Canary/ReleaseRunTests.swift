import HeddleAPI
import KubeCore
import KubeTesting
import MeshPlan
import Testing

@testable import HeddleControllers

struct ReleaseRunTests {
    /// A bench whose Canary has seen the first version.
    private func started(_ change: (inout CanarySpec) -> Void = { _ in }) async throws -> ReleaseBench {
        let bench = ReleaseBench(change)
        try await bench.run(limit: 3) { try $0.status.phase == .idle && $0.status.change.promoted != nil }
        return bench
    }

    @Test func `a good change goes from held to succeeded and leaves nothing behind`() async throws {
        let bench = try await started()
        #expect(bench.route == nil, "at rest no route depends on Heddle")
        try bench.apply("app:2")
        #expect(try bench.isPaused)
        try await bench.run { try $0.status.phase == .succeeded && !$0.hasCanary }

        #expect(bench.weights == [nil, 0, 10, 50, 100, nil])
        #expect(
            bench.phases == [.idle, .starting, .progressing, .promoting, .baking, .succeeded])
        #expect(try !bench.isPaused)
        #expect(try bench.image == "app:2")
        #expect(try bench.deployment().annotations[HeddleAnnotation.heldChange] == nil)
        #expect(bench.route == nil)
        #expect(bench.rule == nil)
    }

    @Test func `the split is at 0 before the canary Deployment is made`() async throws {
        let bench = try await started()
        try bench.apply("app:2")
        bench.cluster.clearLog()
        try await bench.run { $0.hasCanary }
        let order = bench.cluster.writes.filter {
            $0.changed && $0.request.subresource == nil && $0.request.resource != .canaries
        }.map(
            \.request.resource.kind)
        #expect(order == ["DestinationRule", "VirtualService", "Deployment"])
        #expect(bench.weight == 0)
    }

    @Test func `the canary runs the template and the selector of the Deployment and belongs to the Canary`()
        async throws
    {
        let bench = try await started()
        try bench.apply("app:2")
        try await bench.run { $0.hasCanary }
        let (own, target) = (try bench.deployment("catalog-canary"), try bench.deployment())
        #expect(own.spec["template"] == target.spec["template"])
        #expect(own.spec["selector"] == target.spec["selector"])
        #expect(own.controllerReference?.name == "catalog")
        #expect(own.controllerReference?.kind == "Canary")
        #expect(own.spec["replicas"] == 1, "10 % of 4 pods, rounded up")
    }

    @Test func `a change that came while the webhook was away is paused by the reconciler`() async throws {
        let bench = try await started()
        bench.broken = ["app:2"]
        try bench.apply("app:2", webhook: false)
        try await bench.tick()
        #expect(try bench.isPaused)
        #expect(
            try bench.deployment().annotations[HeddleAnnotation.heldChange]
                == ChangeHash.of(template: bench.deployment().spec["template"] ?? [:]))
    }

    @Test func `a bad canary goes back to 0 and the Deployment stays paused on its change`() async throws {
        let bench = try await started()
        bench.failures["app:2"] = 0.5
        try bench.apply("app:2")
        try await bench.run { try $0.status.phase == .rolledBack && !$0.hasCanary && $0.route == nil }
        #expect(bench.weights == [nil, 0, 10, 0, nil], "50 % must never be reached")
        #expect(try bench.isPaused)
        #expect(try bench.image == "app:2")
        #expect(bench.rule == nil)
        let record = try #require(
            try bench.status.decisions.last { $0.verdict == .fail && $0.metric == "success-ratio" })
        #expect(record.action == "RollBack")
        #expect((record.n?.canary ?? 0) > 0)
        // The rejected change starts no second run.
        for _ in 0..<5 { try await bench.tick() }
        #expect(try bench.status.phase == .rolledBack)
        #expect(!bench.hasCanary)
    }

    @Test func `putting the stable template back after a rollback resumes the Deployment`() async throws {
        let bench = try await started()
        bench.failures["app:2"] = 0.5
        try bench.apply("app:2")
        try await bench.run { try $0.status.phase == .rolledBack && $0.route == nil }
        var back = try bench.deployment()
        back.spec[path: "template", "spec", "containers"] = [
            ["name": "app", "image": "app:1", "ports": [["containerPort": 8080]]]
        ]
        back.json[path: "metadata", "generation"] = .int(back.generation + 1)
        bench.cluster.seed(.deployments, back)
        bench.kubernetes()
        try await bench.run(limit: 5) { try !$0.isPaused }
        #expect(try bench.status.phase == .idle)
    }

    @Test func `while Prometheus is away the run holds and goes back at the deadline`() async throws {
        let bench = try await started()
        try bench.apply("app:2")
        try await bench.run { $0.weight == 10 }
        bench.bench.prometheus.isAway = true
        for _ in 0..<20 { try await bench.tick() }
        #expect(bench.weight == 10, "an outage of the metrics is no verdict")
        #expect(try bench.status.waitingFor == .metricsSource)
        try await bench.run { try $0.status.phase == .rolledBack && $0.route == nil }
        #expect(bench.weights == [nil, 0, 10, 0, nil])
        #expect(try bench.isPaused)
    }

    @Test func `an outage of Prometheus that ends loses no request and blames none on the step after`() async throws {
        let bench = try await started()
        try bench.apply("app:2")
        try await bench.run { $0.weight == 10 }
        try await bench.tick()
        let before = try #require(try bench.status.evidence.first?.counts)
        bench.bench.prometheus.isAway = true
        for _ in 0..<4 { try await bench.tick() }
        bench.bench.prometheus.isAway = false
        try await bench.look()
        let after = try #require(try bench.status.evidence.first?.counts)
        // Four seconds of 100 requests and the one that was due.
        #expect(after.canaryRequests - before.canaryRequests == 50)
        #expect(after.stableRequests - before.stableRequests == 450)
    }

    @Test func `an outage of Prometheus across the start of a step leaves what came before out of the step`()
        async throws
    {
        let bench = try await started {
            $0.steps[0].duration = "6s"
            $0.steps[0].minSamples = 100
        }
        try bench.apply("app:2")
        try await bench.run { try $0.status.phase == .starting }
        try await bench.tick()
        bench.bench.prometheus.isAway = true
        try await bench.run { try $0.weight == 10 && $0.status.stepStartedAt != nil }
        bench.bench.prometheus.isAway = false
        for _ in 0..<12 where bench.weight == 10 {
            try await bench.tick()
            let traffic = try bench.status.stepTraffic
            if bench.weight == 10 { #expect(traffic.stableRequests == 9 * traffic.canaryRequests) }
        }
        try await bench.run { try $0.status.phase == .succeeded }
    }

    @Test func `without sidecars a change waits for an Adoption`() async throws {
        let bench = try await started()
        let set = try #require(bench.cluster.objects(.replicaSets).first)
        var pod = KubeObject(.pods, namespace: "shop", name: "catalog-1")
        pod.ownerReferences = [set.asController]
        bench.cluster.seed(.pods, pod)
        try bench.apply("app:2")
        for _ in 0..<3 { try await bench.tick() }
        #expect(try bench.status.phase == .waitingForPhase)
        #expect(try bench.status.message?.contains("1 of 1 pods of catalog have no sidecar") == true)
        #expect(try bench.isPaused)
        #expect(!bench.hasCanary)
        pod.labels[HeddleLabel.injected] = "true"
        bench.cluster.seed(.pods, pod)
        try await bench.run { try $0.status.phase == .succeeded }
    }
}
