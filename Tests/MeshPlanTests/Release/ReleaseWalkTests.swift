import HeddleAPI
import KubeCore
import KubeTesting
import MeshEvidence
import Testing

@testable import MeshPlan

/// Random walks through a release: faults of every kind, in any order, with the operator restarting at each look (all
/// that it knows is the status, which goes through JSON). What must hold always is checked at each look.
struct ReleaseWalkTests {
    private func world(_ seed: UInt64, _ random: inout SeededRandom) -> ReleaseWorld {
        var world = ReleaseWorld(steps: [
            CanaryStep(weight: 5, duration: "3s", minSamples: 20),
            CanaryStep(weight: 30, duration: "3s", minSamples: 50),
            CanaryStep(weight: 60, duration: "3s", minSamples: 50),
        ])
        world.random = SeededRandom(seed: seed)
        world.spec.progressDeadline = "40s"
        world.spec.stepDeadline = "40s"
        world.spec.analysis.onInsufficientEvidence =
            InsufficientEvidencePolicy.allCases.randomElement(using: &random) ?? .hold
        world.spec.analysis.advanceOn = Int.random(in: 0..<5, using: &random) == 0 ? .provenSafe : .noHarm
        world.tick()
        return world
    }

    private func disturb(_ world: inout ReleaseWorld, _ random: inout SeededRandom) {
        switch Int.random(in: 0..<70, using: &random) {
        case 0: world.prometheusIsAway.toggle()
        case 1: world.broken.formSymmetricDifference(["a"])
        case 2: world.broken.formSymmetricDifference(["b"])
        case 3: world.apply("b", failureRatio: [0, 0, 0.02, 0.5].randomElement(using: &random) ?? 0)
        case 4: world.apply("c", failureRatio: [0, 0.5].randomElement(using: &random) ?? 0)
        case 5: world.apply("a")
        case 6: world.abort = world.status.runId
        case 7: world.approval = "\(world.status.runId ?? "")/promote"
        case 8: world.spec.paused.toggle()
        case 9: world.requestsPerSecond = [0, 5, 100].randomElement(using: &random) ?? 0
        case 10: world.deliveredPercent = world.deliveredPercent == nil ? 50 : nil
        case 11: world.paused.toggle()
        case 12: world.isStale.toggle()
        case 13: if let split = world.split, Bool.random(using: &random) { drift(&world, split) }
        case 14: world.versions["b"]?.starts.toggle()
        case 15: world.adoptionHold = world.adoptionHold == nil ? "Adoption shop is in phase Strict." : nil
        default: break
        }
    }

    /// Somebody edits the route.
    private func drift(_ world: inout ReleaseWorld, _ split: ServiceRouting.Split) {
        world.split = nil
    }

    @Test(arguments: 0..<50)
    func `whatever happens no traffic goes to pods that are not ready and weights stay within bounds`(_ seed: Int)
        throws
    {
        var random = SeededRandom(seed: UInt64(seed) &* 7919 &+ 3)
        var world = world(UInt64(seed), &random)
        var last = world.status
        for _ in 0..<250 {
            disturb(&world, &random)
            // A status write that is lost, and actions that fail, may happen at any look.
            let writes = Int.random(in: 0..<20, using: &random) > 0
            let applies = Int.random(in: 0..<20, using: &random) > 0
            let before = world
            let decision = world.tick(writesStatus: writes, appliesActions: applies)
            try check(decision, before, seed)
            if writes {
                try checkProgress(from: last, to: world.status, seed)
                last = world.status
            }
        }
        calm(&world)
        world.mustRun("seed \(seed) does not end") { !$0.status.phase.isRunning && $0.canary == nil && $0.split == nil }
    }

    @Test func `the walks reach every phase`() {
        var reached: Set<CanaryPhase> = []
        for seed in 0..<40 {
            var random = SeededRandom(seed: UInt64(seed) &* 7919 &+ 3)
            var world = world(UInt64(seed), &random)
            for _ in 0..<150 {
                disturb(&world, &random)
                world.tick()
            }
            reached.formUnion(world.phases)
        }
        #expect(reached == Set(CanaryPhase.allCases))
    }

    /// Every fault ends; then every run must.
    private func calm(_ world: inout ReleaseWorld) {
        world.prometheusIsAway = false
        world.broken = []
        world.spec.paused = false
        world.isStale = false
        world.requestsPerSecond = 100
        world.adoptionHold = nil
        for version in world.versions.keys { world.versions[version]?.starts = true }
    }

    private func check(_ decision: ReleaseDecision, _ before: ReleaseWorld, _ seed: Int) throws {
        #expect((0...100).contains(decision.status.desiredWeightPercent))
        for case .setSplit(let split) in decision.actions {
            func ready(_ hash: String) -> Int {
                let own = before.pods.keys.filter { before.hash($0) == hash }.reduce(0) { $0 + before.ready($1) }
                return own + (before.canaryFacts.map { $0.hash == hash ? $0.ready : 0 } ?? 0)
            }
            if split.canaryWeightPercent > 0 {
                #expect(ready(split.canaryHash) > 0, "seed \(seed): canary without pods")
            }
            if split.canaryWeightPercent < 100 {
                #expect(ready(split.stableHash) > 0, "seed \(seed): stable without pods")
            }
        }
        // Traffic that goes nowhere must be diverted at once if anything is ready.
        if let split = before.split, split.canaryWeightPercent > 0, before.status.phase == .progressing,
            before.canaryFacts?.ready ?? 0 == 0, before.pods["b"] == nil, before.pods["c"] == nil,
            before.ready("a") > 0,
            split.stableHash == "hash-a", split.canaryHash != "hash-a", before.spec.paused == false
        {
            #expect(!decision.actions.isEmpty, "seed \(seed): traffic is left on a canary without pods")
        }
    }

    private func checkProgress(from last: CanaryStatus, to status: CanaryStatus, _ seed: Int) throws {
        #expect(status.decisions.count <= DecisionRecord.kept)
        if last.phase != status.phase {
            #expect(
                status.decisions != last.decisions || !status.phase.isRunning && !last.phase.isRunning,
                "seed \(seed): \(last.phase) to \(status.phase) left no record")
        }
        if last.runId == status.runId, last.phase == .progressing, status.phase == .progressing {
            #expect(
                status.desiredWeightPercent >= last.desiredWeightPercent, "seed \(seed): the weight fell within a run")
            #expect((status.step ?? 0) >= (last.step ?? 0))
        }
        if status.phase.isRunning, status.phase != .rollingBack || status.waitingFor != nil {
            #expect(
                status.deadlineAt != nil || status.waitingFor == .approval || status.waitingFor == .paused
                    || status.phase == .progressing, "seed \(seed): \(status.phase) has no deadline")
        }
        if status.desiredWeightPercent > 0 { #expect(status.phase.isRunning, "seed \(seed): weight without a run") }
    }
}
