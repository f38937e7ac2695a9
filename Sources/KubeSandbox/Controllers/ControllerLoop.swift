import KubeCore
import Logging
import Synchronization

/// One controller: which changes concern which of its objects, and how an object is brought to what its spec says.
protocol Reconciler: Sendable {
    var name: String { get }
    var watches: [GroupVersionResource] { get }
    func keys(for change: ClusterCache.Change) -> [ObjectKey]
    /// Level-triggered: reads the present state and does what is missing.
    /// - Returns: when to look again without a change, if ever.
    func reconcile(_ key: ObjectKey) async throws -> Duration?
}

/// Feeds a reconciler, one key at a time; a failed key comes again after 50 ms, doubling up to 10 s.
struct ControllerLoop: Sendable {
    let reconciler: any Reconciler
    let cache: ClusterCache
    let logger: Logger

    func run() async {
        let queue = KeyQueue()
        let changes = cache.changes(of: reconciler.watches)
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await change in changes {
                    for key in reconciler.keys(for: change) { queue.add(key) }
                }
            }
            await cache.synced(reconciler.watches)
            var failures: [ObjectKey: Int] = [:]
            for await key in queue.keys {
                queue.take(key)
                var again: Duration?
                do {
                    again = try await reconciler.reconcile(key)
                    failures[key] = nil
                } catch {
                    let count = failures[key, default: 0]
                    failures[key] = count + 1
                    again = min(.milliseconds(50) * (1 << min(count, 10)), .seconds(10))
                    let isConflict = (error as? APIError)?.isConflict ?? false
                    logger.log(
                        level: count < 3 || isConflict ? .debug : .warning, "reconciling failed",
                        metadata: ["controller": "\(reconciler.name)", "object": "\(key)", "error": "\(error)"])
                }
                if let again, queue.schedule(key, at: .now + again) {
                    group.addTask {
                        try? await Task.sleep(for: again)
                        queue.due(key)
                    }
                }
            }
            group.cancelAll()
        }
    }
}

/// Keys to be looked at, each at most once in the queue.
private final class KeyQueue: Sendable {
    private struct State {
        var pending: Set<ObjectKey> = []
        var timers: [ObjectKey: ContinuousClock.Instant] = [:]
    }
    private let state = Mutex(State())
    let keys: AsyncStream<ObjectKey>
    private let continuation: AsyncStream<ObjectKey>.Continuation

    // Unbounded, but each key is in it only once.
    init() { (keys, continuation) = AsyncStream.makeStream() }

    func add(_ key: ObjectKey) {
        if state.withLock({ $0.pending.insert(key).inserted }) { continuation.yield(key) }
    }

    func take(_ key: ObjectKey) { _ = state.withLock { $0.pending.remove(key) } }

    /// Notes a timer; false when an earlier one of the key is on its way.
    func schedule(_ key: ObjectKey, at time: ContinuousClock.Instant) -> Bool {
        state.withLock { state in
            if let earlier = state.timers[key], earlier <= time { return false }
            state.timers[key] = time
            return true
        }
    }

    func due(_ key: ObjectKey) {
        state.withLock { $0.timers[key] = nil }
        add(key)
    }
}

extension ClusterCache.Change {
    /// The keys of the controllers of this kind that own the object, before and now.
    func ownerKeys(kind: String) -> [ObjectKey] {
        [old, new].compactMap { object in
            guard let object, let owner = object.controllerReference, owner.kind == kind else { return nil }
            return ObjectKey(namespace: object.namespace, name: owner.name)
        }
    }
}

extension JSONValue {
    /// The selector of a Deployment, ReplicaSet or PodDisruptionBudget; nil when it is missing or malformed.
    var selector: LabelSelector? { (self["selector"]).flatMap { try? $0.decode(LabelSelector.self) } }
}
