import CoreMetrics
import Synchronization

/// A number as it was last set.
final class GaugeSeries: MetricSeries, MeterHandler, RecorderHandler {
    let labels: String
    private let value = Mutex(0.0)

    init(labels: String) { self.labels = labels }

    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { self.value.withLock { $0 = value } }
    func increment(by amount: Double) { value.withLock { $0 += amount } }
    func decrement(by amount: Double) { value.withLock { $0 -= amount } }

    func write(to text: inout PrometheusText, _ name: String) {
        text.line(name, labels: labels, value.withLock { $0 })
    }
}
