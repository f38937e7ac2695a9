package import KubeCore
package import Logging
import Metrics
import ServiceLifecycle
import Synchronization

/// Brings one object's surroundings to what it asks for; called again whenever something may have changed.
package protocol Reconciler: Sendable {
    /// Level-triggered: it reads what is, not what happened, and writes nothing when all is well. The object may be gone.
    /// - Throws: whatever stood in the way; the key comes back after a growing delay.
    func reconcile(_ key: ObjectKey) async throws -> ReconcileResult
}

package enum ReconcileResult: Sendable, Hashable {
    /// Nothing to do until something changes.
    case done
    /// Look again after this time at the latest.
    case requeue(after: Duration)
}

/// Feeds one reconciler with the keys of one kind, from changes in stores.
///
/// One key is never reconciled twice at a time; different keys are, up to `concurrency`. After a restart of `run()` every
/// object of the primary store is looked at again, behind those to which something happens. At rest nothing runs and
/// nothing is sent, however many objects there are.
///
/// Changes wait for the controller in `StoreChanges`: a mapping to keys may take its time without holding up the cache.
package final class Controller: Service {
    /// A store to watch and how its objects lead to keys.
    package struct Source: Sendable {
        let store: Store
        let keys: @Sendable (KubeObject) -> [ObjectKey]
        let isPrimary: Bool

        private init(store: Store, isPrimary: Bool = false, keys: @escaping @Sendable (KubeObject) -> [ObjectKey]) {
            self.store = store
            self.keys = keys
            self.isPrimary = isPrimary
        }

        /// The store of the kind that is reconciled.
        package static func primary(_ store: Store) -> Source {
            Source(store: store, isPrimary: true) { [$0.key] }
        }

        /// Other objects that a reconciliation reads: `keys` names whom a change concerns.
        package static func watching(_ store: Store, _ keys: @escaping @Sendable (KubeObject) -> [ObjectKey]) -> Source
        {
            Source(store: store, keys: keys)
        }

        /// Objects whose controlling owner is of this kind: the owner is reconciled.
        package static func owned(_ store: Store, by owner: GroupVersionResource) -> Source {
            Source(store: store) { object in
                guard let reference = object.controllerReference, reference.kind == owner.kind,
                    reference.apiVersion.split(separator: "/").dropLast().joined() == owner.group
                else { return [] }
                return [ObjectKey(namespace: owner.isNamespaced ? object.namespace : "", name: reference.name)]
            }
        }
    }

    package let name: String
    private let sources: [Source]
    private let concurrency: Int
    private let reconciler: any Reconciler
    private let backoff: Backoff
    private let resyncPeriod: Duration?
    private let random: @Sendable () -> Double
    private let clock: AnyClock
    private let metrics: ControllerMetrics
    private let logger: Logger
    private let queue = Mutex<WorkQueue<ObjectKey>?>(nil)
    /// The last failure of each key that fails, so that the same one is logged once.
    private let failures = Mutex<[ObjectKey: String]>([:])

    /// - Parameter resyncPeriod: how often each object of the primary store is looked at though nothing changed, for what
    ///   no store tells (the passing of time, systems outside of the cluster). It reads the cache, never the API. Nil:
    ///   never.
    package init(
        name: String, sources: [Source], concurrency: Int = 2, backoff: Backoff = .reconcile,
        resyncPeriod: Duration? = nil, clock: AnyClock = .continuous, metrics: ControllerMetrics? = nil,
        logger: Logger, reconciler: any Reconciler,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.name = name
        self.sources = sources
        self.concurrency = max(1, concurrency)
        self.backoff = backoff
        self.resyncPeriod = resyncPeriod
        self.random = random
        self.clock = clock
        self.metrics = metrics ?? ControllerMetrics(controller: name)
        self.reconciler = reconciler
        var logger = logger
        logger[metadataKey: "controller"] = "\(name)"
        self.logger = logger
    }

    /// Asks for a look at a key for a reason that is in no store. Before and after `run()` it does nothing.
    package func enqueue(_ key: ObjectKey) { queue.withLock { $0 }?.add(key) }

    /// Waits for the stores, then works until cancelled or shut down; on graceful shutdown reconciliations that are under
    /// way end as they would.
    package func run() async throws {
        try await cancelWhenGracefulShutdown { [sources] in
            for source in sources { try await source.store.waitUntilSynced() }
        }
        let queue = WorkQueue<ObjectKey>(clock: clock, backoff: backoff, metrics: metrics, random: random)
        self.queue.withLock { $0 = queue }
        failures.withLock { $0 = [:] }
        defer { self.queue.withLock { $0 = nil } }
        logger.info("controller started")
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { feeding in
                feeding.addTask { await queue.run() }
                for source in sources { feeding.addTask { await self.feed(queue, from: source) } }
                if let resyncPeriod { feeding.addTask { await self.resync(queue, each: resyncPeriod) } }
                await withTaskGroup(of: Void.self) { workers in
                    for _ in 0..<concurrency { workers.addTask { await self.work(queue) } }
                }
                feeding.cancelAll()
            }
        } onGracefulShutdown: {
            queue.shutDown()
        }
        logger.info("controller stopped")
    }

    private func feed(_ queue: WorkQueue<ObjectKey>, from source: Source) async {
        for await batch in source.store.changes(replaying: true) {
            queue.add(
                contentsOf: batch.changes.flatMap { $0.objects.flatMap(source.keys) }, inBackground: batch.isReplay)
            // Whoever was concerned only by a state that was left out is among all.
            if !batch.isComplete, !source.isPrimary { queue.add(contentsOf: primaryKeys, inBackground: true) }
        }
    }

    private func resync(_ queue: WorkQueue<ObjectKey>, each period: Duration) async {
        while !Task.isCancelled {
            try? await clock.sleep(for: period)
            if Task.isCancelled { return }
            // Spread over a tenth of the period; what has its own, earlier time keeps it.
            for key in primaryKeys { queue.add(key, after: period * (0.1 * random())) }
        }
    }

    private var primaryKeys: [ObjectKey] {
        sources.filter(\.isPrimary).flatMap { $0.store.list().map(\.key) }
    }

    private func work(_ queue: WorkQueue<ObjectKey>) async {
        while let key = await queue.next() {
            let start = clock.now
            var result = "done"
            do {
                switch try await reconciler.reconcile(key) {
                case .done: break
                case .requeue(let delay):
                    result = "requeue"
                    queue.add(key, after: delay)
                }
                queue.forget(key)
                if failures.withLock({ $0.removeValue(forKey: key) }) != nil {
                    logger.info("reconciled again after failures", metadata: ["object": "\(key)"])
                }
            } catch {
                result = "error"
                if !Task.isCancelled { report(error, of: key, retryIn: queue.retry(key)) }
            }
            metrics.reconciled(result, took: start.duration(to: clock.now))
            queue.done(key)
        }
    }

    private func report(_ error: any Error, of key: ObjectKey, retryIn delay: Duration) {
        let message = "\(error)"
        let isNew = failures.withLock { $0.updateValue(message, forKey: key) != message }
        // A conflict only says that the cache was behind.
        let level: Logger.Level = !isNew || (error as? APIError)?.isConflict == true ? .debug : .error
        logger.log(
            level: level, "reconciliation failed",
            metadata: ["object": "\(key)", "error": "\(message)", "retryIn": "\(delay)"])
    }
}
