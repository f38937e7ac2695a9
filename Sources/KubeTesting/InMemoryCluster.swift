package import FoundationEssentials
package import KubeCore
import Synchronization

/// A cluster's API in memory, for tests of whatever speaks `ClusterAPI`.
///
/// Right as far as controllers can see: resource versions, conflicts, generations, finalizers, owner garbage collection,
/// lists in pages whose tokens expire, watches with resume, expiry, bookmarks and streamed initial events, label and field selectors, the `status` and `scale` subresources, merge, JSON and
/// server-side-apply patches with field ownership. It has no admission, no defaults and no schema; every kind has a
/// status subresource. Writes that change nothing keep the resource version, as in a real cluster.
package final class InMemoryCluster: ClusterAPI {
    /// What a test's rule does with a request.
    package enum Fault: Sendable {
        /// The request fails and nothing is done.
        case refuse(APIError)
        /// The request is done, but the caller sees this error: a crash or a lost connection after the write.
        case loseAnswer(APIError)
        /// The request waits for the closure first.
        case hold(@Sendable () async -> Void)
    }

    /// One write that reached the cluster.
    package struct Write: Sendable {
        package var request: APIRequest
        /// False when the object was already as asked.
        package var changed: Bool
    }

    /// What the cluster does with a watch that asks for the objects that are there (`sendInitialEvents`).
    package enum StreamingLists: Sendable {
        /// As Kubernetes 1.32 and newer.
        case served
        /// As Kubernetes from 1.19 on without the feature: 422.
        case refused
        /// As a server that does not look at the parameters: the objects come, and no end of them is told.
        case ignored
    }

    /// Decides on a fault; the number counts writes from 1, and is 0 for reads and watches.
    package typealias FaultRule = @Sendable (_ request: APIRequest, _ writeNumber: Int) -> Fault?

    struct State {
        var objects: [CollectionKey: [ObjectKey: StoredObject]] = [:]
        var version = 1
        var nextUID = 1
        var now: Date
        /// Changes since `horizon`, oldest first, for watches that resume.
        var changes: [Change] = []
        var horizon = 0
        var watchers: [Int: Watcher] = [:]
        var nextWatcher = 0
        var writeNumber = 0
        var requests: [APIRequest] = []
        var writes: [Write] = []
        var faultRule: FaultRule?
        var servedResources: Set<CollectionKey>?
        var streamingLists = StreamingLists.served
        /// What the next pages of paged lists have, by continue token.
        var pages: [String: ListPages] = [:]
        var nextPage = 1
    }

    struct CollectionKey: Hashable {
        var group: String
        var resource: String
        init(_ resource: GroupVersionResource) {
            group = resource.group
            self.resource = resource.resource
        }
    }

    let state: Mutex<State>

    /// - Parameter now: the cluster's clock at the start; `advanceClock(by:)` moves it.
    package init(now: Date = Date(timeIntervalSince1970: 1_800_000_000)) { state = Mutex(State(now: now)) }

    // MARK: For tests

    /// Puts an object in as it is, status and all, past every rule; its watchers hear of it.
    @discardableResult
    package func seed(_ resource: GroupVersionResource, _ object: KubeObject) -> KubeObject {
        state.withLock { state in
            var object = object
            if object.json["kind"] == nil { object.json["kind"] = .string(resource.kind) }
            if object.json["apiVersion"] == nil { object.json["apiVersion"] = .string(resource.apiVersion) }
            let old = state.objects[CollectionKey(resource)]?[object.key]
            if let old { object.json[path: "metadata", "uid"] = .string(old.object.uid) }
            state.complete(&object)
            return state.store(resource, StoredObject(object: object, owners: old?.owners ?? [:]), replacing: old)
        }
    }

    /// The object as it is now.
    package func object(_ resource: GroupVersionResource, namespace: String = "", name: String) -> KubeObject? {
        state.withLock { $0.objects[CollectionKey(resource)]?[ObjectKey(namespace: namespace, name: name)]?.object }
    }

    /// All objects of a kind, by key.
    package func objects(_ resource: GroupVersionResource) -> [KubeObject] {
        state.withLock { $0.sorted(CollectionKey(resource)).map(\.object) }
    }

    /// Takes an object out at once, finalizers or not.
    package func remove(_ resource: GroupVersionResource, namespace: String = "", name: String) {
        state.withLock { state in
            guard let old = state.objects[CollectionKey(resource)]?[ObjectKey(namespace: namespace, name: name)] else {
                return
            }
            state.remove(resource, old)
        }
    }

    /// All requests so far, reads and watches too.
    package var requests: [APIRequest] { state.withLock { $0.requests } }
    /// All writes so far that were let through.
    package var writes: [Write] { state.withLock { $0.writes } }
    package func clearLog() {
        state.withLock {
            $0.requests = []
            $0.writes = []
            $0.writeNumber = 0
        }
    }

    /// Installs the fault rule; nil takes it away.
    package func injectFaults(_ rule: FaultRule?) { state.withLock { $0.faultRule = rule } }

    /// Only these kinds are served; others answer 404 as a cluster without the CRD does. Nil: all.
    package func serveOnly(_ resources: [GroupVersionResource]?) {
        state.withLock { $0.servedResources = resources.map { Set($0.map(CollectionKey.init)) } }
    }

    package func setStreamingLists(_ mode: StreamingLists) { state.withLock { $0.streamingLists = mode } }

    /// Forgets the state that paged lists go on from, as a server does after some minutes: the next page is refused with
    /// 410 and a token for the rest as it is now.
    package func expireContinueTokens() {
        state.withLock { state in
            for token in state.pages.keys { state.pages[token]?.isExpired = true }
        }
    }

    package var watchCount: Int { state.withLock { $0.watchers.count } }

    /// Ends all watches as a server does at its timeout.
    package func closeWatches() { endWatches(with: nil) }

    /// Ends all watches with 410 and forgets the past, so that resuming from any older version fails with 410 too.
    package func expireWatches() {
        state.withLock { state in
            state.version += 1
            state.horizon = state.version
            state.changes = []
        }
        endWatches(with: APIError(code: 410, reason: "Expired", message: "too old resource version"))
    }

    /// Ends all watches with an error.
    package func endWatches(with error: APIError?) {
        let ended = state.withLock { state in
            defer { state.watchers = [:] }
            return state.watchers.values.map(\.continuation)
        }
        for continuation in ended { continuation.finish(throwing: error) }
    }

    /// Sends a bookmark with the current version to the watches that asked for them.
    package func sendBookmarks() {
        state.withLock { state in
            for watcher in state.watchers.values where watcher.wantsBookmarks {
                watcher.continuation.yield(state.bookmark(of: watcher.resource))
            }
        }
    }

    /// Moves the clock that stamps creations and deletions.
    package func advanceClock(by seconds: Double) { state.withLock { $0.now.addTimeInterval(seconds) } }

    // MARK: ClusterAPI

    package func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        let (fault, served) = state.withLock { $0.admit(request) }
        guard served else {
            throw APIError(code: 404, reason: "NotFound", message: "the server could not find \(request.resource)")
        }
        var lost: APIError?
        switch fault {
        case .refuse(let error): throw error
        case .loseAnswer(let error): lost = error
        case .hold(let wait): await wait()
        case nil: break
        }
        if Task.isCancelled { throw APIError(code: 0, reason: "Cancelled", message: "the request was cancelled") }
        let result = state.withLock { state in Result { () throws(APIError) in try state.perform(request) } }
        if let lost { throw lost }
        return try result.get()
    }

    package func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        let (fault, served) = state.withLock { $0.admit(request) }
        guard served else {
            throw APIError(code: 404, reason: "NotFound", message: "the server could not find \(request.resource)")
        }
        switch fault {
        case .refuse(let error), .loseAnswer(let error): throw error
        case .hold(let wait): await wait()
        case nil: break
        }
        let (stream, continuation) = AsyncThrowingStream<WatchEvent, any Error>.makeStream()
        let opened = state.withLock { state in
            Result { () throws(APIError) in try state.openWatch(request, continuation) }
        }
        let id = try opened.get()
        continuation.onTermination = { [weak self] _ in
            _ = self?.state.withLock { $0.watchers.removeValue(forKey: id) }
        }
        return stream
    }
}
