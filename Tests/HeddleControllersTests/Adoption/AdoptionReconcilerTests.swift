import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeTesting
import Testing

@testable import HeddleControllers

struct AdoptionReconcilerTests {
    @Test func `workloads are restarted one batch at a time with the label and the annotation alone`() async throws {
        let bench = AdoptionBench()
        let before = try bench.template("catalog")
        for _ in 0..<3 where bench.asked.isEmpty { try await bench.look() }
        #expect(bench.asked == ["catalog"], "the leaf of the call graph comes first, alone")

        var expected = before
        expected[path: "metadata", "labels", HeddleLabel.inject] = "true"
        let restartedAt = try #require(
            try bench.template("catalog")[path: "metadata", "annotations", HeddleAnnotation.restartedAt]?.string)
        #expect(KubeTime.parse(restartedAt) == bench.bench.now)
        expected[path: "metadata", "annotations", HeddleAnnotation.restartedAt] = .string(restartedAt)
        #expect(try bench.template("catalog") == expected)

        // Its pods are not there yet: nothing else is touched.
        for _ in 0..<5 {
            try await bench.look()
            bench.bench.advance(1)
        }
        #expect(bench.asked == ["catalog"])
        bench.kubernetes()
        try await bench.run(limit: 5) { $0.asked == ["cart", "catalog"] }
    }

    @Test func `a workload that does not come up is put back without a trace`() async throws {
        let bench = AdoptionBench()
        let before = try bench.template("catalog")
        for _ in 0..<3 where bench.asked.isEmpty { try await bench.look() }
        bench.broken = ["catalog"]
        // Another manager's word on the same template stays.
        var theirs = try bench.cluster.get("Deployment", .deployments, "catalog")
        theirs.spec[path: "template", "metadata", "labels", "team"] = "web"
        bench.cluster.seed(.deployments, theirs)
        try await bench.run(limit: 30) { !$0.asked.contains("catalog") }
        var expected = before
        expected[path: "metadata", "labels", "team"] = "web"
        var found = try bench.template("catalog")
        if found[path: "metadata", "annotations"] == [:] { found[path: "metadata", "annotations"] = .none }
        #expect(found == expected)
        let workload = try #require(try bench.status.workloads.first { $0.name == "catalog" })
        #expect(workload.state == .failed)
        #expect(workload.attempts == 1)
    }

    @Test func `a namespace goes from bare to strict, its policies selecting its pods`() async throws {
        let bench = AdoptionBench()
        try await bench.run { try $0.status.phase == .strict && $0.status.state == .complete }
        for name in ["cart", "catalog"] {
            let policy = try #require(bench.policy("heddle-\(name)"))
            #expect(policy.spec == ["selector": ["matchLabels": ["app": .string(name)]], "mtls": ["mode": "STRICT"]])
            #expect(policy.labels[HeddleLabel.managedBy] == "heddle")
        }
        #expect(bench.policy("heddle-strict")?.spec == ["mtls": ["mode": "STRICT"]])
        // At rest only the measurements' time may change.
        try await bench.look()
        bench.cluster.clearLog()
        for _ in 0..<3 { try await bench.look() }
        #expect(bench.cluster.writes.isEmpty)
    }

    @Test func `the policy is written after the status that says how to undo it`() async throws {
        let bench = AdoptionBench()
        try await bench.run { try $0.status.phase == .strict }
        bench.cluster.clearLog()
        try await bench.run { $0.policy("heddle-catalog") != nil }
        let workload = try #require(try bench.status.workloads.first { $0.name == "catalog" })
        #expect(workload.restore.contains { $0.phase == .strict && $0.name == "heddle-catalog" })
        let kinds = bench.cluster.writes.filter(\.changed).map(\.request.resource.kind)
        #expect(kinds.last == "PeerAuthentication" && kinds.dropLast().last == "Adoption")
    }

    @Test func `a policy that a crash kept from being written, or that somebody removed, is written again`()
        async throws
    {
        let bench = AdoptionBench()
        try await bench.run { try $0.status.phase == .strict && $0.status.state == .complete }
        bench.cluster.remove(.peerAuthentications, namespace: "shop", name: "heddle-cart")
        try await bench.look()
        #expect(bench.policy("heddle-cart") != nil)
    }

    @Test func `plaintext holds the phase and is blamed on the client's workload`() async throws {
        let bench = AdoptionBench()
        bench.bench.addDeployment("legacy-batch", replicas: 1)
        var legacy = try bench.cluster.get("Deployment", .deployments, "legacy-batch")
        legacy.spec[path: "template", "metadata", "labels", HeddleLabel.inject] = "false"
        bench.cluster.seed(.deployments, legacy)
        bench.kubernetes()
        let pod = try #require(bench.cluster.objects(.pods).first { $0.name.hasPrefix("legacy-batch") })
        let address = try #require(pod.status["podIP"]?.string)
        // A pod that ended long ago had the same address.
        var ghost = KubeObject(.pods, namespace: "attic", name: "a-ghost")
        ghost.status = ["phase": "Succeeded", "podIP": .string(address)]
        bench.cluster.seed(.pods, ghost)
        bench.plaintext([(["app": "catalog", "destination_port": "8080", "source_ip": address], 12.3)])

        try await bench.run { try $0.status.phase == .strict && $0.status.state == .blocked }
        for _ in 0..<20 { try await bench.tick() }
        let blocker = try #require(try bench.status.blockers.first { $0.gate == .plaintextClients })
        #expect(blocker.client == "shop/legacy-batch")
        #expect(blocker.workload == "catalog")
        #expect(blocker.port == 8080)
        #expect(blocker.count == 13)
        #expect(bench.cluster.objects(.peerAuthentications).isEmpty)
        #expect(bench.asked == ["cart", "catalog"], "a workload that opted out is left alone")
    }

    @Test func `an exception keeps its port permissive and lets the rest become strict`() async throws {
        let bench = AdoptionBench {
            $0.exceptions = [
                AdoptionException(
                    client: "10.9.9.9", workload: "catalog", port: 8080, owner: "ops", reason: "old",
                    expires: "2027-12-31")
            ]
        }
        bench.plaintext([(["app": "catalog", "destination_port": "8080", "source_ip": "10.9.9.9"], 5)])
        try await bench.run { $0.policy("heddle-catalog") != nil && $0.policy("heddle-cart") != nil }
        #expect(bench.policy("heddle-catalog")?.spec["mtls"] == ["mode": "STRICT"])
        #expect(bench.policy("heddle-catalog")?.spec["portLevelMtls"] == ["8080": ["mode": "PERMISSIVE"]])
        #expect(bench.policy("heddle-cart")?.spec["portLevelMtls"] == nil)
    }

    @Test func `plaintext that no workload is known for holds the phase too`() async throws {
        let bench = AdoptionBench()
        bench.plaintext([(["destination_port": "8080", "source_ip": "10.9.9.9"], 1)])
        try await bench.run { try $0.status.phase == .strict && $0.status.state == .blocked }
        for _ in 0..<15 { try await bench.tick() }
        #expect(try bench.status.blockers.contains { $0.gate == .plaintextClients && $0.client == "10.9.9.9" })
        #expect(bench.cluster.objects(.peerAuthentications).isEmpty)
    }

    @Test(arguments: [nil, 600.0])
    func `certificates that are unknown or about to lapse hold the phase`(left: Double?) async throws {
        let bench = AdoptionBench()
        bench.certificates.notAfter = left.map { bench.bench.now.addingTimeInterval($0) }
        try await bench.run { try $0.status.phase == .strict && $0.status.state == .blocked }
        for _ in 0..<15 { try await bench.tick() }
        #expect(try bench.status.blockers.contains { $0.gate == .certificates })
        #expect(bench.cluster.objects(.peerAuthentications).isEmpty)
    }

    @Test func `metrics that cannot be read hold the phase and say so`() async throws {
        let bench = AdoptionBench()
        bench.bench.prometheus.isAway = true
        try await bench.run(limit: 40) { try $0.status.state == .blocked }
        #expect(
            try bench.status.blockers.contains {
                $0.gate == .metricsSource && $0.message.contains("connection refused")
            })
        #expect(try bench.status.phase == .observe)
        #expect(try bench.status.conditions["MetricsAvailable"]?.status == .false)
    }

    @Test func `somebody else's policy of Heddle's name is not overwritten`() async throws {
        let bench = AdoptionBench()
        var theirs = KubeObject(.peerAuthentications, namespace: "shop", name: "heddle-catalog")
        theirs.spec = ["selector": ["matchLabels": ["app": "x"]]]
        let before = bench.cluster.seed(.peerAuthentications, theirs)
        for _ in 0..<60 { try await bench.tick() }
        #expect(bench.policy("heddle-catalog") == before)
    }

    @Test func `an adoption with a wrong spec gets a condition with the field's path`() async throws {
        let bench = AdoptionBench()
        var wrong = try bench.adoption.object
        wrong.spec["batch"] = ["maxWorkloads": 0]
        bench.cluster.seed(.adoptions, wrong)
        try await bench.look()
        let object = try bench.cluster.get("Adoption", .adoptions, "shop")
        let conditions = try (object.status["conditions"]?.array ?? []).map { try $0.decode(Condition.self) }
        #expect(conditions["Accepted"]?.reason == "InvalidSpec")
        #expect(conditions["Accepted"]?.message.contains("spec.batch.maxWorkloads") == true)
        #expect(bench.asked.isEmpty)
    }
}
