import KubeCore
import Synchronization

/// A store's changes as batches that a consumer takes at its own pace: `for await batch in store.changes()`.
///
/// The reflector never waits for a consumer. What a consumer has not taken is kept for it, bounded by the number of
/// objects: past `capacity` several changes of one object become one, and the batch says so.
package struct StoreChanges: AsyncSequence, Sendable {
    package struct Batch: Sendable {
        /// In the order in which they happened; each starts from the state that the one before it left.
        package var changes: [StoreChange]
        /// The objects that were there when the consumer came, as added.
        package var isReplay: Bool
        /// False when states in between were left out: an object that only they concerned hears of it from nobody else.
        package var isComplete: Bool
    }

    let mailbox: ChangeMailbox
    let wakeUps: AsyncStream<Void>

    package func makeAsyncIterator() -> Iterator { Iterator(mailbox: mailbox, wakeUps: wakeUps.makeAsyncIterator()) }

    package struct Iterator: AsyncIteratorProtocol {
        let mailbox: ChangeMailbox
        var wakeUps: AsyncStream<Void>.Iterator

        /// The next batch; nil when the task is cancelled.
        package mutating func next() async -> Batch? { await next(isolation: #isolation) }

        package mutating func next(isolation actor: isolated (any Actor)?) async -> Batch? {
            while !Task.isCancelled {
                if let batch = mailbox.take() { return batch }
                guard await wakeUps.next(isolation: actor) != nil else { return nil }
            }
            return nil
        }
    }
}

/// Where the reflector leaves changes for one consumer.
final class ChangeMailbox: Sendable {
    private struct State {
        var replay: [KubeObject]
        var log: ChangeLog
    }

    private let state: Mutex<State>
    private let wake: AsyncStream<Void>.Continuation

    init(replay: [KubeObject], capacity: Int, wake: AsyncStream<Void>.Continuation) {
        state = Mutex(State(replay: replay, log: ChangeLog(capacity: capacity)))
        self.wake = wake
    }

    func put(_ changes: [StoreChange]) {
        state.withLock { state in for change in changes { state.log.append(change) } }
        wake.yield()
    }

    func take() -> StoreChanges.Batch? {
        state.withLock { state in
            if !state.replay.isEmpty {
                defer { state.replay = [] }
                return .init(changes: state.replay.map(StoreChange.added), isReplay: true, isComplete: true)
            }
            return state.log.take().map { .init(changes: $0.changes, isReplay: false, isComplete: $0.isComplete) }
        }
    }
}

/// Changes that nobody has taken yet. Pure, and bounded by twice the number of keys that they touch, or `capacity`.
struct ChangeLog: Sendable {
    private let capacity: Int
    private var changes: [StoreChange] = []
    private var isComplete = true
    private var limit: Int

    init(capacity: Int) {
        self.capacity = capacity
        limit = capacity
    }

    var count: Int { changes.count }

    mutating func append(_ change: StoreChange) {
        changes.append(change)
        if changes.count > limit { compact() }
    }

    mutating func take() -> (changes: [StoreChange], isComplete: Bool)? {
        if changes.isEmpty, isComplete { return nil }
        defer { self = ChangeLog(capacity: capacity) }
        return (changes, isComplete)
    }

    /// One change a key: from the state before the first to the state after the last.
    private mutating func compact() {
        var order: [ObjectKey] = []
        var spans: [ObjectKey: (from: KubeObject?, to: KubeObject?, last: KubeObject)] = [:]
        for change in changes {
            let (from, to, last) = change.states
            if let known = spans[last.key] {
                isComplete = false
                spans[last.key] = (known.from, to, last)
            } else {
                order.append(last.key)
                spans[last.key] = (from, to, last)
            }
        }
        changes = order.flatMap { key -> [StoreChange] in
            switch spans[key] {
            case nil, (nil, nil, _)?: []
            case (nil, let new?, _)?: [.added(new)]
            // The last state, unless it is of another object that came under the name and went.
            case (let old?, nil, let last)?: [.deleted(old.uid == last.uid ? last : old)]
            case (let old?, let new?, _)?:
                old.uid == new.uid ? [.updated(from: old, to: new)] : [.deleted(old), .added(new)]
            }
        }
        limit = Swift.max(capacity, 2 * changes.count)
    }
}

extension StoreChange {
    /// The state before, the state after, and the last that was seen.
    fileprivate var states: (from: KubeObject?, to: KubeObject?, last: KubeObject) {
        switch self {
        case .added(let object): (nil, object, object)
        case .updated(let old, let new): (old, new, new)
        case .deleted(let object): (object, nil, object)
        }
    }
}
