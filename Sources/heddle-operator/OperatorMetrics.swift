import HeddleServer
import KubeRuntime
import XDSServer

/// The operator's own numbers in Prometheus' text format.
enum OperatorMetrics {
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
