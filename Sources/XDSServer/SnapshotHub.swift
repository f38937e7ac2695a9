package import FoundationEssentials
import Synchronization

/// Where configuration meets proxies: wakes every stream when something has changed, and knows what each has taken.
///
/// All methods may be called from any task, take a lock for a moment only, and never wait.
package final class SnapshotHub: Sendable {
    /// Called on a proxy's task when it has refused a resource.
    package typealias RejectionHandler = @Sendable (ProxyIdentity, Rejection) -> Void

    private struct Stream {
        let mailbox: StreamMailbox
        var status: ProxyStatus
        var nextWakeUp: ContinuousClock.Instant?
    }

    private struct State {
        var generation: UInt64 = 1
        var revision: UInt64 = 0
        var nextID: UInt64 = 0
        var streams: [UInt64: Stream] = [:]
        var isClosed = false
    }

    private let source: any ProxyConfigurationSource
    private let onRejection: RejectionHandler
    private let now: @Sendable () -> Date
    private let state = Mutex(State())

    package init(
        source: any ProxyConfigurationSource, onRejection: @escaping RejectionHandler = { _, _ in },
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.source = source
        self.now = now
        self.onRejection = onRejection
    }

    /// Says that the source's answers may have changed. Every stream computes its own anew; calls that come faster than
    /// a proxy takes them are merged.
    ///
    /// - Returns: The generation that holds the change, for `isSynced(generation:where:)`.
    @discardableResult
    package func changed() -> UInt64 {
        let (generation, mailboxes) = state.withLock { state in
            state.generation += 1
            return (state.generation, state.streams.values.map(\.mailbox))
        }
        for mailbox in mailboxes { mailbox.notifyChanged() }
        return generation
    }

    /// The generation of the last change.
    package var generation: UInt64 { state.withLock { $0.generation } }

    /// Grows with everything that `proxies()` tells: connections, and what proxies have taken or refused. Cheap to poll.
    package var revision: UInt64 { state.withLock { $0.revision } }

    /// Every connected proxy, by namespace and name.
    package func proxies() -> [ProxyStatus] {
        state.withLock { $0.streams.values.map(\.status) }.sorted {
            ($0.proxy.namespace, $0.proxy.podName, $0.proxy.nodeID) < (
                $1.proxy.namespace, $1.proxy.podName, $1.proxy.nodeID
            )
        }
    }

    /// Whether every connected proxy that matches has taken everything of a generation or a later one. A proxy that
    /// refuses something is not in sync. Without any match the answer is yes: count `proxies()` to tell.
    ///
    /// - Parameter generation: nil for the last one.
    package func isSynced(generation: UInt64? = nil, where matches: (ProxyIdentity) -> Bool = { _ in true }) -> Bool {
        let (wanted, statuses) = state.withLock { state in
            (generation ?? state.generation, state.streams.values.map(\.status))
        }
        return statuses.allSatisfy { status in
            !matches(status.proxy) || (status.isSynced && status.generation >= wanted)
        }
    }

    /// `proxies()` as JSON, for people.
    package func debugJSON() -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(["proxies": proxies()]) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }

    // MARK: For streams

    /// Registers a stream. A hub that is closed gives nil.
    func connect(_ proxy: ProxyIdentity, mailbox: StreamMailbox) -> UInt64? {
        state.withLock { state in
            guard !state.isClosed else { return nil }
            state.nextID += 1
            state.revision += 1
            state.streams[state.nextID] = Stream(
                mailbox: mailbox, status: ProxyStatus(proxy: proxy, connectedSince: now()))
            return state.nextID
        }
    }

    func disconnect(_ id: UInt64) {
        state.withLock { state in
            state.streams[id] = nil
            state.revision += 1
        }
    }

    /// What a proxy should have now, and of which generation that is at least.
    func resources(for proxy: ProxyIdentity, requested: Set<String>) -> (ResourceSet, generation: UInt64) {
        // Read before the source is asked: a change between the two is in the answer, or wakes the stream again.
        let generation = self.generation
        return (source.resources(for: proxy, requested: requested), generation)
    }

    func report(_ id: UInt64, stream: DiscoveryStream, generation: UInt64) {
        let status = stream.status
        let isSynced = stream.isSynced
        let wakeUp = stream.nextWakeUp
        state.withLock { state in
            guard var entry = state.streams[id] else { return }
            let old = entry.status
            entry.status.types = status
            entry.status.isSynced = isSynced
            entry.status.generation = generation
            entry.nextWakeUp = wakeUp
            state.streams[id] = entry
            if entry.status != old { state.revision += 1 }
        }
    }

    func rejected(by proxy: ProxyIdentity, _ rejection: Rejection) {
        onRejection(proxy, rejection)
    }

    /// Wakes the streams that asked for a time that has come.
    func tick(at now: ContinuousClock.Instant) {
        let mailboxes = state.withLock { state in
            state.streams.values.filter { $0.nextWakeUp.map { $0 <= now } ?? false }.map(\.mailbox)
        }
        for mailbox in mailboxes { mailbox.notifyTick() }
    }

    /// Ends all streams, and takes no new ones, so that proxies go to another replica.
    func close() {
        let mailboxes = state.withLock { state in
            state.isClosed = true
            return state.streams.values.map(\.mailbox)
        }
        for mailbox in mailboxes { mailbox.close() }
    }
}
