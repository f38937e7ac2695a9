import Testing

@testable import heddle_sample

@Suite struct LatencyHistogramTests {
    @Test func anEmptyHistogramAnswersZero() {
        let histogram = LatencyHistogram()
        #expect(histogram.milliseconds(at: 0.99) == 0)
        #expect(histogram.maxMilliseconds == 0)
    }

    @Test func quantilesAreWithinOneBucketOfTheTruth() {
        var histogram = LatencyHistogram()
        for value in 1...100_000 { histogram.record(microseconds: value) }
        for (quantile, truth) in [(0.5, 50.0), (0.9, 90), (0.99, 99)] {
            let found = histogram.milliseconds(at: quantile)
            #expect(found >= truth && found <= truth * 1.033, "\(quantile): \(found)")
        }
        #expect(histogram.milliseconds(at: 1) == 100)
        #expect(histogram.count == 100_000)
    }

    @Test(arguments: [0, 1, 31, 32, 33, 63, 64, 1000, 65_535, 1 << 30])
    func aSingleValueIsItsOwnQuantile(value: Int) {
        var histogram = LatencyHistogram()
        histogram.record(microseconds: value)
        #expect(histogram.milliseconds(at: 0.5) == Double(value) / 1000)
    }

    @Test func hugeAndNegativeValuesAreClamped() {
        var histogram = LatencyHistogram()
        histogram.record(microseconds: -5)
        histogram.record(microseconds: .max / 2)
        #expect(histogram.count == 2)
        #expect(histogram.milliseconds(at: 0.01) == 0)
    }

    @Test func cumulativeCountsNeverFallAndEndAtTheTotal() {
        var histogram = LatencyHistogram()
        for value in stride(from: 100, to: 3_000_000, by: 997) { histogram.record(microseconds: value) }
        let counts = [1.0, 5, 50, 500, 1000, 5000].map { histogram.count(upToMilliseconds: $0) }
        #expect(counts == counts.sorted())
        #expect(counts.last == histogram.count)
    }
}
