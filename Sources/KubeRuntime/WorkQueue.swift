import DequeModule
import Synchronization

/// Keys to work on: each waits once, is worked on by one worker at a time, and comes back after failures with growing
/// delay. `QueueSchedule` has the rules.
///
/// `run()` must run beside the workers: it makes delayed keys ready.
package final class WorkQueue<Key: Hashable & Sendable>: Sendable {
    private struct State {
        var schedule = QueueSchedule<Key>()
        var waiters: Deque<(id: Int, continuation: CheckedContinuation<Key?, Never>)> = []
        var nextWaiter = 0
        var isShutDown = false
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
    package var readyCount: Int { state.withLock(\.schedule.readyCount) }
    /// Keys that wait for their time.
    package var delayedCount: Int { state.withLock(\.schedule.delayedCount) }
    /// Keys that are worked on.
    package var workCount: Int { state.withLock(\.schedule.workCount) }

    /// Makes a key ready now.
    package func add(_ key: Key) { add(contentsOf: CollectionOfOne(key)) }

    /// - Parameter inBackground: let keys to which something happened go first, four to one.
    package func add(contentsOf keys: some Sequence<Key>, inBackground: Bool = false) {
        let now = clock.now
        var added = 0
        change { schedule in
            for key in keys where schedule.add(key, lane: inBackground ? .background : .changed, at: now) { added += 1 }
        }
        metrics?.added(added)
    }

    /// Makes a key ready after a delay, or earlier when an earlier time is known.
    package func add(_ key: Key, after delay: Duration) {
        guard delay > .zero else { return add(key) }
        let due = clock.now.advanced(by: delay)
        let isNext = state.withLock { state in
            if state.isShutDown { return false }
            let before = state.schedule.nextDue
            state.schedule.add(key, due: due)
            return state.schedule.nextDue != before
        }
        if isNext { timer.raise() }
    }

    /// Makes a key ready after the delay that its failures in a row ask for, and counts one more.
    @discardableResult
    package func retry(_ key: Key) -> Duration {
        let attempt = state.withLock { $0.schedule.countFailure(of: key) }
        metrics?.retried()
        let delay = backoff.delay(attempt: attempt, random: random())
        add(key, after: delay)
        return delay
    }

    /// Forgets the failures of a key.
    package func forget(_ key: Key) { state.withLock { $0.schedule.forgetFailures(of: key) } }

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
                    if let (key, since) = state.schedule.take() { return (key, since) }
                    state.waiters.append((id, continuation))
                    return nil
                }
                guard let answer else { return }
                if let since = answer.since { taken(since) }
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
    package func done(_ key: Key) { change { $0.finish(key) } }

    /// Lets every `next()` return nil, now and later. Work that is under way is not touched.
    package func shutDown() {
        let waiters = state.withLock { state in
            state.isShutDown = true
            state.schedule.clear()
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: nil) }
        report()
        timer.raise()
    }

    /// Makes delayed keys ready at their time; returns when the queue is shut down or the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            let (next, isShutDown) = state.withLock { ($0.schedule.nextDue, $0.isShutDown) }
            if isShutDown { return }
            await timer.wait(until: next, clock: clock)
            let now = clock.now
            change { $0.wake(at: now) }
        }
    }

    /// Changes the schedule and hands ready keys to waiting workers.
    private func change(_ body: (inout QueueSchedule<Key>) -> Void) {
        var handed: [(continuation: CheckedContinuation<Key?, Never>, key: Key, since: AnyClock.Instant)] = []
        state.withLock { state in
            body(&state.schedule)
            if state.isShutDown { return state.schedule.clear() }
            while !state.waiters.isEmpty, let (key, since) = state.schedule.take() {
                handed.append((state.waiters.removeFirst().continuation, key, since))
            }
        }
        if handed.isEmpty { report() }
        for hand in handed {
            taken(hand.since)
            hand.continuation.resume(returning: hand.key)
        }
    }

    private func taken(_ since: AnyClock.Instant) {
        metrics?.waited(since.duration(to: clock.now))
        report()
    }

    private func report() {
        guard let metrics else { return }
        let (ready, delayed, work) = state.withLock {
            ($0.schedule.readyCount, $0.schedule.delayedCount, $0.schedule.workCount)
        }
        metrics.queue(ready: ready, delayed: delayed, inWork: work)
    }
}
