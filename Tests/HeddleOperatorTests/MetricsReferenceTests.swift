import Foundation
import KubeCore
import MetricsExport
import Testing

@testable import KubeRuntime
@testable import heddle_operator

struct MetricsReferenceTests {
    let registry = PrometheusRegistry(help: OperatorMetrics.help, buckets: OperatorMetrics.buckets)

    @Test func `every metric of the runtime is made, explained and in the reference`() throws {
        _ = ControllerMetrics(controller: "canary", factory: registry)
        _ = StoreMetrics(store: StoreScope(.pods), factory: registry)
        _ = LeaderMetrics(lease: "heddle-operator", factory: registry)
        _ = EventMetrics(factory: registry)
        let page = registry.text()
        let made = page.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map {
            String($0.split(separator: " ")[2])
        }
        #expect(Set(made).subtracting(["metrics_series_dropped_total"]) == Set(RuntimeMetrics.help.keys))
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let reference = try String(
            contentsOf: root.appending(path: "docs/reference/metrics.md"), encoding: .utf8)
        for name in OperatorMetrics.help.keys {
            #expect(reference.contains("| `\(name)` |"), "\(name) is not in the reference")
        }
        for name in made { #expect(page.contains("# HELP \(name) "), "\(name) has no explanation") }
        #expect(OperatorMetrics.buckets.keys.allSatisfy { OperatorMetrics.help[$0] != nil })
    }
}
