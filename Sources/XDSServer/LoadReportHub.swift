import EnvoyAPI
import Synchronization

/// What proxies report of the requests that they sent, second by second, for the clusters that somebody watches.
///
/// Nothing is watched at rest, and then nothing is reported. All methods may be called from any task and never wait.
package final class LoadReportHub: Sendable {
    /// Requests that a cluster's endpoints answered, or failed to: tries, so one that a retry hid from its caller counts.
    package struct Load: Sendable, Hashable {
        package var requests: Int
        /// 5xx answers, and connections that failed.
        package var failures: Int

        package init(requests: Int = 0, failures: Int = 0) {
            self.requests = requests
            self.failures = failures
        }
    }

    /// Called on a proxy's task after each report that had requests in it, with the clusters' names.
    package typealias ReportHandler = @Sendable (Set<String>) -> Void

    private struct State {
        var watched: Set<String> = []
        var totals: [String: Load] = [:]
        var nextID: UInt64 = 0
        var streams: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())
    private let onReport: ReportHandler

    package init(onReport: @escaping ReportHandler = { _ in }) {
        self.onReport = onReport
    }

    /// Sets the clusters that proxies report, each second; what is no longer watched is forgotten.
    package func watch(_ clusters: Set<String>) {
        let wakeUps = state.withLock { state -> [AsyncStream<Void>.Continuation] in
            guard state.watched != clusters else { return [] }
            state.watched = clusters
            state.totals = state.totals.filter { clusters.contains($0.key) }
            return Array(state.streams.values)
        }
        for wakeUp in wakeUps { wakeUp.yield() }
    }

    package var watched: Set<String> { state.withLock { $0.watched } }

    /// What was reported of each cluster since it is watched; they only grow.
    package var totals: [String: Load] { state.withLock { $0.totals } }

    // MARK: For streams

    /// Registers a stream, which is woken when what is watched has changed. A hub that is closed gives nil.
    func connect() -> (id: UInt64, wakeUps: AsyncStream<Void>)? {
        let (wakeUps, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        return state.withLock { state in
            guard !state.isClosed else { return nil }
            state.nextID += 1
            state.streams[state.nextID] = continuation
            return (state.nextID, wakeUps)
        }
    }

    func disconnect(_ id: UInt64) {
        state.withLock { $0.streams.removeValue(forKey: id) }?.finish()
    }

    /// Takes in a report. Clusters that nobody watches are left out, whatever a proxy says.
    func report(_ loads: [String: Load]) {
        let reported = state.withLock { state -> Set<String> in
            var reported: Set<String> = []
            for (cluster, load) in loads where state.watched.contains(cluster) && load.requests > 0 {
                state.totals[cluster, default: Load()].requests += load.requests
                state.totals[cluster, default: Load()].failures += load.failures
                reported.insert(cluster)
            }
            return reported
        }
        if !reported.isEmpty { onReport(reported) }
    }

    /// Ends all streams, and takes no new ones.
    package func close() {
        let streams = state.withLock { state in
            state.isClosed = true
            return state.streams.values
        }
        for stream in streams { stream.finish() }
    }
}
