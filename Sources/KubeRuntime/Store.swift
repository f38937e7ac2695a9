package import KubeCore
import Synchronization

/// Which objects one watch covers.
package struct StoreScope: Sendable, Hashable, CustomStringConvertible {
    package var resource: GroupVersionResource
    /// Nil: all namespaces.
    package var namespace: String?
    package var labels: LabelSelector?
    /// As in the `fieldSelector` parameter, e.g. `metadata.name=heddle-ca-root`.
    package var fields: String?

    package init(
        _ resource: GroupVersionResource, namespace: String? = nil, labels: LabelSelector? = nil, fields: String? = nil
    ) {
        self.resource = resource
        self.namespace = namespace
        self.labels = labels
        self.fields = fields
    }

    package var description: String {
        [resource.description, namespace, labels?.query, fields].compactMap { $0 }.joined(separator: " in ")
    }
}

/// One change of one object in a store.
package enum StoreChange: Sendable, Hashable {
    case added(KubeObject)
    case updated(from: KubeObject, to: KubeObject)
    /// With the last state that was seen.
    case deleted(KubeObject)

    /// All states that the change tells of; a mapping to keys must look at each, so that what an object pointed at before
    /// hears of it too.
    package var objects: [KubeObject] {
        switch self {
        case .added(let object), .deleted(let object): [object]
        case .updated(let old, let new): [old, new]
        }
    }
}

/// The objects of one scope as they were last seen: what reconcilers and servers read from instead of the API.
///
/// One reflector writes, everybody reads. A read is a snapshot; it may be older than the cluster, never mixed. Reads cost
/// a short lock and no request.
package final class Store: Sendable {
    package typealias Handler = @Sendable (StoreChange) -> Void
    package typealias IndexKeys = @Sendable (KubeObject) -> [String]

    private struct Index {
        var keys: IndexKeys
        var entries: [String: Set<ObjectKey>] = [:]

        mutating func remove(_ object: KubeObject) {
            for value in keys(object) {
                entries[value]?.remove(object.key)
                if entries[value]?.isEmpty == true { entries[value] = nil }
            }
        }

        mutating func insert(_ object: KubeObject) {
            for value in keys(object) { entries[value, default: []].insert(object.key) }
        }
    }

    private struct State {
        var objects: [ObjectKey: KubeObject] = [:]
        var indexes: [String: Index] = [:]
        /// The keys of `indexes`, kept apart: iterating the dictionary itself while changing it would copy it each time.
        var indexNames: [String] = []
        var isSynced = false
        var isServed = true
        var observers: [Int: Handler] = [:]
        var mailboxes: [Int: ChangeMailbox] = [:]
        var pulses: [Int: AsyncStream<Void>.Continuation] = [:]
        var syncWaiters: [Int: CheckedContinuation<Void, any Error>] = [:]
        var nextID = 0

        mutating func newID() -> Int {
            nextID += 1
            return nextID
        }

        mutating func put(_ object: KubeObject) -> [StoreChange] {
            guard let old = objects[object.key] else {
                enter(object)
                return [.added(object)]
            }
            if old.uid != object.uid {
                // Deleted and made anew since the last look: tell both.
                let gone = remove(old.key).map { [StoreChange.deleted($0)] } ?? []
                enter(object)
                return gone + [.added(object)]
            }
            if old.resourceVersion == object.resourceVersion { return [] }
            for name in indexNames { indexes[name]?.remove(old) }
            enter(object)
            return [.updated(from: old, to: object)]
        }

        private mutating func enter(_ object: KubeObject) {
            objects[object.key] = object
            for name in indexNames { indexes[name]?.insert(object) }
        }

        mutating func remove(_ key: ObjectKey) -> KubeObject? {
            guard let old = objects.removeValue(forKey: key) else { return nil }
            for name in indexNames { indexes[name]?.remove(old) }
            return old
        }
    }

    package let scope: StoreScope
    private let transform: StoreTransform
    /// What of each object the API is asked for.
    var selection: FieldSelection { transform.selection }
    private let state = Mutex(State())
    private static let byNamespace = " namespace"

    /// - Parameter transform: what of an object is kept.
    package init(scope: StoreScope, transform: StoreTransform = .dropManagedFields) {
        self.scope = scope
        self.transform = transform
        addIndex(Self.byNamespace) { [$0.namespace] }
    }

    // MARK: Reads

    package func get(_ key: ObjectKey) -> KubeObject? { state.withLock { $0.objects[key] } }

    package func get(namespace: String = "", name: String) -> KubeObject? {
        get(ObjectKey(namespace: namespace, name: name))
    }

    /// All objects, or those of one namespace, by key.
    package func list(namespace: String? = nil) -> [KubeObject] {
        if let namespace { return list(index: Self.byNamespace, namespace) }
        return state.withLock { $0.objects }.sorted { $0.key < $1.key }.map(\.value)
    }

    /// The objects that an index lists under a value, by key. Without such an index there are none.
    package func list(index name: String, _ value: String) -> [KubeObject] {
        let found = state.withLock { state in
            (state.indexes[name]?.entries[value] ?? []).compactMap { key in state.objects[key].map { (key, $0) } }
        }
        return found.sorted { $0.0 < $1.0 }.map(\.1)
    }

    package var count: Int { state.withLock(\.objects.count) }

    /// Adds a named index, over what is there too. A second one of the same name replaces the first.
    package func addIndex(_ name: String, _ keys: @escaping IndexKeys) {
        state.withLock { state in
            var index = Index(keys: keys)
            for object in state.objects.values { index.insert(object) }
            if state.indexes.updateValue(index, forKey: name) == nil { state.indexNames.append(name) }
        }
    }

    /// True from the first complete list on.
    package var hasSynced: Bool { state.withLock(\.isSynced) }
    /// False while the API server does not know the resource, as when its CRD is not installed.
    package var isServed: Bool { state.withLock(\.isServed) }

    /// Returns once the store has synced.
    /// - Throws: `CancellationError`.
    package func waitUntilSynced() async throws {
        let id = state.withLock { $0.newID() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.isSynced { return .success(()) }
                    state.syncWaiters[id] = continuation
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            state.withLock { $0.syncWaiters.removeValue(forKey: id) }?.resume(throwing: CancellationError())
        }
    }

    // MARK: Changes

    /// Calls the handler for every change from now on, in order, on the reflector's task: it must only note something and
    /// return. Whoever has work to do takes `changes()` instead.
    ///
    /// - Parameter replaying: first calls it with every object that is there, as added, on this task. A change that comes
    ///   meanwhile may be told before an older state: handlers take it as a hint to look, as controllers do.
    /// - Returns: ends the calls when cancelled.
    package func observe(replaying: Bool = false, _ handler: @escaping Handler) -> StoreSubscription {
        let (id, objects) = state.withLock { state in
            let id = state.newID()
            state.observers[id] = handler
            return (id, replaying ? Array(state.objects.values) : [])
        }
        for object in objects { handler(.added(object)) }
        return StoreSubscription { [weak self] in _ = self?.state.withLock { $0.observers.removeValue(forKey: id) } }
    }

    /// All changes, as batches, for consumers that may take their time.
    ///
    /// - Parameters:
    ///   - replaying: begins with the objects that are there; no change is told before or lost.
    ///   - capacity: how many changes may wait for the consumer one by one; of more, each object's become one.
    package func changes(replaying: Bool = false, capacity: Int = 4096) -> StoreChanges {
        let (wakeUps, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (id, mailbox) = state.withLock { state in
            let id = state.newID()
            let mailbox = ChangeMailbox(
                replay: replaying ? Array(state.objects.values) : [], capacity: capacity, wake: wake)
            state.mailboxes[id] = mailbox
            return (id, mailbox)
        }
        wake.onTermination = { [weak self] _ in _ = self?.state.withLock { $0.mailboxes.removeValue(forKey: id) } }
        return StoreChanges(mailbox: mailbox, wakeUps: wakeUps)
    }

    /// How many consumers of `changes` there are.
    var consumerCount: Int { state.withLock(\.mailboxes.count) }

    /// Yields once at the start and after changes; changes that come faster than the consumer takes them are one.
    package func pulses() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            let id = state.newID()
            state.pulses[id] = continuation
            return id
        }
        continuation.onTermination = { [weak self] _ in _ = self?.state.withLock { $0.pulses.removeValue(forKey: id) } }
        continuation.yield()
        return stream
    }

    // MARK: For the reflector

    /// What of an object the store keeps.
    func trimmed(_ object: KubeObject) -> KubeObject { transform(object) }

    /// Takes a complete list at once: what is not in it was deleted while nobody watched, and is told so.
    package func replace(with list: [KubeObject]) { replace(withTrimmed: list.map(transform.callAsFunction)) }

    /// As `replace(with:)`, for objects that were trimmed as they came.
    func replace(withTrimmed kept: [KubeObject]) {
        commit { state in
            var changes: [StoreChange] = []
            let keys = Set(kept.map(\.key))
            for key in state.objects.keys where !keys.contains(key) {
                if let old = state.remove(key) { changes.append(.deleted(old)) }
            }
            for object in kept { changes += state.put(object) }
            state.isSynced = true
            state.isServed = true
            return changes
        }
    }

    package func apply(_ event: WatchEvent) {
        switch event.kind {
        case .bookmark: break
        case .added, .modified:
            let object = transform(event.object)
            commit { state in state.put(object) }
        case .deleted:
            // The last state tells more than what the cache had.
            let object = transform(event.object)
            commit { state in state.remove(object.key).map { _ in [.deleted(object)] } ?? [] }
        }
    }

    /// The resource is not served: there are no objects, and readers need not wait for any.
    package func markNotServed(countsAsSynced: Bool) {
        commit { state in
            state.isServed = false
            if countsAsSynced { state.isSynced = true }
            return state.objects.keys.compactMap { state.remove($0) }.map { .deleted($0) }
        }
    }

    private func commit(_ body: (inout State) -> [StoreChange]) {
        let told = state.withLock { state in
            let wasSynced = state.isSynced
            let changes = body(&state)
            var waiters: [CheckedContinuation<Void, any Error>] = []
            if state.isSynced {
                waiters = Array(state.syncWaiters.values)
                state.syncWaiters = [:]
            }
            // Under the lock, so that a consumer that comes meanwhile has each change once: as replayed or as told.
            if !changes.isEmpty { for mailbox in state.mailboxes.values { mailbox.put(changes) } }
            let pulses = changes.isEmpty && state.isSynced == wasSynced ? [] : Array(state.pulses.values)
            return (
                changes: changes, observers: state.observers.sorted { $0.key < $1.key }.map(\.value), pulses: pulses,
                waiters: waiters
            )
        }
        for waiter in told.waiters { waiter.resume() }
        for change in told.changes {
            for observer in told.observers { observer(change) }
        }
        for pulse in told.pulses { pulse.yield() }
    }
}

/// Ends a subscription to a store when cancelled.
package struct StoreSubscription: Sendable {
    let onCancel: @Sendable () -> Void
    package func cancel() { onCancel() }
}
