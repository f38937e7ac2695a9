import KubeCore
import Synchronization

/// All objects of the cluster, their order of change, and who wants to hear of changes.
///
/// One lock covers everything, so a revision is a point in time for the whole cluster. What runs under it is short: a
/// dictionary change and one append to the mailbox of each interested watcher. Nothing is computed from objects here.
///
/// A *collection* is one resource whatever its version, e.g. `pods` or `deployments.apps`.
final class Store: Sendable {
    /// What became of a `commit`.
    enum Outcome {
        case done(StoredObject)
        /// The object changed since it was read, or (for a creation) is already there.
        case stale(StoredObject?)
    }

    struct Page: Sendable {
        var items: [StoredObject]
        var revision: Int
        /// The key of the last item, when there are more.
        var last: ObjectKey?
        var remaining: Int
    }

    /// A past state that can no longer be told.
    struct Forgotten: Error {}

    struct Collection {
        var objects: [ObjectKey: StoredObject] = [:]
        var hub: WatchHub
    }

    struct State {
        var revision = 1
        var collections: [String: Collection] = [:]
        var nextWatcher = 0
        /// Up to here nothing is known of the past, in collections that are still to come as well.
        var forgotten = 0
        var watches = WatchCounts()
    }

    /// How many past changes of a collection a watch can resume over; older ones answer `410 Expired`.
    let historyLimit: Int
    let state: Mutex<State>

    init(historyLimit: Int = 2000) {
        self.historyLimit = historyLimit
        state = Mutex(State())
    }

    var revision: Int { state.withLock(\.revision) }

    func get(_ collection: String, _ key: ObjectKey) -> StoredObject? {
        state.withLock { $0.collections[collection]?.objects[key] }
    }

    /// The objects of a collection in order of namespace and name, all as of one revision.
    /// - Parameter at: a past revision, so that the pages of a list show one moment; nil: now.
    /// - Throws: `Forgotten` when changes since `at` are no longer in the history.
    func list(
        _ collection: String, matching filter: WatchFilter = WatchFilter(), limit: Int = 0, after: ObjectKey? = nil,
        at past: Int?
    ) throws(Forgotten) -> Page {
        let (all, revision) = try objects(of: collection, at: past)
        var items = all.filter { object in (after.map { $0 < object.key } ?? true) && filter.matches(object) }
        items.sort { $0.key < $1.key }
        guard limit > 0, items.count > limit else {
            return Page(items: items, revision: revision, last: nil, remaining: 0)
        }
        let page = Array(items[..<limit])
        return Page(items: page, revision: revision, last: page.last?.key, remaining: items.count - limit)
    }

    /// The objects of a collection as they are now.
    func list(_ collection: String, matching filter: WatchFilter = WatchFilter()) -> Page {
        let now = state.withLock { state in
            (state.collections[collection].map { Array($0.objects.values) } ?? [], state.revision)
        }
        let items = now.0.filter(filter.matches).sorted { $0.key < $1.key }
        return Page(items: items, revision: now.1, last: nil, remaining: 0)
    }

    private func objects(of collection: String, at past: Int?) throws(Forgotten) -> ([StoredObject], Int) {
        let found: (objects: [StoredObject], revision: Int)? = state.withLock { state in
            guard let entry = state.collections[collection] else { return ([], past ?? state.revision) }
            guard let past, past < state.revision else { return (Array(entry.objects.values), state.revision) }
            guard let later = entry.hub.changes(after: past) else { return nil }
            var objects = entry.objects
            for change in later.reversed() { objects[change.object.key] = change.before }
            return (Array(objects.values), past)
        }
        guard let found else { throw Forgotten() }
        return (found.objects, found.revision)
    }

    /// Forgets all changes up to a revision, as a real server's store does when it is compacted.
    func forget(upTo revision: Int) {
        state.withLock { state in
            // What is still to come is not forgotten.
            let last = min(revision, state.revision)
            state.forgotten = max(state.forgotten, last)
            for name in Array(state.collections.keys) { state.collections[name]?.hub.forget(upTo: last) }
        }
    }

    /// Every object of a namespace, or (nil) of the cluster, with its collection. Walks everything: for rare operations.
    func everything(in namespace: String?) -> [(collection: String, object: StoredObject)] {
        state.withLock { state in
            state.collections.flatMap { name, collection in
                collection.objects.values.lazy
                    .filter { namespace == nil || $0.key.namespace == namespace }
                    .map { (collection: name, object: $0) }
            }
        }
    }

    func isEmpty(namespace: String) -> Bool {
        state.withLock { state in
            state.collections.values.allSatisfy { collection in
                !collection.objects.keys.contains { $0.namespace == namespace }
            }
        }
    }

    /// Creates, replaces or (with a nil `json`) removes one object, if it is still at the revision that was read.
    /// - Parameters:
    ///   - expected: the revision read; nil: the object must not exist.
    ///   - json: the new object; nil removes the object.
    func commit(_ collection: String, _ key: ObjectKey, expected: Int?, json: JSONValue?) -> Outcome {
        let (outcome, lagging) = state.withLock { state -> (Outcome, [Watcher]) in
            let current = state.collections[collection]?.objects[key]
            guard current?.revision == expected else { return (.stale(current), []) }
            let removed = json == nil
            guard let body = json ?? current?.json else { return (.stale(nil), []) }
            state.revision += 1
            let stored = StoredObject(json: body, key: key, revision: state.revision)
            var entry = state.collections.removeValue(forKey: collection) ?? newCollection(state)
            entry.objects[key] = removed ? nil : stored
            let lagging = entry.hub.publish(
                Change(kind: removed ? .deleted : current == nil ? .added : .modified, object: stored, before: current))
            state.collections[collection] = entry
            return (.done(stored), lagging)
        }
        for watcher in lagging { watcher.end(.expired("the watcher was too slow and its buffer overflowed")) }
        return outcome
    }

    private func newCollection(_ state: State) -> Collection {
        Collection(hub: WatchHub(historyLimit: historyLimit, forgotten: state.forgotten))
    }

    /// Forgets all past changes: a watch can only resume from now on.
    func compact() { forget(upTo: .max) }

    var watches: WatchCounts {
        state.withLock { state in
            var counts = state.watches
            counts.open = state.collections.values.reduce(0) { $0 + $1.hub.watchers.count }
            return counts
        }
    }
}

/// Watches of all clients, those in this process included.
package struct WatchCounts: Sendable, Hashable {
    /// Open now.
    package var open = 0
    /// Went on from a version that a client had, since the start.
    package var resumed = 0
    /// Were told that their version is forgotten (410), since the start.
    package var expired = 0
}

extension Store {
    /// Puts a watcher on a collection. What it missed since `since` is delivered at once, then each change as it happens,
    /// in order and without gaps.
    /// - Parameter since: nil or 0: the present objects come first, as `added`.
    /// - Returns: what to pass to `stop`.
    /// - Throws: `Expired` when `since` is older than the history.
    func watch(
        _ collection: String, since: Int?, initialEventsEnd: Bool, watcher make: (Int) -> Watcher
    ) throws(APIError) -> Int {
        let result: Result<Int, APIError> = state.withLock { state in
            state.nextWatcher += 1
            let id = state.nextWatcher
            let watcher = make(id)
            var entry = state.collections.removeValue(forKey: collection) ?? newCollection(state)
            defer { state.collections[collection] = entry }
            if let since, since > 0 {
                guard let missed = entry.hub.changes(after: since) else {
                    state.watches.expired += 1
                    return .failure(.expired("too old resource version: \(since) (\(entry.hub.forgotten))"))
                }
                state.watches.resumed += 1
                for change in missed { _ = watcher.offer(change) }
            } else {
                let present = entry.objects.values.filter(watcher.filter.matches).sorted { $0.key < $1.key }
                for object in present { _ = watcher.send(StoreEvent(kind: .added, object: object)) }
                if initialEventsEnd {
                    _ = watcher.send(StoreEvent(bookmarkAt: state.revision, initialEventsEnd: true))
                }
            }
            entry.hub.watchers[id] = watcher
            return .success(id)
        }
        return try result.get()
    }

    func stop(_ collection: String, watcher id: Int) {
        _ = state.withLock { $0.collections[collection]?.hub.watchers.removeValue(forKey: id) }
    }

    /// Sends bookmarks to those who asked for them and ends the watches whose time is over.
    func tick(now: ContinuousClock.Instant, bookmarks: Bool) {
        let over = state.withLock { state -> [Watcher] in
            var over: [Watcher] = []
            for name in Array(state.collections.keys) {
                for (id, watcher) in state.collections[name]?.hub.watchers ?? [:] {
                    let isOver = watcher.deadline.map { $0 <= now } ?? false
                    if watcher.wantsBookmarks, bookmarks || isOver {
                        _ = watcher.send(StoreEvent(bookmarkAt: state.revision, initialEventsEnd: false))
                    }
                    if isOver {
                        state.collections[name]?.hub.watchers[id] = nil
                        over.append(watcher)
                    }
                }
            }
            return over
        }
        for watcher in over { watcher.end(nil) }
    }
}
