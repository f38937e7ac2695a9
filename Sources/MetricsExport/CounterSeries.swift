import CoreMetrics
import Synchronization

/// A number that only grows.
final class CounterSeries: MetricSeries, CounterHandler, FloatingPointCounterHandler {
    let labels: String
    private let value = Mutex(0.0)

    init(labels: String) { self.labels = labels }

    func increment(by amount: Int64) { increment(by: Double(amount)) }

    /// What is negative or not a number is not counted.
    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        value.withLock { $0 += amount }
    }

    func reset() { value.withLock { $0 = 0 } }

    func write(to text: inout PrometheusText, _ name: String) {
        text.line(name, labels: labels, value.withLock { $0 })
    }
}
