/// Counts latencies in logarithmic buckets, like HDR histograms: at most 1/32 (3.2 %) off at any magnitude.
///
/// Values are microseconds. Memory is fixed: 32 buckets for each power of two, up to 2^36 µs (19 hours).
struct LatencyHistogram: Sendable {
    private static let subBits = 5
    private static let subCount = 1 << subBits
    private static let maxExponent = 36

    private var counts = [Int](repeating: 0, count: (maxExponent - subBits + 1) * subCount)
    private(set) var count = 0
    private(set) var sumMicroseconds = 0
    private(set) var maxMicroseconds = 0

    mutating func record(microseconds: Int) {
        let value = max(0, microseconds)
        counts[Self.index(of: value)] += 1
        count += 1
        sumMicroseconds += value
        maxMicroseconds = max(maxMicroseconds, value)
    }

    /// The latency that a share `quantile` (0...1) of the values does not exceed, in milliseconds; 0 when empty.
    func milliseconds(at quantile: Double) -> Double {
        guard count > 0 else { return 0 }
        let rank = max(1, Int((quantile * Double(count)).rounded(.up)))
        var seen = 0
        for (index, bucket) in counts.enumerated() where bucket > 0 {
            seen += bucket
            if seen >= rank { return Double(min(Self.upperBound(of: index), maxMicroseconds)) / 1000 }
        }
        return Double(maxMicroseconds) / 1000
    }

    var maxMilliseconds: Double { Double(maxMicroseconds) / 1000 }

    /// How many values are at most `milliseconds`, to a bucket's precision.
    func count(upToMilliseconds milliseconds: Double) -> Int {
        let limit = Int(milliseconds * 1000)
        var total = 0
        for (index, bucket) in counts.enumerated() {
            guard Self.upperBound(of: index) <= limit else { break }
            total += bucket
        }
        return total
    }

    /// Values below 32 have a bucket each; above, the five bits after the leading one choose the bucket.
    private static func index(of value: Int) -> Int {
        guard value >= subCount else { return value }
        let exponent = Int.bitWidth - 1 - value.leadingZeroBitCount
        guard exponent < maxExponent else { return (maxExponent - subBits + 1) * subCount - 1 }
        let sub = (value >> (exponent - subBits)) - subCount
        return (exponent - subBits + 1) * subCount + sub
    }

    /// The largest value that falls into the bucket.
    private static func upperBound(of index: Int) -> Int {
        guard index >= subCount else { return index }
        let shift = index / subCount - 1
        let sub = index % subCount + subCount
        return ((sub + 1) << shift) - 1
    }
}
