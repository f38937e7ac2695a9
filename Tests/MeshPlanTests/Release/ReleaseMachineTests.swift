import HeddleAPI
import KubeCore
import MeshEvidence
import Testing

@testable import MeshPlan

struct ReleaseMachineTests {
    private let steps = [
        CanaryStep(weight: 5, duration: "5s", minSamples: 20), CanaryStep(weight: 25, duration: "5s", minSamples: 100),
        CanaryStep(weight: 50, duration: "5s", minSamples: 100),
    ]

    private func adopted() -> ReleaseWorld {
        var world = ReleaseWorld(steps: steps)
        world.tick()
        world.tick()
        return world
    }

    @Test func `a new Canary adopts what runs and starts no run`() {
        var world = adopted()
        for _ in 0..<10 { world.tick() }
        #expect(
            world.phases == [.idle] && world.status.change.promoted == "v1:a" && world.status.stableHash == "hash-a")
        #expect(world.split == nil && world.canary == nil)
    }

    @Test func `a good change goes through all steps and is promoted`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.phase == .succeeded && $0.canary == nil && $0.split == nil }
        #expect(world.weights == [0, 5, 25, 50, 100, 0])
        #expect(world.phases == [.idle, .starting, .progressing, .promoting, .baking, .succeeded])
        #expect(world.pods == ["b": 4] && !world.paused && world.held == nil)
        #expect(world.status.change == CanaryChanges(promoted: "v1:b") && world.status.stableHash == "hash-b")
        #expect(world.status.conditions["Ready"]?.status == .true)
        #expect(world.status.decisions.contains { $0.metric == "success-ratio" && $0.action == "Promote" })
        #expect(world.status.decisions.count <= DecisionRecord.kept)
    }

    @Test func `a bad change is rolled back on the deciding observation`() {
        var world = adopted()
        world.apply("b", failureRatio: 0.5)
        world.mustRun { $0.status.phase == .rollingBack }
        #expect(world.split?.canaryWeightPercent == 0)
        #expect(world.status.message?.contains("of ") == true && world.status.message?.contains("failed") == true)
        world.mustRun { $0.status.phase == .rolledBack }
        #expect(world.canary == nil && world.split == nil && world.paused && world.pods == ["a": 4])
        #expect(world.status.change == CanaryChanges(promoted: "v1:a", rejected: "v1:b"))
        #expect(
            world.status.decisions.contains {
                $0.metric == "success-ratio" && $0.verdict == .fail && $0.action == "RollBack"
            })
        // It stays so.
        let before = world.status
        for _ in 0..<50 { world.tick() }
        #expect(world.status == before)
    }

    @Test func `after a rollback the next template runs and the stable one resumes`() {
        var world = adopted()
        world.apply("b", failureRatio: 0.5)
        world.mustRun { $0.status.phase == .rolledBack }
        var next = world
        next.apply("c")
        next.mustRun { $0.status.phase == .succeeded }
        #expect(next.status.change == CanaryChanges(promoted: "v1:c"))
        world.apply("a")
        world.mustRun { $0.status.phase == .idle && !$0.paused }
        #expect(world.pods == ["a": 4])
    }

    @Test func `a newer template supersedes from zero`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.desiredWeightPercent == 25 }
        world.apply("c")
        world.tick()
        #expect(world.split?.canaryWeightPercent == 0)
        world.mustRun { $0.status.phase == .succeeded }
        #expect(world.pods == ["c": 4] && world.status.change == CanaryChanges(promoted: "v1:c"))
        #expect(world.weights == [0, 5, 25, 0, 5, 25, 50, 100, 0])
    }

    @Test func `undo in the middle ends the run quietly`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.desiredWeightPercent == 25 }
        world.apply("a")
        world.mustRun { $0.status.phase == .idle && !$0.paused && $0.canary == nil && $0.split == nil }
        #expect(world.status.change == CanaryChanges(promoted: "v1:a"))
    }

    @Test func `without evidence a step holds until its deadline and then rolls back`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.desiredWeightPercent == 25 }
        world.prometheusIsAway = true
        let start = world.now
        world.mustRun { $0.status.waitingFor == .metricsSource }
        world.mustRun { $0.status.phase == .rollingBack }
        let seconds = world.now.seconds(since: start)
        #expect(seconds > 55 && seconds < 75)
        world.mustRun { $0.status.phase == .rolledBack }
    }

    @Test func `a short outage of the metrics source is survived`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.desiredWeightPercent == 25 }
        world.prometheusIsAway = true
        for _ in 0..<20 { world.tick() }
        world.prometheusIsAway = false
        world.mustRun { $0.status.phase == .succeeded }
    }

    @Test(arguments: [
        (InsufficientEvidencePolicy.hold, CanaryPhase.rollingBack, 50...70), (.extend, .rollingBack, 110...140),
        (.fail, .rollingBack, 1...20), (.pass, .succeeded, 1...60),
    ])
    func `too few samples follow the policy`(_ c: (InsufficientEvidencePolicy, CanaryPhase, ClosedRange<Int>)) {
        var world = adopted()
        world.spec.analysis.onInsufficientEvidence = c.0
        world.requestsPerSecond = 0
        world.apply("b")
        world.mustRun { $0.status.desiredWeightPercent == 5 }
        let start = world.now
        world.mustRun { $0.status.phase == c.1 }
        #expect(c.2.contains(Int(world.now.seconds(since: start))))
    }

    @Test func `canary pods that never start end the run`() {
        var world = adopted()
        world.apply("b", starts: false)
        world.mustRun { $0.status.phase == .rolledBack }
        #expect(world.weights == [0] && world.canary == nil && world.split == nil)
    }

    @Test func `a canary that loses its pods gets no more traffic`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.desiredWeightPercent == 25 }
        world.broken = ["b"]
        world.tick()
        #expect(world.split?.canaryWeightPercent == 0 && world.status.phase == .rollingBack)
    }

    @Test func `without stable pods traffic goes to any ready pod and the canary is kept`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.desiredWeightPercent == 25 && $0.status.stepStartedAt != nil }
        world.broken = ["a"]
        world.tick()
        #expect(world.split == nil)
        world.mustRun { $0.status.phase == .failed }
        for _ in 0..<20 { world.tick() }
        #expect(world.canary != nil && world.status.conditions["Ready"]?.status == .false)
        world.broken = []
        world.mustRun { $0.canary == nil && $0.status.phase == .rolledBack }
    }

    @Test func `a split that is not delivered holds the step`() {
        var world = adopted()
        world.deliveredPercent = 40
        world.apply("b")
        world.mustRun { $0.status.waitingFor == .observedSplit && $0.status.stepTraffic.canaryRequests > 50 }
        #expect(world.status.message?.contains("the proxies deliver") == true)
        world.mustRun { $0.status.phase == .rolledBack }
    }

    @Test func `a regression during the bake rolls the Deployment back`() {
        var world = adopted()
        world.spec.bake = "30s"
        var metric = CanaryMetric(name: "success-ratio", kind: .successRatio)
        metric.thresholdRange = ThresholdRange(min: 0.95)
        world.spec.analysis.metrics = [metric]
        world.apply("b")
        world.mustRun { $0.status.phase == .baking }
        world.versions["b"]?.failureRatio = 0.5
        world.mustRun { $0.status.phase == .rolledBack }
        #expect(world.pods == ["a": 4] && world.template == "a" && world.canary == nil && world.split == nil)
        for _ in 0..<20 { world.tick() }
        #expect(world.status.phase == .rolledBack && world.status.change.rejected == "v1:b")
        // Git puts the rejected template back: it is held, and no run starts.
        world.apply("b")
        for _ in 0..<20 { world.tick() }
        #expect(world.status.phase == .rolledBack && world.paused && world.pods == ["a": 4])
    }

    @Test func `an approval is waited for without a deadline and only that of the run counts`() {
        var world = adopted()
        world.spec.steps[0].pause = true
        world.apply("b")
        world.mustRun { $0.status.waitingFor == .approval }
        world.approval = "another/0"
        for _ in 0..<200 { world.tick() }
        #expect(world.status.waitingFor == .approval)
        world.approval = "\(world.status.runId ?? "")/0"
        world.mustRun { $0.status.phase == .succeeded }
    }

    @Test func `a person can promote and abort`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.desiredWeightPercent == 5 }
        var promoted = world
        promoted.approval = "\(world.status.runId ?? "")/promote"
        promoted.tick()
        #expect(promoted.status.phase == .promoting)
        promoted.mustRun { $0.status.phase == .succeeded }
        world.abort = world.status.runId
        world.tick()
        #expect(world.split?.canaryWeightPercent == 0)
        world.mustRun { $0.status.phase == .rolledBack }
    }

    @Test func `pausing keeps the weight and judges nothing`() {
        var world = adopted()
        world.apply("b", failureRatio: 0.5)
        world.mustRun { $0.status.phase == .progressing && $0.status.desiredWeightPercent == 5 }
        world.spec.paused = true
        for _ in 0..<200 { world.tick() }
        #expect(world.status.desiredWeightPercent == 5 && world.status.waitingFor == .paused)
        world.spec.paused = false
        world.mustRun { $0.status.phase == .rolledBack }
    }

    @Test func `a change waits for the Adoption and says why`() {
        var world = adopted()
        world.adoptionHold = "Adoption shop is in phase Strict."
        world.apply("b")
        for _ in 0..<100 { world.tick() }
        #expect(world.status.phase == .waitingForPhase && world.status.message == "Adoption shop is in phase Strict.")
        #expect(world.status.change.running == nil && world.canary == nil)
        world.adoptionHold = nil
        world.mustRun { $0.status.phase == .succeeded }
    }

    @Test func `a change that the webhook missed is paused and released from the mixed state`() {
        var world = adopted()
        world.apply("b", webhook: false)
        world.pods = ["a": 3, "b": 1]
        world.tick()
        #expect(world.paused && world.held == "v1:b")
        world.mustRun { $0.status.phase == .succeeded }
        #expect(world.pods == ["b": 4])
    }

    @Test func `a bad change that the webhook missed is rolled back to the stable template`() {
        var world = adopted()
        world.apply("b", failureRatio: 0.5, webhook: false)
        world.pods = ["a": 3, "b": 1]
        world.mustRun { $0.status.phase == .rolledBack }
        #expect(world.pods == ["a": 4] && world.template == "a")
    }

    @Test func `a change that is rolled out already is accepted`() {
        var world = adopted()
        world.apply("b", webhook: false)
        world.pods = ["b": 4]
        world.tick()
        #expect(world.status.change.promoted == "v1:b" && world.status.phase == .idle && !world.paused)
    }

    @Test func `a Deployment without replicas is let through`() {
        var world = adopted()
        world.replicas = 0
        world.pods = [:]
        world.apply("b")
        world.tick()
        #expect(!world.paused && world.status.change.promoted == "v1:b")
    }

    @Test func `a missing target and a conflict change nothing and are reported`() {
        let world = adopted()
        var input = ReleaseInput(now: world.now, deployment: nil)
        let missing = ReleaseMachine.decide(spec: world.spec, status: world.status, input: input)
        #expect(missing.status.phase == .failed && missing.status.conditions["Ready"]?.reason == "TargetNotFound")
        var copy = world
        input = copy.input()
        input.conflict = "Canary shop/other releases it already."
        let taken = ReleaseMachine.decide(spec: world.spec, status: world.status, input: input)
        #expect(taken.status.phase == .failed && taken.status.message == input.conflict)
        #expect(taken.actions.allSatisfy { if case .event = $0 { true } else { false } })
    }

    @Test func `repeating a look counts nothing twice`() {
        var world = adopted()
        world.apply("b")
        world.mustRun { $0.status.phase == .progressing && $0.status.stepStartedAt != nil }
        world.tick()
        let input = world.input()
        let once = ReleaseMachine.decide(spec: world.spec, status: world.status, input: input)
        let twice = ReleaseMachine.decide(spec: world.spec, status: once.status, input: input)
        #expect(once.status.evidence.first?.counts == twice.status.evidence.first?.counts)
        #expect(once.status.evidence.first?.logSums == twice.status.evidence.first?.logSums)
    }

    @Test func `looking again at once writes nothing and does nothing new`() {
        var world = adopted()
        world.apply("b")
        var holds = 0
        for _ in 0..<60 {
            world.tick()
            var input = world.input()
            input.metrics = [:]
            input.traffic = nil
            let first = ReleaseMachine.decide(spec: world.spec, status: world.status, input: input)
            // A transition may follow another at once; a phase that holds must come to rest.
            guard first.status.phase == world.status.phase, first.status.step == world.status.step else { continue }
            let second = ReleaseMachine.decide(spec: world.spec, status: first.status, input: input)
            guard second.status.phase == first.status.phase, second.status.step == first.status.step else { continue }
            holds += 1
            #expect(second.status == first.status)
        }
        #expect(holds > 20)
    }

    @Test func `a look at the metrics is due once an interval`() {
        var world = adopted()
        #expect(!ReleaseInput.isLookDue(spec: world.spec, status: world.status, now: world.now))
        world.apply("b")
        world.mustRun { $0.status.evidence.first?.lastSampleAt != nil }
        let last = world.status.evidence[0].lastSampleAt ?? world.now
        #expect(!ReleaseInput.isLookDue(spec: world.spec, status: world.status, now: last))
        #expect(ReleaseInput.isLookDue(spec: world.spec, status: world.status, now: last.adding("1s")))
    }
}
