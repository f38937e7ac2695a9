import Foundation
import HeddleAPI
import KubeCore
import KubeTesting
import Synchronization
import Testing

@testable import heddle

@Suite struct PageFollowerTests {
    private let cluster = InMemoryCluster()

    private func set(_ change: (inout CanaryStatus) -> Void) {
        var canary = Fixtures.canary()
        change(&canary.status)
        cluster.seed(.canaries, canary.objectWithStatus)
    }

    /// The pages that come out while the Canary goes through four statuses, the second and third alike in essence.
    private func pages(isTerminal: Bool) async throws -> [String] {
        let paper = Paper()
        let terminal = Terminal(isTerminal: isTerminal, environment: [:]) { paper.add($0) }
        let statuses: [(inout CanaryStatus) -> Void] = [
            { $0.step = 0 },
            { $0.message = "a" },
            { $0.message = "b" },
            { $0.phase = .succeeded },
        ]
        set(statuses[0])
        var looks = 0
        let follower = ObjectFollower(
            api: cluster, resource: .canaries, key: ObjectKey(namespace: "shop", name: "catalog"))
        try await PageFollower(follower: follower, terminal: terminal, refresh: .seconds(3600)).show { object in
            CanaryView(try ResourceFinder.read(object) as Canary, now: Fixtures.now)
        } until: { _ in
            looks += 1
            if looks < statuses.count { set(statuses[looks]) }
            return looks == statuses.count
        }
        #expect(looks == statuses.count)
        return paper.pages
    }

    @Test(.timeLimit(.minutes(1))) func aLogGetsAPageOnlyWhenItsEssenceChanges() async throws {
        let pages = try await pages(isTerminal: false)
        #expect(pages.map { $0.contains("Message   a") } == [false, true, false])
        #expect(pages.last?.contains("Phase     Succeeded") == true)
        #expect(pages[1].hasPrefix("\n"))
    }

    @Test(.timeLimit(.minutes(1))) func aTerminalGetsEveryPageInPlaceOfTheLast() async throws {
        let pages = try await pages(isTerminal: true)
        #expect(pages.count == 4)
        #expect(pages[0].hasPrefix("\u{1B}[2J\u{1B}[H"))
        #expect(pages[1].hasPrefix("\u{1B}[H"))
        #expect(pages.allSatisfy { $0.hasSuffix("\u{1B}[J") })
    }
}

/// Keeps what was written, piece by piece.
private final class Paper: Sendable {
    private let written = Mutex<[String]>([])

    var pages: [String] { written.withLock { $0 } }

    func add(_ text: String) { written.withLock { $0.append(text) } }
}
