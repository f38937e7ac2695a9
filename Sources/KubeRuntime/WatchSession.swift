import KubeCore
import Synchronization

/// One watch from its opening to its end, whose events go into a store.
///
/// A connection that died without a word (a gateway that forgot it) is noticed: a watch that outlasts the time that the
/// server was asked to end it after is given up, and so is a first state that stops coming.
struct WatchSession: Sendable {
    struct Outcome: Sendable {
        /// The version to go on from; nil when the first state did not come to its end.
        var version: String?
        /// Why it ended; nil when the server ended it, or the connection was given up.
        var error: APIError?
        /// The watch was open for a second or more.
        var lasted = false
        /// The server does not mark the end of the first state: it does not know what was asked for.
        var isUnmarked = false
    }

    /// How long after its due end a watch may go on.
    static let grace: Duration = .seconds(30)
    /// How long the next object of the first state may take.
    static let patience: Duration = .seconds(10)

    let store: Store
    let clock: AnyClock
    let metrics: StoreMetrics

    /// - Parameter expectedSeconds: after which the server ends the watch.
    func run(_ request: APIRequest, start: APIRequest.WatchStart, on api: any ClusterAPI, expectedSeconds: Int) async
        -> Outcome
    {
        let opened = clock.now
        let end = opened.advanced(by: .seconds(expectedSeconds) + Self.grace)
        let isInitial = start == .initialEvents
        let deadline = Mutexed(isInitial ? opened.advanced(by: Self.patience) : end)
        return await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await read(request, start: start, on: api, deadline: deadline, end: end) }
            group.addTask {
                while !Task.isCancelled, clock.now < deadline.value { try? await clock.sleep(until: deadline.value) }
                return nil
            }
            var outcome = Outcome()
            var timedOut = false
            for await result in group {
                if let result { outcome = result } else { timedOut = !group.isCancelled }
                group.cancelAll()
            }
            outcome.lasted = opened.duration(to: clock.now) >= .seconds(1)
            if timedOut {
                outcome.error = nil
                outcome.isUnmarked = outcome.version == nil
            }
            return outcome
        }
    }

    private func read(
        _ request: APIRequest, start: APIRequest.WatchStart, on api: any ClusterAPI,
        deadline: Mutexed<AnyClock.Instant>, end: AnyClock.Instant
    ) async -> Outcome {
        var outcome = Outcome()
        // The first state as it comes in; nil once it is complete.
        var incoming: [ObjectKey: KubeObject]?
        switch start {
        case .version(let version): outcome.version = version
        case .initialEvents: incoming = [:]
        }
        do {
            for try await event in try await api.watch(request) {
                metrics.seen(event.kind)
                let version = event.object.resourceVersion
                guard incoming != nil else {
                    store.apply(event)
                    if !version.isEmpty { outcome.version = version }
                    if event.kind != .bookmark { metrics.holds(store.count) }
                    continue
                }
                if event.kind == .bookmark {
                    guard event.endsInitialEvents else {
                        // Any other bookmark tells that the list was sent and its end was not marked.
                        outcome.isUnmarked = true
                        return outcome
                    }
                    store.replace(withTrimmed: Array((incoming ?? [:]).values))
                    metrics.listed(count: store.count)
                    incoming = nil
                    outcome.version = version
                    deadline.value = end
                } else {
                    incoming?[event.object.key] = event.kind == .deleted ? nil : store.trimmed(event.object)
                    deadline.value = min(end, clock.now.advanced(by: Self.patience))
                }
            }
        } catch let error as APIError {
            outcome.error = error
        } catch {
            outcome.error = APIError(code: 0, reason: "Unknown", message: "\(error)")
        }
        return outcome
    }
}

/// A value that two tasks share.
final class Mutexed<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    var value: Value {
        get { mutex.withLock { $0 } }
        set { mutex.withLock { $0 = newValue } }
    }
}
