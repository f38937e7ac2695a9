import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeTesting
import MeshModel
import Synchronization

@testable import HeddleControllers
@testable import KubeRuntime

/// One life of the operator: the real reconcilers with caches and memory of their own, driven key by key on a clock that the
/// test moves, so that every run of a test is the same run.
final class OperatorProcess {
    struct Key: Hashable, Comparable {
        var controller: Int
        var object: ObjectKey
        static func < (a: Key, b: Key) -> Bool { (a.controller, a.object) < (b.controller, b.object) }
    }

    private struct Driven {
        var sources: [Controller.Source]
        var reconciler: any Reconciler
    }

    let api: MortalAPI
    private let journal: EventJournal
    private let staleness: Staleness
    private let startedAt: Date
    private let caches: [Store]
    private var cursors: [Int] = []
    private var controllers: [Driven] = []
    private let wakeUps = WakeUps()
    private var timers: [Key: Date] = [:]
    private var failures: [Key: Int] = [:]
    private(set) var looks = 0
    /// The last failure that was no conflict and no fault of the test's.
    private(set) var lastError: String?

    init(
        _ api: MortalAPI, journal: EventJournal, staleness: Staleness, prometheus: FakePrometheus,
        certificates: Bool, now: @escaping @Sendable () -> Date
    ) {
        self.api = api
        self.journal = journal
        self.staleness = staleness
        startedAt = now()
        let runtime = Runtime(api: api, logger: quiet)
        let stores = ClusterStores(runtime: runtime)
        caches = [
            stores.canaries, stores.adoptions, stores.servicePolicies, stores.deployments, stores.replicaSets,
            stores.pods,
            stores.services, stores.virtualServices, stores.destinationRules, stores.peerAuthentications,
        ]
        let routes = RouteWriter(api: api, stores: stores)
        let events = EventRecorder(api: api, component: "test", instance: "test", logger: quiet)
        var proxies = ProxyView(
            isSynced: { true },
            syncedPods: {
                Set(stores.pods.list().filter { $0.labels[HeddleLabel.injected] == "true" }.map(\.key))
            }, rejection: { _ in nil }, problems: { _ in [] }, counts: { (0, 0) })
        proxies.certificateNotAfter = { _ in now().addingTimeInterval(86_400) }
        controllers = [
            Driven(
                sources: CanaryReconciler.sources(stores),
                reconciler: CanaryReconciler(
                    api: api, stores: stores, routes: routes, evidence: EvidenceCollector(), proxies: proxies,
                    events: events, prometheus: { prometheus }, now: now)),
            Driven(
                sources: ServicePolicyReconciler.sources(stores),
                reconciler: ServicePolicyReconciler(
                    api: api, stores: stores, routes: routes, proxies: proxies, now: now)),
            Driven(
                sources: AdoptionReconciler.sources(stores),
                reconciler: AdoptionReconciler(
                    api: api, stores: stores, observer: AdoptionObserver(), proxies: proxies, events: events,
                    prometheus: { prometheus }, now: now)),
        ]
        for (kind, cache) in caches.enumerated() {
            let count = journal.entries[kind].count
            let held = staleness.holds(EventJournal.kinds[kind]) ? min(staleness.events, count) : 0
            cache.replace(with: journal.state(kind, after: count - held))
            cursors.append(count - held)
        }
        for (index, controller) in controllers.enumerated() {
            for source in controller.sources {
                let keys = source.keys
                let wake: @Sendable (KubeObject) -> Void = { [wakeUps] object in
                    for key in keys(object) { wakeUps.add(Key(controller: index, object: key)) }
                }
                // As a controller does at its start.
                for object in source.store.list() { wake(object) }
                _ = source.store.observe(replaying: false) { change in change.objects.forEach(wake) }
            }
        }
    }

    // MARK: Events

    /// Brings the caches as far as they may be at this time.
    func deliver(at now: Date) {
        for (kind, cache) in caches.enumerated() {
            let entries = journal.entries[kind]
            while cursors[kind] < entries.count, isVisible(kind, cursors[kind], at: now) {
                let entry = entries[cursors[kind]]
                cache.apply(entry.event)
                if staleness.isRepeating { again(kind, cursors[kind], cache) }
                cursors[kind] += 1
            }
        }
    }

    private func isVisible(_ kind: Int, _ index: Int, at now: Date) -> Bool {
        guard staleness.holds(EventJournal.kinds[kind]) else { return true }
        let entries = journal.entries[kind]
        return index < entries.count - staleness.events
            || now.timeIntervalSince(max(entries[index].at, startedAt)) >= staleness.seconds
    }

    /// The state before once more, then the event once more.
    private func again(_ kind: Int, _ index: Int, _ cache: Store) {
        let entry = journal.entries[kind][index]
        let before = journal.entries[kind][..<index].last { $0.event.object.key == entry.event.object.key }
        if let before { cache.apply(before.event) }
        cache.apply(entry.event)
    }

    // MARK: Work

    /// Looks at every key whose time has come, once; true when there was one.
    func work(at now: Date) async -> Bool {
        for (key, due) in timers where due <= now {
            timers[key] = nil
            wakeUps.add(key)
        }
        let keys = wakeUps.take().sorted()
        for key in keys {
            if api.isDead { return true }
            looks += 1
            timers[key] = nil
            do {
                switch try await controllers[key.controller].reconciler.reconcile(key.object) {
                case .done: break
                case .requeue(let delay): timers[key] = now.addingTimeInterval(delay / .seconds(1))
                }
                failures[key] = nil
            } catch {
                failures[key, default: 0] += 1
                timers[key] = now.addingTimeInterval(min(10, 0.2 * Double(1 << min(10, failures[key] ?? 0))))
                if (error as? APIError)?.isConflict != true, !(error is CacheBehind) { lastError = "\(error)" }
            }
        }
        return !keys.isEmpty
    }
}

/// Keys that wait; stores call in from wherever they are written.
private final class WakeUps: Sendable {
    private let keys = Mutex<Set<OperatorProcess.Key>>([])
    func add(_ key: OperatorProcess.Key) { keys.withLock { _ = $0.insert(key) } }
    func take() -> Set<OperatorProcess.Key> {
        keys.withLock { keys in
            defer { keys = [] }
            return keys
        }
    }
}
