import HeddleAPI
import KubeCore
import Testing

/// The same of an adoption's steps, forward and back.
struct AdoptionCrashTests {
    private static let lags: [Staleness] =
        [Staleness(events: 2, seconds: 1.5), Staleness(isRepeating: true)]
        + [GroupVersionResource.adoptions, .deployments, .pods, .peerAuthentications].map {
            Staleness(kind: $0, events: 3, seconds: 1.5)
        }

    private static func ways(_ writes: Int) -> [Interleaving] {
        (1...writes).flatMap { write -> [Interleaving] in
            let dies = [Interleaving(mishap: .dies, write: write)]
            let others =
                [Mishap.losesAnswer, .isRefused].map { Interleaving(mishap: $0, write: write) }
                + lags.map { Interleaving(mishap: .dies, write: write, staleness: $0) }
            return dies + (ReleaseCrashTests.isComplete ? others : [others[write % others.count]])
        } + [2, 3].map { Interleaving(mishap: .dies, write: $0, isRepeated: true) }
    }

    @Test(arguments: AdoptionScenario.allCases)
    func `undisturbed, a step ends as it should, and slow caches change nothing`(scenario: AdoptionScenario) async {
        for staleness in [.none] + Self.lags {
            let wrong = await AdoptionCrash(scenario, Interleaving(staleness: staleness)).run()
            #expect(wrong.isEmpty, "\(scenario), \(staleness)")
        }
    }

    @Test(arguments: AdoptionScenario.allCases)
    func `whatever befalls the operator at a write of an adoption, it ends the same`(scenario: AdoptionScenario) async {
        let undisturbed = AdoptionCrash(scenario, Interleaving())
        _ = await undisturbed.run()
        let writes = undisturbed.world.writes
        #expect(writes > 3)
        let ways = Self.ways(writes)
        for way in ways {
            let wrong = await AdoptionCrash(scenario, way).run()
            #expect(wrong.isEmpty, "\(scenario), \(way)")
        }
        print("crash matrix: \(ways.count) interleavings of adoption \(scenario), \(writes) writes")
    }
}
