import KubeCore
package import Metrics

/// A controller's metrics, all with the label `controller`: as many series as there are controllers in the code.
///
/// - `heddle_workqueue_depth`: keys that wait for a worker.
/// - `heddle_workqueue_delayed`: keys that wait for their time.
/// - `heddle_workqueue_adds_total`: keys put in.
/// - `heddle_workqueue_wait_seconds`: how long a key waited from the time it was due.
/// - `heddle_workqueue_retries_total`: keys put back after a failure.
/// - `heddle_reconcile_active`: reconciliations under way; one that hangs keeps it up.
/// - `heddle_reconcile_duration_seconds`: how long one reconciliation took.
/// - `heddle_reconcile_total`, also by `result` (`done`, `requeue`, `error`).
package struct ControllerMetrics: Sendable {
    private let depth: Gauge
    private let delayed: Gauge
    private let active: Gauge
    private let adds: Counter
    private let wait: Recorder
    private let retries: Counter
    private let duration: Recorder
    private let results: [String: Counter]

    package init(controller: String, factory: any MetricsFactory = MetricsSystem.factory) {
        let labels = [("controller", controller)]
        depth = Gauge(label: "heddle_workqueue_depth", dimensions: labels, factory: factory)
        delayed = Gauge(label: "heddle_workqueue_delayed", dimensions: labels, factory: factory)
        active = Gauge(label: "heddle_reconcile_active", dimensions: labels, factory: factory)
        adds = Counter(label: "heddle_workqueue_adds_total", dimensions: labels, factory: factory)
        wait = Recorder(label: "heddle_workqueue_wait_seconds", dimensions: labels, aggregate: true, factory: factory)
        retries = Counter(label: "heddle_workqueue_retries_total", dimensions: labels, factory: factory)
        duration = Recorder(
            label: "heddle_reconcile_duration_seconds", dimensions: labels, aggregate: true, factory: factory)
        results = counters("heddle_reconcile_total", labels, "result", ["done", "requeue", "error"], factory)
    }

    func queue(ready: Int, delayed: Int, inWork: Int) {
        depth.record(ready)
        self.delayed.record(delayed)
        active.record(inWork)
    }

    func added(_ count: Int) { if count > 0 { adds.increment(by: count) } }
    func waited(_ duration: Duration) { wait.record(duration.inSeconds) }
    func retried() { retries.increment() }
    func reconciled(_ result: String, took: Duration) {
        duration.record(took.inSeconds)
        results[result]?.increment()
    }
}

/// A store's metrics, all with the label `store`: its resource, with namespace and selectors where it has some.
///
/// - `heddle_store_objects`: objects in the cache.
/// - `heddle_store_lists_total`: complete states taken, by a list or over a watch. At rest it does not move.
/// - `heddle_store_watches_total`: watches opened.
/// - `heddle_store_failures_total`: lists and watches that failed.
/// - `heddle_store_events_total`, also by `type` (`added`, `modified`, `deleted`, `bookmark`).
package struct StoreMetrics: Sendable {
    private let objects: Gauge
    private let lists: Counter
    private let watches: Counter
    private let failures: Counter
    private let events: [String: Counter]

    package init(store: StoreScope, factory: any MetricsFactory = MetricsSystem.factory) {
        let labels = [("store", store.description)]
        objects = Gauge(label: "heddle_store_objects", dimensions: labels, factory: factory)
        lists = Counter(label: "heddle_store_lists_total", dimensions: labels, factory: factory)
        watches = Counter(label: "heddle_store_watches_total", dimensions: labels, factory: factory)
        failures = Counter(label: "heddle_store_failures_total", dimensions: labels, factory: factory)
        events = counters(
            "heddle_store_events_total", labels, "type", ["added", "modified", "deleted", "bookmark"], factory)
    }

    func listed(count: Int) {
        lists.increment()
        objects.record(count)
    }

    func holds(_ count: Int) { objects.record(count) }
    func watched() { watches.increment() }
    func failed() { failures.increment() }
    func seen(_ kind: WatchEvent.Kind) { events[kind.rawValue.lowercased()]?.increment() }
}

/// The leader election's metrics, with the label `lease`.
///
/// - `heddle_leader_transitions_total`, also by `to` (`leading`, `waiting`).
/// - `heddle_leader_renewals_total`, also by `result` (`done`, `failed`).
/// - `heddle_leader_refused_writes_total`: writes that the fence refused or called back.
package struct LeaderMetrics: Sendable {
    private let transitions: [String: Counter]
    private let renewals: [String: Counter]
    private let refused: Counter

    package init(lease: String, factory: any MetricsFactory = MetricsSystem.factory) {
        let labels = [("lease", lease)]
        transitions = counters("heddle_leader_transitions_total", labels, "to", ["leading", "waiting"], factory)
        renewals = counters("heddle_leader_renewals_total", labels, "result", ["done", "failed"], factory)
        refused = Counter(label: "heddle_leader_refused_writes_total", dimensions: labels, factory: factory)
    }

    func became(leading: Bool) { transitions[leading ? "leading" : "waiting"]?.increment() }
    func renewed(_ succeeded: Bool) { renewals[succeeded ? "done" : "failed"]?.increment() }
    func refusedWrite() { refused.increment() }
}

/// `heddle_events_total` by `result`: `written` (new, or a count on one that is there), `counted` (a repetition that waits
/// for its write), `dropped` (too many of one object, or the mailbox was full), `failed` (the API refused).
struct EventMetrics: Sendable {
    private let results: [String: Counter]

    init(factory: any MetricsFactory = MetricsSystem.factory) {
        results = counters(
            "heddle_events_total", [], "result", ["written", "counted", "dropped", "failed"], factory)
    }

    func note(_ result: String) { results[result]?.increment() }
}

/// What each metric of the runtime means, for whoever shows them.
package enum RuntimeMetrics {
    package static let help = [
        "heddle_workqueue_depth": "Keys that wait for a worker.",
        "heddle_workqueue_delayed": "Keys that wait for their time.",
        "heddle_workqueue_adds_total": "Keys put into the queue.",
        "heddle_workqueue_wait_seconds": "How long a key waited from the time it was due.",
        "heddle_workqueue_retries_total": "Keys put back after a failure.",
        "heddle_reconcile_active": "Reconciliations under way.",
        "heddle_reconcile_duration_seconds": "How long one reconciliation took.",
        "heddle_reconcile_total": "Reconciliations by result.",
        "heddle_store_objects": "Objects in a cache.",
        "heddle_store_lists_total": "Complete states taken, by a list or over a watch.",
        "heddle_store_watches_total": "Watches opened.",
        "heddle_store_failures_total": "Lists and watches that failed.",
        "heddle_store_events_total": "Watch events by type.",
        "heddle_leader_transitions_total": "Times that this replica came to lead, or ceased to.",
        "heddle_leader_renewals_total": "Renewals of the Lease by result.",
        "heddle_leader_refused_writes_total":
            "Writes that were refused because this replica does not lead for certain.",
        "heddle_events_total": "Events by what became of them.",
    ]
}

private func counters(
    _ label: String, _ labels: [(String, String)], _ name: String, _ values: [String], _ factory: any MetricsFactory
) -> [String: Counter] {
    Dictionary(
        uniqueKeysWithValues: values.map {
            ($0, Counter(label: label, dimensions: labels + [(name, $0)], factory: factory))
        })
}

extension Duration {
    /// As a number of seconds, for metrics and messages.
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
