import Foundation
import HeddleAPI
import KubeCore
import MeshModel
import Testing

/// The operator dies, loses answers or sees an old world at every write of a release; every run ends as if nothing had been.
///
/// Every write (every other one of the rarer stories) is met by a death, and every third by one of the other mishaps in turn. With `HEDDLE_CRASH_MATRIX=all` every write is met
/// by all of them, with caches that are behind in every way.
struct ReleaseCrashTests {
    static let isComplete = ProcessInfo.processInfo.environment["HEDDLE_CRASH_MATRIX"] == "all"

    static let lags: [Staleness] =
        [Staleness(events: 2, seconds: 1.5), Staleness(isRepeating: true)]
        + [GroupVersionResource.canaries, .deployments, .replicaSets, .virtualServices, .destinationRules].map {
            Staleness(kind: $0, events: 3, seconds: 1.5)
        }

    /// What is tried at one write, beside a plain death.
    private static func others(at write: Int) -> [Interleaving] {
        let alive = [Mishap.losesAnswer, .isRefused].map { Interleaving(mishap: $0, write: write) }
        let stale = lags.map { Interleaving(mishap: .dies, write: write, staleness: $0) }
        if isComplete { return alive + stale }
        let all = alive + stale
        return write.isMultiple(of: 3) ? [all[write / 3 % all.count]] : []
    }

    private static func pace(of scenario: ReleaseScenario) -> Int {
        [.good, .bad, .superseded].contains(scenario) || isComplete ? 1 : 2
    }

    @Test(arguments: ReleaseScenario.allCases)
    func `undisturbed, a release ends as it should, and slow caches change nothing`(scenario: ReleaseScenario) async {
        for staleness in [.none] + Self.lags {
            let wrong = await ReleaseCrash(scenario, Interleaving(staleness: staleness)).run()
            #expect(wrong.isEmpty, "\(scenario), \(staleness)")
        }
    }

    @Test(arguments: ReleaseScenario.allCases)
    func `whatever befalls the operator at a write of a release, it ends the same`(scenario: ReleaseScenario) async {
        let undisturbed = ReleaseCrash(scenario, Interleaving())
        _ = await undisturbed.run()
        let writes = undisturbed.world.writes
        #expect(writes > 5)
        var ways = stride(from: 1, through: writes, by: Self.pace(of: scenario)).flatMap {
            [Interleaving(mishap: .dies, write: $0)] + Self.others(at: $0)
        }
        ways += [2, 3].map { Interleaving(mishap: .dies, write: $0, isRepeated: true) }
        for way in ways {
            let wrong = await ReleaseCrash(scenario, way).run()
            #expect(wrong.isEmpty, "\(scenario), \(way)")
        }
        print("crash matrix: \(ways.count) interleavings of release \(scenario), \(writes) writes")
    }

    @Test func `an operator that dies at its every first write gets nowhere, and the run ends by its deadline`() async {
        let crash = ReleaseCrash(.good, Interleaving(mishap: .dies, write: 1, isRepeated: true))
        crash.mayEndEarly = true
        let wrong = await crash.run()
        #expect(wrong.isEmpty)
        #expect(crash.world.lives > 20)
    }
}
