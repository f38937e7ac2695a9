import KubeCore

/// One change of one object.
struct Change: Sendable {
    var kind: WatchEvent.Kind
    var object: StoredObject
    /// The version before; nil for a new object.
    var before: StoredObject?
}

/// What a watcher receives: an object's change, or a bookmark (no object).
struct StoreEvent: Sendable {
    var kind: WatchEvent.Kind
    var object: StoredObject?
    var revision: Int
    var initialEventsEnd = false

    init(kind: WatchEvent.Kind, object: StoredObject) {
        self.kind = kind
        self.object = object
        revision = object.revision
    }

    init(bookmarkAt revision: Int, initialEventsEnd: Bool) {
        kind = .bookmark
        self.revision = revision
        self.initialEventsEnd = initialEventsEnd
    }
}

/// Which objects of a collection are asked for.
struct WatchFilter: Sendable {
    /// Nil or empty: all namespaces.
    var namespace: String?
    var labels: LabelSelector?
    var fields: FieldSelector?

    /// Whether it looks at what objects contain.
    var isSelective: Bool { labels != nil || fields != nil }

    func matches(_ object: StoredObject) -> Bool {
        if let namespace, !namespace.isEmpty, object.key.namespace != namespace { return false }
        if let labels, !labels.matches(object.labels) { return false }
        if let fields, !fields.matches(object.json) { return false }
        return true
    }
}

/// One open watch.
struct Watcher: Sendable {
    var filter: WatchFilter
    var wantsBookmarks: Bool
    /// When the watch ends; nil: never by itself.
    var deadline: ContinuousClock.Instant?
    /// Puts an event into the watcher's mailbox; false when it is full or closed. Called under the store's lock.
    var send: @Sendable (StoreEvent) -> Bool
    /// Ends the watch, with an error or in good order. Never called under the store's lock.
    var end: @Sendable (APIError?) -> Void

    /// Sends a change as it looks through the filter: an object that starts to match is added, one that no longer does
    /// is deleted.
    func offer(_ change: Change) -> Bool {
        let isIn = change.kind != .deleted && filter.matches(change.object)
        let wasIn = change.before.map(filter.matches) ?? false
        return switch (wasIn, isIn) {
        case (false, false): true
        case (false, true): send(StoreEvent(kind: .added, object: change.object))
        case (true, true): send(StoreEvent(kind: .modified, object: change.object))
        // As the watcher knew it, at the revision of the change.
        case (true, false):
            send(
                StoreEvent(
                    kind: .deleted,
                    object: change.before.map {
                        StoredObject(json: $0.json, key: $0.key, revision: change.object.revision)
                    } ?? change.object))
        }
    }
}

/// The watchers of one collection and its recent changes.
struct WatchHub: Sendable {
    let historyLimit: Int
    var watchers: [Int: Watcher] = [:]
    /// The newest revision that is no longer in the history; 0 while everything is.
    private(set) var forgotten: Int
    private var history: [Change] = []

    init(historyLimit: Int, forgotten: Int = 0) {
        self.historyLimit = historyLimit
        self.forgotten = forgotten
    }

    /// Records a change and tells the watchers.
    /// - Returns: watchers whose mailbox is full; they are taken off and must be ended outside the lock.
    mutating func publish(_ change: Change) -> [Watcher] {
        history.append(change)
        // Cut in chunks, so that the cost of moving the rest is spread over many changes.
        if history.count >= historyLimit * 2 {
            let cut = history.count - historyLimit
            forgotten = max(forgotten, history[cut - 1].object.revision)
            history.removeFirst(cut)
        }
        var lagging: [Watcher] = []
        for (id, watcher) in watchers where !watcher.offer(change) {
            watchers[id] = nil
            lagging.append(watcher)
        }
        return lagging
    }

    /// Forgets the history up to a revision, as after a compaction of etcd. Open watches go on.
    mutating func forget(upTo revision: Int) {
        history.removeFirst(index(after: revision))
        forgotten = max(forgotten, revision)
    }

    /// The changes after a revision, oldest first; nil when some of them are forgotten.
    func changes(after revision: Int) -> ArraySlice<Change>? {
        revision >= forgotten ? history[index(after: revision)...] : nil
    }

    /// Where the changes after a revision begin.
    private func index(after revision: Int) -> Int {
        var low = 0
        var high = history.count
        while low < high {
            let middle = (low + high) / 2
            if history[middle].object.revision <= revision { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
