import CoreMetrics
import Testing

@testable import MetricsExport

struct PrometheusRegistryTests {
    let registry = PrometheusRegistry(
        help: ["calls_total": "Calls\nby \\code."], buckets: ["took_seconds": [0.1, 1]], seriesLimit: 3)

    /// The page without the registry's own metric.
    var lines: [String] {
        registry.text().split(separator: "\n").map(String.init).filter { !$0.contains("metrics_series_dropped") }
    }

    var dropped: String? { registry.text().split(separator: "\n").last.map(String.init) }

    @Test func `counters grow and are told by sorted labels`() {
        let ok = Counter(label: "calls_total", dimensions: [("verb", "get"), ("code", "200")], factory: registry)
        ok.increment(by: 2)
        Counter(label: "calls_total", dimensions: [("code", "200"), ("verb", "get")], factory: registry).increment()
        Counter(label: "calls_total", dimensions: [("verb", "get"), ("code", "500")], factory: registry).increment()
        #expect(
            lines == [
                "# HELP calls_total Calls\\nby \\\\code.", "# TYPE calls_total counter",
                "calls_total{code=\"200\",verb=\"get\"} 3", "calls_total{code=\"500\",verb=\"get\"} 1",
            ])
    }

    @Test func `a gauge has its last value and a meter moves`() {
        let gauge = Gauge(label: "depth", factory: registry)
        gauge.record(7)
        gauge.record(2.5)
        let meter = Meter(label: "open", factory: registry)
        meter.set(4)
        meter.decrement(by: 1)
        #expect(lines == ["# TYPE depth gauge", "depth 2.5", "# TYPE open gauge", "open 3"])
    }

    @Test func `a recorder that aggregates is a histogram whose buckets add up`() {
        let recorder = Recorder(
            label: "took_seconds", dimensions: [("c", "x")], aggregate: true, factory: registry)
        for value in [0.0625, 0.1, 0.5, 3] { recorder.record(value) }
        recorder.record(Double.nan)
        #expect(
            lines == [
                "# TYPE took_seconds histogram", "took_seconds_bucket{c=\"x\",le=\"0.1\"} 2",
                "took_seconds_bucket{c=\"x\",le=\"1\"} 3", "took_seconds_bucket{c=\"x\",le=\"+Inf\"} 4",
                "took_seconds_sum{c=\"x\"} 3.6625", "took_seconds_count{c=\"x\"} 4",
            ])
    }

    @Test func `a timer counts in seconds`() {
        Timer(label: "took_seconds", factory: registry).recordMilliseconds(500)
        #expect(lines.contains("took_seconds_sum 0.5") && lines.contains("took_seconds_bucket{le=\"0.1\"} 0"))
    }

    @Test func `series past the limit are counted and not kept`() {
        for number in 0..<10 {
            Counter(label: "calls_total", dimensions: [("n", "\(number)")], factory: registry).increment()
        }
        #expect(lines.filter { $0.hasPrefix("calls_total{") }.count == 3)
        #expect(dropped == "metrics_series_dropped_total 7")
    }

    @Test func `a name cannot be of two types`() {
        Counter(label: "x", factory: registry).increment()
        Gauge(label: "x", factory: registry).record(5)
        Gauge(label: "x", dimensions: [("a", "b")], factory: registry).record(5)
        #expect(lines == ["# TYPE x counter", "x 1"])
        #expect(dropped == "metrics_series_dropped_total 2")
    }

    @Test(arguments: [
        ("a\"b\\c\nd", "l=\"a\\\"b\\\\c\\nd\""), ("ü", "l=\"ü\""), ("", "l=\"\""),
    ])
    func `label values are escaped`(_ value: String, _ text: String) {
        #expect(PrometheusText.labels([("l", value)]) == text)
    }

    @Test func `names are made legal`() {
        #expect(PrometheusText.name("http.requests-total") == "http_requests_total")
        #expect(PrometheusText.name("9lives") == "_9lives" && PrometheusText.name("a:b") == "a:b")
        #expect(PrometheusText.labels([("a:b", "x")]) == "a_b=\"x\"")
    }

    @Test(arguments: [
        (0.0, "0"), (1e15, "1000000000000000"), (0.25, "0.25"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
        (.nan, "NaN"), (1e300, "1e+300"),
    ])
    func `numbers read back`(_ value: Double, _ text: String) {
        #expect(PrometheusText.number(value) == text)
        #expect(value.isNaN || Double(text.replacing("Inf", with: "inf")) == value)
    }

    @Test func `many tasks lose no count`() async {
        let counter = Counter(label: "calls_total", factory: registry)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { for _ in 0..<1000 { counter.increment() } } }
        }
        #expect(lines.last == "calls_total 8000")
    }
}
