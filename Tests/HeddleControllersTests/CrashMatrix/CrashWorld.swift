import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeTesting
import Synchronization

@testable import HeddleControllers

/// One way in which things may go wrong: what befalls the operator at which write, and how far its caches are behind.
struct Interleaving: Sendable, CustomStringConvertible {
    var mishap: Mishap?
    var write = 0
    /// Every process meets the mishap, not only the first.
    var isRepeated = false
    var staleness = Staleness.none

    var description: String {
        let what = mishap.map { "\($0) at \(isRepeated ? "every" : "") write \(write), " } ?? ""
        return "\(what)\(staleness)"
    }
}

/// A cluster, its Kubernetes, and an operator that is restarted when it dies; one step is a quarter of a second.
///
/// Unchecked: one task drives it; a look ends before the next begins.
final class CrashWorld: @unchecked Sendable {
    let cluster = InMemoryCluster()
    let prometheus = FakePrometheus()
    let journal: EventJournal
    var model: DeploymentModel
    private(set) var operatorProcess: OperatorProcess?
    private let interleaving: Interleaving
    private let time = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
    private var restartsAt: Date?
    private var step = 0
    private(set) var lives = 0
    private var pastWrites = 0
    /// What must never be, in words; each is said once.
    private(set) var violations: [String] = []
    /// Called after every write and every step of the world.
    var check: (CrashWorld) -> Void = { _ in }
    /// The world's own second: callers, people.
    var second: (CrashWorld) -> Void = { _ in }

    init(_ interleaving: Interleaving) {
        self.interleaving = interleaving
        journal = EventJournal(cluster)
        model = DeploymentModel(cluster)
    }

    var now: Date { time.withLock { $0 } }
    /// Writes of all processes so far.
    var writes: Int { pastWrites + (operatorProcess?.api.writes ?? 0) }

    var looks: Int { operatorProcess?.looks ?? 0 }

    func violate(_ what: String) {
        if !violations.contains(what) { violations.append(what) }
    }

    /// Takes down what was changed, and looks whether it may be.
    func changed() {
        journal.capture(at: now)
        check(self)
    }

    func tick() async {
        if let process = operatorProcess, process.api.isDead {
            pastWrites += process.api.writes
            operatorProcess = nil
            restartsAt = now.addingTimeInterval(1)
        }
        if operatorProcess == nil, restartsAt.map({ $0 <= now }) ?? true { start() }
        if let process = operatorProcess {
            // What a look writes wakes it again; the rest waits for the next step.
            for _ in 0..<3 {
                process.deliver(at: now)
                if await !process.work(at: now) || process.api.isDead { break }
            }
        }
        step += 1
        // Nothing here ever waits: other tests want their turn.
        await Task.yield()
        if step.isMultiple(of: 4) {
            model.tick()
            second(self)
            changed()
        }
        time.withLock { $0.addTimeInterval(0.25) }
        cluster.advanceClock(by: 0.25)
    }

    private func start() {
        lives += 1
        let isFated = interleaving.mishap != nil && (lives == 1 || (interleaving.isRepeated && lives < 200))
        let api = MortalAPI(cluster, isFated ? interleaving.mishap : nil, atWrite: interleaving.write) {
            [unowned self] in
            changed()
        }
        operatorProcess = OperatorProcess(
            api, journal: journal, staleness: interleaving.staleness, prometheus: prometheus, certificates: true,
            now: { [unowned self] in now })
    }
}
