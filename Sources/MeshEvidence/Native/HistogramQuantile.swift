/// Quantiles of a cumulative histogram, as PromQL's `histogram_quantile` computes them.
package struct CumulativeHistogram: Sendable, Hashable {
    /// Upper edges with the number of observations at most that large, in order; the last is +Inf.
    package private(set) var buckets: [Bucket]

    package struct Bucket: Sendable, Hashable {
        package var edge: Double
        package var count: Double
    }

    /// From series with an `le` label, one an edge. Nil without a `+Inf` bucket or without observations.
    package init?(_ samples: [PrometheusAnswer.Sample]) {
        var byEdge: [Double: Double] = [:]
        for sample in samples {
            guard let edge = sample.labels["le"].flatMap({ $0 == "+Inf" ? .infinity : Double($0) }),
                sample.value.isFinite
            else { continue }
            byEdge[edge, default: 0] += sample.value
        }
        guard let total = byEdge[.infinity], total > 0 else { return nil }
        var highest = 0.0
        buckets = byEdge.sorted { $0.key < $1.key }.map { edge, count in
            highest = max(highest, count)
            return Bucket(edge: edge, count: highest)
        }
    }

    package var total: Double { buckets.last?.count ?? 0 }

    /// - Parameter quantile: 0 to 1.
    package func value(at quantile: Double) -> Double {
        let rank = min(max(quantile, 0), 1) * total
        var lower = Bucket(edge: 0, count: 0)
        for bucket in buckets {
            if bucket.count >= rank {
                guard bucket.edge.isFinite else { return lower.edge }
                let width = bucket.count - lower.count
                return width <= 0 ? bucket.edge : lower.edge + (bucket.edge - lower.edge) * (rank - lower.count) / width
            }
            lower = bucket
        }
        return lower.edge
    }
}
