import MeshModel
import Testing

@testable import MeshEvidence

struct NativeMeshTests {
    private func sample(_ pod: String, _ code: String, _ value: Double, subset: String = "stable", flags: String = "-")
        -> PrometheusAnswer.Sample
    {
        .init(
            labels: ["pod": pod, "response_code": code, "destination_subset": subset, "response_flags": flags], time: 0,
            value: value)
    }

    // MARK: Differencing

    @Test func `the first look only sets the base line`() {
        var tracker = CounterTracker()
        #expect(!tracker.hasBaseline)
        #expect(tracker.observe([sample("a", "200", 50)], at: 0) == nil)
        #expect(tracker.observe([sample("a", "200", 53)], at: 5)?.map(\.count) == [3])
    }

    @Test func `a new series of a known pod counts from zero`() {
        var tracker = CounterTracker()
        _ = tracker.observe([sample("a", "200", 50)], at: 0)
        #expect(tracker.observe([sample("a", "200", 50), sample("a", "503", 2)], at: 5)?.map(\.count) == [2])
    }

    @Test func `a pod that was never seen only sets its base line`() {
        var tracker = CounterTracker()
        _ = tracker.observe([sample("a", "200", 50)], at: 0)
        #expect(tracker.observe([sample("a", "200", 51), sample("b", "200", 9000)], at: 5)?.map(\.count) == [1])
        #expect(tracker.observe([sample("b", "200", 9002)], at: 10)?.map(\.count) == [2])
    }

    @Test func `a reset counts what came since`() {
        var tracker = CounterTracker()
        _ = tracker.observe([sample("a", "200", 50)], at: 0)
        #expect(tracker.observe([sample("a", "200", 4)], at: 5)?.map(\.count) == [4])
    }

    @Test func `a missed scrape counts nothing twice`() {
        var tracker = CounterTracker()
        _ = tracker.observe([sample("a", "200", 50)], at: 0)
        #expect(tracker.observe([], at: 5) == [])
        #expect(tracker.observe([sample("a", "200", 60)], at: 10)?.map(\.count) == [10])
    }

    @Test func `an old look, NaN and negative values are ignored`() {
        var tracker = CounterTracker()
        _ = tracker.observe([sample("a", "200", 50)], at: 10)
        #expect(tracker.observe([sample("a", "200", 70)], at: 10) == [])
        #expect(tracker.observe([sample("a", "200", .nan), sample("a", "500", -1)], at: 11) == [])
        #expect(tracker.observe([sample("a", "200", 51)], at: 12)?.map(\.count) == [1])
    }

    @Test func `pods that are gone for long are forgotten`() {
        var tracker = CounterTracker()
        _ = tracker.observe([sample("a", "200", 50), sample("b", "200", 1)], at: 0)
        _ = tracker.observe([sample("b", "200", 2)], at: CounterTracker.memorySeconds + 1)
        #expect(tracker.observe([sample("a", "200", 90)], at: CounterTracker.memorySeconds + 2) == [])
    }

    // MARK: Outcomes

    @Test(arguments: [
        ("200", "-", RequestOutcome.success), ("404", "-", .success), ("500", "-", .serverError),
        ("503", "UF", .connectionFailure),
        ("503", "UF,URX", .connectionFailure), ("0", "DC", .abandoned), ("0", "-", .connectionFailure),
        ("0", "UC", .connectionFailure),
        ("504", "UT", .connectionFailure),
    ])
    func `an outcome is told from code and flags`(_ c: (String, String, RequestOutcome)) {
        #expect(RequestOutcome(code: c.0, flags: c.1) == c.2)
    }

    @Test func `requests are counted by track`() {
        func increase(_ subset: String, _ code: String, _ count: Int, flags: String = "-") -> CounterTracker.Increase {
            .init(labels: ["destination_subset": subset, "response_code": code, "response_flags": flags], count: count)
        }
        let reading = TrackReading(
            requests: [
                increase("canary", "200", 9), increase("canary", "500", 1), increase("stable", "200", 90),
                increase("stable", "0", 5, flags: "DC"), increase("", "503", 2, flags: "UH"),
            ], from: 0, to: 5)
        #expect(reading.canary == .init(requests: 10, failures: 1))
        #expect(reading.stable == .init(requests: 90, failures: 0))
        #expect(reading.unsplit == .init(requests: 2, failures: 2))
    }

    @Test func `slow requests are counted from buckets`() throws {
        func labels(_ subset: String, _ le: String) -> [String: String] { ["destination_subset": subset, "le": le] }
        let samples = [PrometheusAnswer.Sample(labels: labels("canary", "250"), time: 0, value: 1)]
        let increases = [
            CounterTracker.Increase(labels: labels("canary", "+Inf"), count: 10),
            .init(labels: labels("canary", "250"), count: 7), .init(labels: labels("stable", "+Inf"), count: 5),
            .init(labels: labels("stable", "250"), count: 5),
        ]
        let reading = try TrackReading(buckets: increases, samples: samples, boundMilliseconds: 250, from: 0, to: 5)
        #expect(reading.canary == .init(requests: 10, failures: 3) && reading.stable == .init(requests: 5, failures: 0))
        let error = #expect(throws: MetricProblem.self) {
            try TrackReading(buckets: increases, samples: samples, boundMilliseconds: 300, from: 0, to: 5)
        }
        #expect(error?.message.hasPrefix("300 ms is no bucket edge") == true)
    }

    // MARK: Queries

    @Test func `queries name the service, the namespace and the window`() {
        let queries = NativeMeshQueries()
        let service = ServiceID(namespace: "shop", name: "catalog")
        #expect(
            queries.requests(to: service)
                == "sum by (pod, destination_subset, response_code, response_flags) "
                + #"(envoy_heddle_requests_total{reporter="source",destination_service="catalog.shop"})"#)
        #expect(queries.latencyBuckets(to: service, boundMilliseconds: 250).contains(#"le=~"250|250.0|[+]Inf""#))
        #expect(queries.latencyBuckets(to: service, boundMilliseconds: 2.5).contains(#"le=~"2.5|[+]Inf""#))
        let plaintext = queries.plaintext(namespace: "shop", windowSeconds: 604_800)
        let selector =
            #"envoy_heddle_requests_total{reporter="destination",namespace="shop",connection_security_policy="none"}"#
        #expect(
            plaintext
                == "sum by (app, destination_port, source_ip) ((max_over_time(\(selector)[604800s]) unless \(selector)"
                + " offset 604800s) or (increase(\(selector)[604800s]) and \(selector) offset 604800s))")
    }

    @Test func `label values are escaped`() {
        #expect(NativeMeshQueries.escaped("a\"b\\c\nd") == #"a\"b\\c\nd"#)
        #expect(NativeMeshQueries.literal("a.b") == "a[.]b")
        #expect(NativeMeshQueries.duration(0.25) == "250ms" && NativeMeshQueries.duration(90) == "90s")
    }

    @Test func `quantiles interpolate within a bucket`() throws {
        func bucket(_ le: String, _ count: Double) -> PrometheusAnswer.Sample {
            .init(labels: ["le": le], time: 0, value: count)
        }
        let histogram = try #require(CumulativeHistogram([bucket("+Inf", 100), bucket("10", 50), bucket("20", 100)]))
        #expect(histogram.value(at: 0.5) == 10 && histogram.value(at: 0.75) == 15 && histogram.value(at: 1) == 20)
        #expect(CumulativeHistogram([bucket("10", 5)]) == nil && CumulativeHistogram([bucket("+Inf", 0)]) == nil)
        let tail = try #require(CumulativeHistogram([bucket("10", 1), bucket("+Inf", 100)]))
        #expect(tail.value(at: 0.99) == 10)
    }
}
