package import Metrics

/// The runtime's metrics. Every one has the label `controller`; there is no label without a bound.
///
/// - `heddle_workqueue_depth`: keys that wait for a worker.
/// - `heddle_workqueue_wait_seconds`: how long a key waited from the time it was due.
/// - `heddle_workqueue_retries_total`: keys put back after a failure.
/// - `heddle_reconcile_duration_seconds`: how long one reconciliation took.
/// - `heddle_reconcile_total`, also by `result` (`done`, `requeue`, `error`).
package struct ControllerMetrics: Sendable {
    private let depth: Gauge
    private let wait: Recorder
    private let retries: Counter
    private let duration: Recorder
    private let results: [String: Counter]

    package init(controller: String, factory: any MetricsFactory = MetricsSystem.factory) {
        let labels = [("controller", controller)]
        depth = Gauge(label: "heddle_workqueue_depth", dimensions: labels, factory: factory)
        wait = Recorder(label: "heddle_workqueue_wait_seconds", dimensions: labels, aggregate: true, factory: factory)
        retries = Counter(label: "heddle_workqueue_retries_total", dimensions: labels, factory: factory)
        duration = Recorder(
            label: "heddle_reconcile_duration_seconds", dimensions: labels, aggregate: true, factory: factory)
        results = Dictionary(
            uniqueKeysWithValues: ["done", "requeue", "error"].map {
                ($0, Counter(label: "heddle_reconcile_total", dimensions: labels + [("result", $0)], factory: factory))
            })
    }

    func queueDepth(_ count: Int) { depth.record(count) }
    func waited(_ duration: Duration) { wait.record(duration.inSeconds) }
    func retried() { retries.increment() }
    func reconciled(_ result: String, took: Duration) {
        duration.record(took.inSeconds)
        results[result]?.increment()
    }
}

extension Duration {
    /// As a number of seconds, for metrics and messages.
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
