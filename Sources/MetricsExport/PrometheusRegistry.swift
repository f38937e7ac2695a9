package import CoreMetrics
import Synchronization

/// A metrics backend that Prometheus scrapes: give it to `MetricsSystem.bootstrap`, and `text()` to an HTTP server.
///
/// A counter or gauge that is asked for twice with the same labels is the same series, and it lives as long as the
/// registry: a series that vanished and came back would look like a restart. Labels are sorted by name.
package final class PrometheusRegistry: MetricsFactory {
    /// How many series one metric may have.
    package let seriesLimit: Int
    private let help: [String: String]
    private let buckets: [String: [Double]]
    private let state = Mutex(State())

    private struct State {
        var families: [String: MetricFamily] = [:]
        var dropped: Int64 = 0
    }

    /// - Parameters:
    ///   - help: what each metric means, by name.
    ///   - buckets: upper bounds of a histogram's buckets, by name; others have `HistogramSeries.seconds`.
    package init(help: [String: String] = [:], buckets: [String: [Double]] = [:], seriesLimit: Int = 500) {
        self.help = help
        self.buckets = buckets
        self.seriesLimit = seriesLimit
    }

    /// Everything, by name, in Prometheus' text format 0.0.4.
    package func text() -> String {
        let (families, dropped) = state.withLock { ($0.families, $0.dropped) }
        var text = PrometheusText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text.open(name, type: family.type, help: help[name] ?? "")
            for series in family.series.values.sorted(by: { $0.labels < $1.labels }) { series.write(to: &text, name) }
        }
        text.open("metrics_series_dropped_total", type: "counter", help: "Series that were over a metric's limit.")
        text.line("metrics_series_dropped_total", labels: "", Double(dropped))
        return text.text
    }

    // MARK: MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        series(label, "counter", dimensions, CounterSeries.init)
    }

    package func makeFloatingPointCounter(label: String, dimensions: [(String, String)])
        -> any FloatingPointCounterHandler
    {
        series(label, "counter", dimensions, CounterSeries.init)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        series(label, "gauge", dimensions, GaugeSeries.init)
    }

    package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        aggregate ? histogram(label, dimensions) : series(label, "gauge", dimensions, GaugeSeries.init)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        histogram(label, dimensions)
    }

    // Series stay: see above.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    private func histogram(_ label: String, _ dimensions: [(String, String)]) -> HistogramSeries {
        let bounds = buckets[label] ?? HistogramSeries.seconds
        return series(label, "histogram", dimensions) { HistogramSeries(labels: $0, bounds: bounds) }
    }

    /// The series of these labels; a new one beside the registry when the name has another type already, or too many.
    private func series<Series: MetricSeries>(
        _ label: String, _ type: String, _ dimensions: [(String, String)], _ make: (String) -> Series
    ) -> Series {
        let name = PrometheusText.name(label)
        let labels = PrometheusText.labels(dimensions)
        return state.withLock { state in
            var family = state.families[name] ?? MetricFamily(type: type)
            if let known = family.series[labels] as? Series { return known }
            let new = make(labels)
            guard family.type == type, family.series[labels] == nil, family.series.count < seriesLimit else {
                state.dropped += 1
                return new
            }
            family.series[labels] = new
            state.families[name] = family
            return new
        }
    }
}

/// All series of one name.
struct MetricFamily: Sendable {
    let type: String
    /// By their labels as text.
    var series: [String: any MetricSeries] = [:]
}

/// One name with one set of labels.
protocol MetricSeries: AnyObject, Sendable {
    /// As in the page, without braces.
    var labels: String { get }
    func write(to text: inout PrometheusText, _ name: String)
}
