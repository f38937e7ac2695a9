import CoreMetrics
import Synchronization

/// How often values up to each bound were seen, their number and their sum. Timers count in seconds.
final class HistogramSeries: MetricSeries, RecorderHandler, TimerHandler {
    /// Bounds for durations in seconds: a millisecond to a minute.
    static let seconds: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    private struct Counts {
        /// By bucket, the last for what is over all bounds.
        var buckets: [Int]
        var sum = 0.0
    }

    let labels: String
    private let bounds: [Double]
    private let counts: Mutex<Counts>

    /// - Parameter bounds: ascending.
    init(labels: String, bounds: [Double]) {
        self.labels = labels
        self.bounds = bounds
        counts = Mutex(Counts(buckets: Array(repeating: 0, count: bounds.count + 1)))
    }

    func record(_ value: Int64) { record(Double(value)) }

    func record(_ value: Double) {
        guard !value.isNaN else { return }
        let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
        counts.withLock { counts in
            counts.buckets[bucket] += 1
            counts.sum += value
        }
    }

    func recordNanoseconds(_ duration: Int64) { record(Double(duration) * 1e-9) }

    func write(to text: inout PrometheusText, _ name: String) {
        let counts = counts.withLock { $0 }
        let before = labels.isEmpty ? "" : labels + ","
        var total = 0
        for (index, count) in counts.buckets.enumerated() {
            total += count
            let bound = index < bounds.count ? PrometheusText.number(bounds[index]) : "+Inf"
            text.line(name + "_bucket", labels: before + "le=\"\(bound)\"", Double(total))
        }
        text.line(name + "_sum", labels: labels, counts.sum)
        text.line(name + "_count", labels: labels, Double(total))
    }
}
