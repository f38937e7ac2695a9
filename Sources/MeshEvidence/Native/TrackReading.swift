/// What the proxies counted between two looks, by track.
package struct TrackReading: Sendable, Hashable {
    package struct Counts: Sendable, Hashable {
        package var requests: Int
        package var failures: Int

        package init(requests: Int = 0, failures: Int = 0) {
            self.requests = requests
            self.failures = failures
        }
    }

    /// Start and end of the interval, in seconds since 1970.
    package var from: Double
    package var to: Double
    package var stable: Counts
    package var canary: Counts
    /// Requests that no subset was chosen for: there was no split.
    package var unsplit: Counts

    package init(
        from: Double, to: Double, stable: Counts = .init(), canary: Counts = .init(), unsplit: Counts = .init()
    ) {
        self.from = from
        self.to = to
        self.stable = stable
        self.canary = canary
        self.unsplit = unsplit
    }

    /// From the increases of `NativeMeshQueries.requests`. Requests that the client abandoned are left out.
    package init(requests increases: [CounterTracker.Increase], from: Double, to: Double) {
        self.init(from: from, to: to)
        for increase in increases {
            let outcome = RequestOutcome(
                code: increase.labels["response_code"] ?? "", flags: increase.labels["response_flags"] ?? "")
            if outcome == .abandoned { continue }
            add(
                Counts(requests: increase.count, failures: outcome.isFailure ? increase.count : 0),
                subset: increase.labels["destination_subset"])
        }
    }

    /// From the increases of `NativeMeshQueries.latencyBuckets`: failures are the requests slower than the bound.
    /// - Parameter samples: the same look's raw series, to tell "no request within the bound" from "no such bucket".
    package init(
        buckets increases: [CounterTracker.Increase], samples: [PrometheusAnswer.Sample], boundMilliseconds: Double,
        from: Double, to: Double
    ) throws(MetricProblem) {
        self.init(from: from, to: to)
        func isBound(_ labels: [String: String]) -> Bool { labels["le"].flatMap(Double.init) == boundMilliseconds }
        guard samples.isEmpty || samples.contains(where: { isBound($0.labels) }) else {
            throw MetricProblem(
                .unusable,
                "\(NumberText.significant(boundMilliseconds)) ms is no bucket edge of the latency histogram; choose one of "
                    + NativeMeshQueries.bucketEdges.map(NumberText.significant).joined(separator: ", "))
        }
        for increase in increases {
            let isAll = increase.labels["le"] == "+Inf"
            guard isAll || isBound(increase.labels) else { continue }
            add(
                isAll ? Counts(requests: increase.count, failures: increase.count) : Counts(failures: -increase.count),
                subset: increase.labels["destination_subset"])
        }
        stable.failures = min(max(0, stable.failures), stable.requests)
        canary.failures = min(max(0, canary.failures), canary.requests)
        unsplit.failures = min(max(0, unsplit.failures), unsplit.requests)
    }

    private mutating func add(_ counts: Counts, subset: String?) {
        switch subset {
        case "canary": canary += counts
        case "stable": stable += counts
        default: unsplit += counts
        }
    }
}

extension TrackReading.Counts {
    package static func += (a: inout Self, b: Self) {
        a.requests += b.requests
        a.failures += b.failures
    }
}
