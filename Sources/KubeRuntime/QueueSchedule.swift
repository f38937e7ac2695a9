import DequeModule
import HeapModule

/// Which key is worked on next, and when. Pure: the time comes with every call.
///
/// Rules:
/// - a key waits once, however often it is added; while it is worked on, one more addition is kept for afterwards;
/// - of several times for one key the earliest counts, and being ready beats every time;
/// - first come, first served, in two lanes: of five keys that are taken one is of the background lane, if any waits there.
///   So a change is seen soon though ten thousand keys wait for their first look, and nobody waits for ever: a key is
///   taken after at most five times as many others as stood before it in its lane.
struct QueueSchedule<Key: Hashable & Sendable>: Sendable {
    enum Lane: Sendable, Hashable {
        /// Something happened to the key, or its time came.
        case changed
        /// A first look, or a look for looking's sake.
        case background
    }

    private struct Waiting {
        var since: AnyClock.Instant
        /// Its entries in the lanes; one that is in none of these is left over from before.
        var tickets: [Lane: Int]
    }

    private struct Timer: Comparable {
        var due: AnyClock.Instant
        var ticket: Int
        var key: Key
        static func < (a: Self, b: Self) -> Bool { (a.due, a.ticket) < (b.due, b.ticket) }
        static func == (a: Self, b: Self) -> Bool { a.ticket == b.ticket }
    }

    /// How many keys of the first lane are taken for one of the background.
    static var changedInRow: Int { 4 }

    private var lanes: [Lane: Deque<(key: Key, ticket: Int)>] = [.changed: [], .background: []]
    private var waiting: [Key: Waiting] = [:]
    private var delayed: [Key: Timer] = [:]
    /// The delayed keys by time; entries that are not in `delayed` any more are skipped.
    private var timers = Heap<Timer>()
    private var inWork: Set<Key> = []
    /// Keys in work that were added again, and when.
    private var again: [Key: AnyClock.Instant] = [:]
    private var failures: [Key: Int] = [:]
    private var nextTicket = 0
    private var takenInRow = 0

    var readyCount: Int { waiting.count }
    var delayedCount: Int { delayed.count }
    var workCount: Int { inWork.count }
    /// The keys that failed since they last succeeded.
    var failingCount: Int { failures.count }

    /// Times that are kept, those that earlier ones replaced too.
    var timerCount: Int { timers.count }

    /// When the next delayed key becomes ready.
    var nextDue: AnyClock.Instant? {
        mutating get {
            while let first = timers.min {
                if delayed[first.key] == first { return first.due }
                timers.removeMin()
            }
            return nil
        }
    }

    /// Makes a key ready.
    /// - Returns: false when it was already, or will be looked at after the work on it anyway.
    @discardableResult
    mutating func add(_ key: Key, lane: Lane = .changed, at now: AnyClock.Instant) -> Bool {
        delayed[key] = nil
        if inWork.contains(key) {
            guard again[key] == nil else { return false }
            again[key] = now
            return true
        }
        if let known = waiting[key] {
            // Something happened to a key in the background: it queues in front too, and keeps its old place.
            if lane == .changed, known.tickets[.changed] == nil { enter(key, .changed, since: known.since) }
            return false
        }
        enter(key, lane, since: now)
        return true
    }

    /// Makes a key ready at a time, or earlier when an earlier time is known.
    mutating func add(_ key: Key, due: AnyClock.Instant) {
        if waiting[key] != nil || again[key] != nil { return }
        if let known = delayed[key], known.due <= due { return }
        nextTicket += 1
        let timer = Timer(due: due, ticket: nextTicket, key: key)
        delayed[key] = timer
        timers.insert(timer)
        // Times that were replaced by earlier ones stay behind in the heap: sweep before they outnumber the others.
        if timers.count > 2 * delayed.count + 64 { timers = Heap(delayed.values) }
    }

    /// Makes the keys ready whose time has come.
    mutating func wake(at now: AnyClock.Instant) {
        while let due = nextDue, due <= now {
            let timer = timers.removeMin()
            add(timer.key, at: timer.due)
        }
    }

    /// Hands out a key; `finish(_:)` gives it back.
    mutating func take() -> (key: Key, since: AnyClock.Instant)? {
        let isBackgroundsTurn = takenInRow >= Self.changedInRow
        for lane in isBackgroundsTurn ? [Lane.background, .changed] : [.changed, .background] {
            while let (key, ticket) = lanes[lane]?.popFirst() {
                guard let entry = waiting[key], entry.tickets[lane] == ticket else { continue }
                waiting[key] = nil
                inWork.insert(key)
                takenInRow = lane == .changed ? min(takenInRow + 1, Self.changedInRow) : 0
                return (key, entry.since)
            }
        }
        return nil
    }

    /// The work on a key is over.
    mutating func finish(_ key: Key) {
        guard inWork.remove(key) != nil else { return }
        if let since = again.removeValue(forKey: key) { enter(key, .changed, since: since) }
    }

    /// Counts a failure.
    /// - Returns: how many came before it in a row.
    mutating func countFailure(of key: Key) -> Int {
        let before = failures[key, default: 0]
        failures[key] = before + 1
        return before
    }

    mutating func forgetFailures(of key: Key) { failures[key] = nil }

    /// Nothing is ready or will be; what is in work is not touched.
    mutating func clear() {
        lanes = [.changed: [], .background: []]
        waiting = [:]
        delayed = [:]
        timers = Heap()
        again = [:]
    }

    private mutating func enter(_ key: Key, _ lane: Lane, since: AnyClock.Instant) {
        nextTicket += 1
        delayed[key] = nil
        waiting[key, default: Waiting(since: since, tickets: [:])].tickets[lane] = nextTicket
        lanes[lane]?.append((key, nextTicket))
    }
}
