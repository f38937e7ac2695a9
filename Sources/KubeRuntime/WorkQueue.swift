import DequeModule
import Synchronization

/// Keys to work on: each waits once, is worked on by one worker at a time, and comes back after failures with growing
/// delay.
///
/// A key that is added while it is worked on comes back when that is done. Of several times for one key the earliest
/// counts. `run()` must run beside the workers: it makes delayed keys ready. There is no order between keys but first
/// come, first served.
package final class WorkQueue<Key: Hashable & Sendable>: Sendable {
    private struct State {
        var ready: Deque<Key> = []
        /// The keys in `ready`, and since when.
        var readySince: [Key: AnyClock.Instant] = [:]
        var delayed: [Key: AnyClock.Instant] = [:]
        var inWork: Set<Key> = []
        /// Keys in work that were added again, and when.
        var again: [Key: AnyClock.Instant] = [:]
        var failures: [Key: Int] = [:]
        var waiters: Deque<(id: Int, continuation: CheckedContinuation<Key?, Never>)> = []
        var nextWaiter = 0
        var isShutDown = false

        mutating func makeReady(_ key: Key, at now: AnyClock.Instant) {
            delayed[key] = nil
            if inWork.contains(key) {
                if again[key] == nil { again[key] = now }
            } else if readySince[key] == nil {
                readySince[key] = now
                ready.append(key)
            }
        }

        mutating func take() -> (key: Key, since: AnyClock.Instant)? {
            guard let key = ready.popFirst(), let since = readySince.removeValue(forKey: key) else { return nil }
            inWork.insert(key)
            return (key, since)
        }
    }

    private let state = Mutex(State())
    private let timer = Signal()
    private let clock: AnyClock
    private let backoff: Backoff
    private let random: @Sendable () -> Double
    private let metrics: ControllerMetrics?

    package init(
        clock: AnyClock = .continuous, backoff: Backoff = .reconcile, metrics: ControllerMetrics? = nil,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.clock = clock
        self.backoff = backoff
        self.metrics = metrics
        self.random = random
    }

    /// Keys that wait for a worker now.
    package var readyCount: Int { state.withLock(\.ready.count) }
    /// Keys that wait for their time.
    package var delayedCount: Int { state.withLock(\.delayed.count) }

    /// Makes a key ready now.
    package func add(_ key: Key) { change { $0.makeReady(key, at: clock.now) } }

    package func add(contentsOf keys: some Sequence<Key>) {
        change { state in for key in keys { state.makeReady(key, at: clock.now) } }
    }

    /// Makes a key ready after a delay, or earlier when an earlier time is known.
    package func add(_ key: Key, after delay: Duration) {
        guard delay > .zero else { return add(key) }
        let due = clock.now.advanced(by: delay)
        let isSooner = state.withLock { state in
            if state.isShutDown || state.readySince[key] != nil { return false }
            if let known = state.delayed[key], known <= due { return false }
            state.delayed[key] = due
            return true
        }
        if isSooner { timer.raise() }
    }

    /// Makes a key ready after the delay that its failures in a row ask for, and counts one more.
    @discardableResult
    package func retry(_ key: Key) -> Duration {
        let attempt = state.withLock { state in
            defer { state.failures[key, default: 0] += 1 }
            return state.failures[key, default: 0]
        }
        metrics?.retried()
        let delay = backoff.delay(attempt: attempt, random: random())
        add(key, after: delay)
        return delay
    }

    /// Forgets the failures of a key.
    package func forget(_ key: Key) { state.withLock { $0.failures[key] = nil } }

    /// The next key to work on, which the caller gives back with `done(_:)`. Nil when the queue is shut down or the task
    /// is cancelled.
    package func next() async -> Key? {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Key?, Never>) in
                let answer: (key: Key?, since: AnyClock.Instant?)? = state.withLock { state in
                    if state.isShutDown || Task.isCancelled { return (nil, nil) }
                    if let (key, since) = state.take() { return (key, since) }
                    state.waiters.append((id, continuation))
                    return nil
                }
                guard let answer else { return }
                if let since = answer.since { metrics?.waited(since.duration(to: clock.now)) }
                continuation.resume(returning: answer.key)
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: nil)
        }
    }

    /// Says that the work on a key is over.
    package func done(_ key: Key) {
        change { state in
            state.inWork.remove(key)
            if let since = state.again.removeValue(forKey: key) { state.makeReady(key, at: since) }
        }
    }

    /// Lets every `next()` return nil, now and later. Work that is under way is not touched.
    package func shutDown() {
        let waiters = state.withLock { state in
            state.isShutDown = true
            state.delayed = [:]
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: nil) }
        timer.raise()
    }

    /// Makes delayed keys ready at their time; returns when the queue is shut down or the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            let (next, isShutDown) = state.withLock { ($0.delayed.values.min(), $0.isShutDown) }
            if isShutDown { return }
            await timer.wait(until: next, clock: clock)
            let now = clock.now
            change { state in
                let due = state.delayed.filter { $0.value <= now }.sorted { $0.value < $1.value }
                for (key, since) in due { state.makeReady(key, at: since) }
            }
        }
    }

    /// Changes the state and hands ready keys to waiting workers.
    private func change(_ body: (inout State) -> Void) {
        var handed: [(continuation: CheckedContinuation<Key?, Never>, key: Key, since: AnyClock.Instant)] = []
        let depth = state.withLock { state -> Int in
            if state.isShutDown {
                state.again = [:]
                return state.ready.count
            }
            body(&state)
            while !state.waiters.isEmpty, let (key, since) = state.take() {
                handed.append((state.waiters.removeFirst().continuation, key, since))
            }
            return state.ready.count
        }
        metrics?.queueDepth(depth)
        for hand in handed {
            metrics?.waited(hand.since.duration(to: clock.now))
            hand.continuation.resume(returning: hand.key)
        }
    }
}
