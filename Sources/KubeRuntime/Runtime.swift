package import KubeCore
package import Logging
import ServiceLifecycle
import Synchronization

/// Holds a process' stores and controllers: one watch for each scope, shared by all; controllers only where they lead.
///
/// Stores may be asked for before and during `run()`. Stores run on every replica; controllers and leader work run while
/// this replica leads, or always when there is no leader election.
package final class Runtime: Service {
    package let api: any ClusterAPI
    package let clock: AnyClock
    private let streaming = StreamingSupport()
    private let logger: Logger
    private let leadership: LeaderElection?
    private let transforms: [GroupVersionResource: StoreTransform]
    private let stores = Mutex<[StoreScope: Store]>([:])
    private let leaderWork = Mutex<[LeaderWork]>([])
    private let reflectors: AsyncStream<Reflector>
    private let reflectorMailbox: AsyncStream<Reflector>.Continuation

    private struct LeaderWork: Sendable {
        var name: String
        var run: @Sendable () async throws -> Void
    }

    /// - Parameter transforms: what stores keep of the objects of a kind; others lose `managedFields` only.
    package init(
        api: any ClusterAPI, logger: Logger, clock: AnyClock = .continuous, leadership: LeaderElection? = nil,
        transforms: [GroupVersionResource: StoreTransform] = [:]
    ) {
        self.api = api
        self.clock = clock
        self.logger = logger
        self.leadership = leadership
        self.transforms = transforms
        // As many as there are scopes: bounded by the code that asks for stores.
        (reflectors, reflectorMailbox) = AsyncStream.makeStream(bufferingPolicy: .unbounded)
    }

    /// The API for controllers and leader work: it refuses writes at any moment when this replica does not lead for certain.
    package var leaderAPI: any ClusterAPI { leadership.map { FencedAPI(api, leadership: $0) } ?? api }

    /// The store of a scope; the first caller makes it, and decides what it does while the resource is not served and what
    /// it keeps of each object.
    package func store(
        for resource: GroupVersionResource, namespace: String? = nil, labels: LabelSelector? = nil,
        fields: String? = nil, whenNotServed: Reflector.WhenNotServed = .wait, keeping: FieldSelection? = nil
    ) -> Store {
        let scope = StoreScope(resource, namespace: namespace, labels: labels, fields: fields)
        return stores.withLock { stores in
            if let store = stores[scope] { return store }
            let kept = keeping.map(StoreTransform.keeping) ?? transforms[resource] ?? .dropManagedFields
            let store = Store(scope: scope, transform: kept)
            stores[scope] = store
            reflectorMailbox.yield(
                Reflector(
                    api: api, store: store, whenNotServed: whenNotServed, streaming: streaming, clock: clock,
                    logger: logger))
            return store
        }
    }

    /// Adds a controller; before `run()`.
    package func add(_ controller: Controller) { addLeaderWork(controller.name) { try await controller.run() } }

    /// Adds work that only the leader does, run anew each time this replica comes to lead; before `run()`.
    package func addLeaderWork(_ name: String, _ run: @escaping @Sendable () async throws -> Void) {
        leaderWork.withLock { $0.append(LeaderWork(name: name, run: run)) }
    }

    /// True when every store that was asked for has synced: fit to serve.
    package var isReady: Bool { stores.withLock { $0.values.allSatisfy(\.hasSynced) } }
    /// True when this replica runs the controllers.
    package var isLeading: Bool { leadership?.isLeading ?? true }
    /// The stores that readers still wait for.
    package var unsyncedStores: [String] {
        stores.withLock { $0.values.filter { !$0.hasSynced }.map { "\($0.scope)" }.sorted() }
    }

    /// Runs until cancelled or shut down. On graceful shutdown controllers end what they have in hand, the lead is handed
    /// over, and the watches close last.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.lead() }
            group.addTask {
                await withDiscardingTaskGroup { watches in
                    for await reflector in self.reflectors { watches.addTask { await reflector.keepInSync() } }
                    // The iteration ends by cancellation only.
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Returns at graceful shutdown.
    private func lead() async throws {
        let work = leaderWork.withLock { $0 }
        guard let leadership else { return try await Self.run(work) }
        while !Task.isCancelled, !Task.isShuttingDownGracefully {
            do {
                return try await leadership.withLeadership { try await Self.run(work) }
            } catch is LeadershipLost {
                logger.warning("controllers stopped with the lead; waiting for it again")
            } catch is CancellationError {
                return
            }
        }
    }

    private static func run(_ work: [LeaderWork]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for item in work { group.addTask { try await item.run() } }
            group.addTask { try await gracefulShutdown() }
            try await group.waitForAll()
        }
    }
}
