import HeddleAPI
import KubeCore
import KubeTesting
import MeshModel
import Testing

@testable import MeshPlan

struct AdoptionMachineTests {
    private func legacy(_ count: Int = 12) -> PlaintextObservation {
        PlaintextObservation(client: "shop/legacy", address: "10.0.0.9", workload: "orders", port: 8080, count: count)
    }

    private func shop() -> AdoptionWorld {
        var world = AdoptionWorld(["cart", "catalog", "orders", "web"])
        world.calls = [
            CallEdge(client: "web", workload: "cart"), CallEdge(client: "web", workload: "catalog"),
            CallEdge(client: "cart", workload: "catalog"), CallEdge(client: "cart", workload: "orders"),
        ]
        return world
    }

    @Test func `a healthy namespace goes through all phases`() {
        var world = shop()
        world.mustRun { $0.status.state == .complete }
        #expect(world.phases == [.observe, .strict, .resilience, .traffic])
        #expect(world.status.workloads.allSatisfy { $0.state == .strict && $0.mtls == .strict })
        #expect(world.policies[PeerPolicyIntent.namespaceName]?.mode == .strict && world.policies.count == 5)
        #expect(world.status.blockers.isEmpty && world.status.conditions["Ready"]?.status == .true)
        #expect(world.lowestReady == 1)
    }

    @Test func `leaves become strict first and the namespace last`() {
        var world = shop()
        world.mustRun { $0.status.phase == .resilience }
        #expect(world.strictOrder == ["heddle-catalog", "heddle-orders", "heddle-cart", "heddle-web", "heddle-strict"])
    }

    @Test func `one workload restarts at a time`() {
        var world = shop()
        var most = 0
        for _ in 0..<100 {
            world.tick()
            most = max(most, world.status.workloads.filter { $0.state == .restarting }.count)
        }
        #expect(most == 1 && world.restartOrder.count == 4)
        var wide = shop()
        wide.spec.batch.maxWorkloads = 3
        most = 0
        for _ in 0..<30 {
            wide.tick()
            most = max(most, wide.status.workloads.filter { $0.state == .restarting }.count)
        }
        #expect(most == 3)
    }

    @Test func `plaintext blocks Strict with client, port and count, and an exception lets it go on`() throws {
        var world = shop()
        world.plaintext = [legacy()]
        world.mustRun {
            $0.status.phase == .strict && $0.status.state == .blocked
                && $0.status.blockers.contains { $0.gate == .plaintextClients }
        }
        for _ in 0..<60 { world.tick() }
        let blocker = try #require(world.status.blockers.first { $0.gate == .plaintextClients })
        #expect(
            blocker.client == "shop/legacy" && blocker.workload == "orders" && blocker.port == 8080
                && blocker.count == 12)
        #expect(world.policies.isEmpty && world.status.phase == .strict)
        let since = blocker.since
        world.tick()
        #expect(world.status.blockers.first?.since == since)

        world.spec.exceptions = [
            AdoptionException(
                client: "legacy", workload: "orders", port: 8080, owner: "ann", reason: "batch", expires: "2099-12-31")
        ]
        world.generation = 2
        world.mustRun { $0.status.state == .complete }
        #expect(world.policies["heddle-orders"]?.portModes == [8080: .permissive])
        #expect(world.policies["heddle-cart"]?.portModes == [:])
    }

    @Test func `an expired exception blocks again and cuts nobody off`() throws {
        var world = shop()
        world.plaintext = [legacy()]
        world.spec.exceptions = [
            AdoptionException(client: "10.0.0.9", owner: "ann", reason: "batch", expires: "2023-11-14")
        ]
        // The last day still counts.
        world.mustRun { $0.status.phase == .resilience }
        world.now = world.now.adding("48h")
        world.mustRun { $0.status.phase == .traffic }
        for _ in 0..<10 { world.tick() }
        let blocker = try #require(world.status.blockers.first)
        #expect(blocker.gate == .exceptionExpired && world.status.state == .blocked)
        #expect(world.policies["heddle-orders"]?.portModes == [8080: .permissive])
    }

    @Test func `a strict step that breaks connections is undone and tried again after a backoff`() {
        var world = shop()
        world.breaksWhenStrict = ["orders"]
        world.mustRun { $0.status.state == .steppedBack }
        #expect(world.policies["heddle-orders"] == nil)
        let workload = world.status.workloads.first { $0.name == "orders" }
        #expect(
            workload?.mtls == .permissive && workload?.attempts == 1
                && workload?.restore.contains { $0.phase == .strict } == false)
        #expect(world.status.message?.contains("7 failed connections to orders") == true)
        for _ in 0..<4 {
            world.tick()
            #expect(world.policies["heddle-orders"] == nil)
        }
        world.breaksWhenStrict = []
        world.mustRun { $0.status.state == .complete }
    }

    @Test func `a workload that does not start with a sidecar is put back`() throws {
        var world = shop()
        world.workloads["cart"]?.startsMeshed = false
        world.mustRun { $0.status.state == .steppedBack }
        #expect(world.workloads["cart"]?.isInjected == false && world.lowestReady == 1)
        world.mustRun { $0.status.workloads.filter { $0.state == .meshed }.count == 3 }
        let cart = try #require(world.status.workloads.first { $0.name == "cart" })
        #expect(cart.state == .failed || cart.state == .restarting)
        world.workloads["cart"]?.startsMeshed = true
        world.mustRun { $0.status.state == .complete }
    }

    @Test func `without metrics no phase is passed`() {
        var world = shop()
        world.metricsAreAway = true
        for _ in 0..<200 { world.tick() }
        #expect(world.status.phase == .observe && world.status.blockers.map(\.gate) == [.metricsSource])
        #expect(world.status.conditions["MetricsAvailable"]?.status == .false)
        world.metricsAreAway = false
        world.mustRun { $0.status.phase == .strict && $0.policies.count == 1 }
        world.metricsAreAway = true
        for _ in 0..<100 { world.tick() }
        #expect(world.policies.count == 1 && world.status.phase == .strict)
    }

    @Test func `too much added latency holds Observe`() {
        var world = shop()
        world.addedLatencyP99Ms = 25
        world.mustRun { $0.status.state == .blocked }
        #expect(world.status.message == "The latency that the mesh adds is 25 ms, above the bound of 10 ms.")
        world.addedLatencyP99Ms = 3
        world.mustRun { $0.status.state == .complete }
    }

    @Test func `a workload that cannot be restarted safely is left alone and named`() {
        var world = shop()
        world.workloads["cart"]?.restartProblem = "its strategy is Recreate"
        for _ in 0..<100 { world.tick() }
        #expect(!world.restartOrder.contains("cart") && world.restartOrder.count == 3)
        #expect(world.status.blockers.first?.gate == .readiness && world.status.blockers.first?.workload == "cart")
    }

    @Test func `with manual approval each phase waits for a person`() {
        var world = shop()
        world.spec.approval = .manual
        for _ in 0..<20 { world.tick() }
        #expect(world.status.phase == .pending && world.restartOrder.isEmpty)
        world.spec.approvedPhase = .observe
        world.mustRun { $0.status.state == .awaitingApproval }
        for _ in 0..<50 { world.tick() }
        #expect(world.status.phase == .observe && world.policies.isEmpty)
        world.spec.approvedPhase = .traffic
        world.mustRun { $0.status.state == .complete && $0.status.phase == .traffic }
    }

    @Test func `paused changes nothing`() {
        var world = shop()
        for _ in 0..<5 { world.tick() }
        world.spec.paused = true
        world.tick()
        let restarted = world.restartOrder
        for _ in 0..<50 {
            let decision = world.tick()
            #expect(decision.actions.isEmpty)
        }
        #expect(world.restartOrder == restarted && world.status.state == .paused)
        world.spec.paused = false
        world.mustRun { $0.status.state == .complete }
    }

    @Test func `lowering the target undoes strict`() {
        var world = shop()
        world.mustRun { $0.status.state == .complete }
        world.spec.targetPhase = .observe
        world.tick()
        #expect(world.policies.isEmpty && world.status.phase == .observe)
        #expect(world.status.workloads.allSatisfy { $0.mtls == .permissive && $0.state == .meshed })
    }

    @Test func `a policy that somebody removes comes back`() {
        var world = shop()
        world.mustRun { $0.status.phase == .traffic }
        world.policies["heddle-cart"] = nil
        world.tick()
        #expect(world.policies["heddle-cart"]?.mode == .strict)
    }

    @Test func `a new workload is meshed in any phase`() {
        var world = shop()
        world.mustRun { $0.status.state == .complete }
        world.workloads["new"] = .init(replicas: 1)
        world.mustRun { $0.status.state == .complete && $0.workloads["new"]?.meshed == 1 }
        #expect(world.lowestReady == 1)
    }

    @Test func `a rise of the error ratio holds Resilience`() {
        var world = shop()
        world.mustRun { $0.status.phase == .resilience }
        world.errorRatio = 0.05
        for _ in 0..<20 { world.tick() }
        #expect(world.status.phase == .resilience && world.status.blockers.map(\.gate) == [.errorRatio])
        world.errorRatio = 0.002
        world.retryAmplification = 1.9
        world.tick()
        #expect(world.status.blockers.map(\.gate) == [.retryAmplification])
    }

    @Test func `looking again at once writes nothing and does nothing new`() {
        var world = shop()
        world.plaintext = [legacy()]
        var holds = 0
        for look in 0..<120 {
            if look == 60 { world.plaintext = [] }
            world.tick()
            let input = world.input()
            let first = AdoptionMachine.decide(spec: world.spec, status: world.status, input: input)
            guard first.actions.isEmpty else { continue }
            let second = AdoptionMachine.decide(spec: world.spec, status: first.status, input: input)
            holds += 1
            #expect(second.status == first.status && second.actions.isEmpty)
        }
        #expect(holds > 60)
    }

    @Test(arguments: 0..<25)
    func `whatever happens Services stay available and each change can be undone`(_ seed: Int) {
        var random = SeededRandom(seed: UInt64(seed) &+ 17)
        var world = shop()
        for _ in 0..<200 {
            switch Int.random(in: 0..<40, using: &random) {
            case 0: world.metricsAreAway.toggle()
            case 1: world.plaintext = world.plaintext.isEmpty ? [legacy()] : []
            case 2: world.breaksWhenStrict.formSymmetricDifference(["cart"])
            case 3: world.spec.paused.toggle()
            case 4: world.policies["heddle-catalog"] = nil
            case 5: world.addedLatencyP99Ms = world.addedLatencyP99Ms == 2 ? 50 : 2
            case 6: world.spec.targetPhase = [.observe, .traffic].randomElement(using: &random) ?? .traffic
            default: break
            }
            let before = world
            let decision = world.tick(
                writesStatus: Int.random(in: 0..<15, using: &random) > 0,
                appliesActions: Int.random(in: 0..<15, using: &random) > 0)
            for case .setPeerPolicy(let intent) in decision.actions where before.policies[intent.name] == nil {
                #expect(!before.spec.paused)
                if intent.selector != nil {
                    #expect(
                        decision.status.workloads.contains {
                            $0.restore.contains { $0.phase == .strict && $0.name == intent.name }
                        })
                }
            }
            #expect(decision.status.decisions.count <= DecisionRecord.kept)
        }
        #expect(world.lowestReady == 1, "seed \(seed)")
        world.metricsAreAway = false
        world.plaintext = []
        world.breaksWhenStrict = []
        world.spec.paused = false
        world.addedLatencyP99Ms = 2
        world.spec.targetPhase = .traffic
        world.generation += 1
        world.mustRun("seed \(seed) does not end", limit: 3000) {
            $0.status.state == .complete && $0.status.phase == .traffic
        }
    }
}

struct WorkloadFactsTests {
    private func deployment(_ spec: JSONValue) -> KubeObject {
        var object = KubeObject(
            GroupVersionResource(group: "apps", resource: "deployments", kind: "Deployment"), namespace: "shop",
            name: "cart")
        object.spec = spec
        return object
    }

    @Test(
        arguments: [
            (#"{"replicas":1}"#, nil), (#"{"replicas":1,"strategy":{"type":"Recreate"}}"#, "Recreate"),
            (#"{"replicas":1,"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1}}}"#, "all 1 of its pods"),
            (#"{"replicas":3,"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1}}}"#, nil),
            (#"{"replicas":3,"paused":true}"#, "paused"),
            (#"{"replicas":3,"template":{"spec":{"hostNetwork":true}}}"#, "node's network"),
            (#"{"replicas":3,"strategy":{"rollingUpdate":{"maxSurge":"0%","maxUnavailable":"10%"}}}"#, "both 0"),
        ] as [(String, String?)])
    func `restarts that would interrupt a Service are refused`(_ c: (String, String?)) throws {
        let problem = WorkloadFacts.restartProblem(deployment(try JSONValue.parse(c.0)))
        if let part = c.1 { #expect(problem?.contains(part) == true) } else { #expect(problem == nil) }
    }

    @Test func `facts are read from a Deployment and its pods`() throws {
        var object = deployment(
            try JSONValue.parse(
                #"{"replicas":2,"selector":{"matchLabels":{"app":"cart"}},"template":{"metadata":{"labels":{"heddle.dev/inject":"true"}},"spec":{"containers":[{"ports":[{"containerPort":8080},{"containerPort":53,"protocol":"UDP"}]}]}}}"#
            ))
        object.status = ["observedGeneration": 0, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2]
        var pod = KubeObject(.pods, namespace: "shop", name: "cart-1")
        pod.labels = ["app": "cart", "heddle.dev/injected": "true"]
        pod.status = ["phase": "Running", "conditions": [["type": "Ready", "status": "True"]]]
        var other = pod
        other.labels = ["app": "cart"]
        other.status = ["phase": "Running", "conditions": [["type": "Ready", "status": "False"]]]
        let facts = WorkloadFacts(deployment: object, pods: [pod, other])
        #expect(facts.ports == [8080] && facts.selector == ["app": "cart"] && facts.podsTotal == 2)
        #expect(facts.podsMeshed == 1 && facts.podsReady == 1 && facts.isRolloutComplete && facts.isInjectionRequested)
    }
}
