import HeddleAPI
import KubeCore
import Synchronization

/// Every state that a Canary's releases went through, from its watch: what a look now and then would miss is in it.
final class ReleaseAudit: Sendable {
    /// A state that a run enters once, whatever restarts meanwhile.
    struct Stage: Sendable, Hashable {
        var phase: CanaryPhase
        var step: Int?
        var weight: Int
    }

    private let stages = Mutex<[String: [Stage]]>([:])

    /// Follows the Canary until cancelled.
    func follow(_ api: any ClusterAPI, namespace: String, name: String) async {
        while !Task.isCancelled {
            if let events = try? await api.watch(APIRequest(.watch, .canaries, namespace: namespace)) {
                do {
                    for try await event in events where event.object.name == name {
                        if let canary = try? Canary(event.object) { note(canary.status) }
                    }
                } catch {
                    // It starts anew with the present state, which is a stage that is known already.
                }
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    func note(_ status: CanaryStatus) {
        guard status.phase.isRunning, let run = status.runId else { return }
        let stage = Stage(phase: status.phase, step: status.step, weight: status.desiredWeightPercent)
        stages.withLock { stages in
            if stages[run]?.last != stage { stages[run, default: []].append(stage) }
        }
    }

    /// The weights of a run in the order in which they were asked for.
    func weights(of run: String) -> [Int] {
        stages.withLock { stages in
            (stages[run] ?? []).map(\.weight).reduce(into: []) { if $0.last != $1 { $0.append($1) } }
        }
    }

    /// Stages that a run entered more than once.
    func repeated(in run: String) -> [Stage] {
        stages.withLock { stages in
            var seen: Set<Stage> = []
            return (stages[run] ?? []).filter { !seen.insert($0).inserted }
        }
    }

    var runs: [String] { stages.withLock { $0.keys.sorted() } }
}
