import KubeCore
import Synchronization

/// The objects of the cluster as last seen: one list and watch for each collection, for all controllers and the node.
///
/// Callers give back what a write returned (`observe`), so that they see their own writes at once and need no
/// expectations: an object never goes back to an older version, and a removed one does not return.
final class ClusterCache: Sendable {
    struct Change: Sendable {
        var resource: GroupVersionResource
        var old: KubeObject?
        var new: KubeObject?

        /// The newest sight of the object.
        var object: KubeObject? { new ?? old }
    }

    private struct State {
        var objects: [GroupVersionResource: [String: [String: KubeObject]]] = [:]
        var resources: Set<GroupVersionResource> = []
        var synced: [GroupVersionResource: Latch] = [:]
        var removed: Set<String> = []
        var subscribers:
            [Int: (resources: Set<GroupVersionResource>?, continuation: AsyncStream<Change>.Continuation)] = [:]
        var nextSubscriber = 0
    }

    private let api: any ClusterAPI
    private let state = Mutex(State())
    private let additions: AsyncStream<GroupVersionResource>
    private let additionsContinuation: AsyncStream<GroupVersionResource>.Continuation

    init(api: any ClusterAPI, resources: [GroupVersionResource]) {
        self.api = api
        // Unbounded: at most one entry for each kind in the cluster.
        (additions, additionsContinuation) = AsyncStream.makeStream()
        for resource in resources { ensure(resource) }
    }

    /// Starts to watch one more collection.
    func ensure(_ resource: GroupVersionResource) {
        let isNew = state.withLock { state in
            state.synced[resource] = state.synced[resource] ?? Latch()
            return state.resources.insert(resource).inserted
        }
        if isNew { additionsContinuation.yield(resource) }
    }

    var resources: Set<GroupVersionResource> { state.withLock(\.resources) }

    /// Waits until each collection was listed once.
    func synced(_ resources: [GroupVersionResource]) async {
        for resource in resources {
            await state.withLock { $0.synced[resource] }?.wait()
        }
    }

    func isSynced(_ resource: GroupVersionResource) -> Bool { state.withLock { $0.synced[resource] }?.isOpen ?? false }

    func get(_ resource: GroupVersionResource, namespace: String = "", name: String) -> KubeObject? {
        state.withLock { $0.objects[resource]?[namespace]?[name] }
    }

    /// Objects of a collection by name, of one namespace or (nil) of all.
    func list(_ resource: GroupVersionResource, namespace: String? = nil) -> [KubeObject] {
        let found = state.withLock { state -> [KubeObject] in
            guard let all = state.objects[resource] else { return [] }
            if let namespace { return all[namespace].map { Array($0.values) } ?? [] }
            return all.values.flatMap(\.values)
        }
        return found.sorted { $0.key < $1.key }
    }

    /// Changes of these collections (nil: of all) in order, beginning with what is there. Unbounded: a slow reader
    /// costs memory, a lost change would cost correctness.
    func changes(of resources: [GroupVersionResource]?) -> AsyncStream<Change> {
        let (stream, continuation) = AsyncStream.makeStream(of: Change.self)
        let wanted = resources.map(Set.init)
        let id = state.withLock { state in
            for (resource, namespaces) in state.objects where wanted?.contains(resource) ?? true {
                for object in namespaces.values.flatMap(\.values) {
                    continuation.yield(Change(resource: resource, old: nil, new: object))
                }
            }
            state.nextSubscriber += 1
            state.subscribers[state.nextSubscriber] = (wanted, continuation)
            return state.nextSubscriber
        }
        continuation.onTermination = { [weak self] _ in
            // Not from under the lock: `finish` and cancellation run this where they are called.
            _ = self?.state.withLock { $0.subscribers.removeValue(forKey: id) }
        }
        return stream
    }

    /// Takes in an object that a write returned or a watch told.
    func observe(_ resource: GroupVersionResource, _ object: KubeObject) {
        state.withLock { state in
            guard !state.removed.contains(object.uid), !object.uid.isEmpty else { return }
            let old = state.objects[resource]?[object.namespace]?[object.name]
            if let old, Self.version(old) >= Self.version(object) { return }
            state.objects[resource, default: [:]][object.namespace, default: [:]][object.name] = object
            Self.tell(&state, Change(resource: resource, old: old, new: object))
        }
    }

    func remove(_ resource: GroupVersionResource, _ object: KubeObject) {
        state.withLock { Self.remove(&$0, resource, object) }
    }

    private static func remove(_ state: inout State, _ resource: GroupVersionResource, _ object: KubeObject) {
        // Forgetting all at times is safe: the set only guards against writes that are in flight now.
        if state.removed.count > 20_000 { state.removed = [] }
        state.removed.insert(object.uid)
        guard let old = state.objects[resource]?[object.namespace]?[object.name], old.uid == object.uid else { return }
        state.objects[resource]?[object.namespace]?[object.name] = nil
        tell(&state, Change(resource: resource, old: object, new: nil))
    }

    private static func tell(_ state: inout State, _ change: Change) {
        for subscriber in state.subscribers.values where subscriber.resources?.contains(change.resource) ?? true {
            subscriber.continuation.yield(change)
        }
    }

    private static func version(_ object: KubeObject) -> Int { Int(object.resourceVersion) ?? 0 }

    /// Lists and watches until cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await resource in additions {
                group.addTask { await self.follow(resource) }
            }
        }
    }

    private func follow(_ resource: GroupVersionResource) async {
        while !Task.isCancelled {
            do {
                let list = try await api.list(resource)
                replace(resource, with: list.items)
                state.withLock { $0.synced[resource] }?.open()
                let watch = APIRequest(.watch, resource, query: ["resourceVersion": list.resourceVersion])
                for try await event in try await api.watch(watch) {
                    switch event.kind {
                    case .added, .modified: observe(resource, event.object)
                    case .deleted: remove(resource, event.object)
                    case .bookmark: break
                    }
                }
            } catch {
                // Whatever it was, the next list tells the truth again.
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private func replace(_ resource: GroupVersionResource, with items: [KubeObject]) {
        let present = Set(items.map(\.uid))
        state.withLock { state in
            for old in state.objects[resource]?.values.flatMap(\.values) ?? [] where !present.contains(old.uid) {
                Self.remove(&state, resource, old)
            }
        }
        for item in items { observe(resource, item) }
    }
}
