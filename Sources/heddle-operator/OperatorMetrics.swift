import HeddleServer
import KubeRuntime
import XDSServer

/// The operator's own numbers in Prometheus' text format, beside those that are counted through swift-metrics.
enum OperatorMetrics {
    /// What the counted metrics mean, by name.
    static let help = RuntimeMetrics.help.merging(
        [
            "heddle_kube_requests_total": "Requests to the API server, retries counted each.",
            "heddle_kube_request_duration_seconds": "How long the API server took to answer, or to open a watch.",
            "heddle_kube_request_retries_total": "Requests that were sent again.",
            "heddle_kube_request_throttled_seconds": "How long requests waited for the client's own rate limit.",
        ], uniquingKeysWith: { $1 })

    /// Bounds of histograms that are not the default ones.
    static let buckets: [String: [Double]] = [
        // A reconciliation makes a few requests; one that takes minutes hangs.
        "heddle_reconcile_duration_seconds": [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60],
        // A queue is behind when keys wait for seconds.
        "heddle_workqueue_wait_seconds": [0.0001, 0.001, 0.01, 0.1, 1, 10, 60],
    ]

    static func text(hub: SnapshotHub, runtime: Runtime, issued: IssuedCertificates) -> String {
        let proxies = hub.proxies()
        let gauges: [(name: String, help: String, value: Int)] = [
            ("heddle_proxies_connected", "Proxies with an open discovery stream to this replica.", proxies.count),
            (
                "heddle_proxies_synced", "Connected proxies that acknowledged everything.",
                proxies.filter(\.isSynced).count
            ),
            ("heddle_leader", "1 on the replica that runs the controllers.", runtime.isLeading ? 1 : 0),
            ("heddle_caches_synced", "1 when all caches are filled.", runtime.isReady ? 1 : 0),
        ]
        let certificates = """
            # HELP heddle_certificates_issued_total Workload certificates that this replica signed.
            # TYPE heddle_certificates_issued_total counter
            heddle_certificates_issued_total \(issued.count)

            """
        return gauges.map { "# HELP \($0.name) \($0.help)\n# TYPE \($0.name) gauge\n\($0.name) \($0.value)\n" }.joined()
            + certificates
    }
}
