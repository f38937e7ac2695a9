/// Requests and failures of both tracks, counted over the same interval.
package struct CanaryCounts: Sendable, Hashable {
    package private(set) var canaryRequests: Int
    package private(set) var canaryFailures: Int
    package private(set) var stableRequests: Int
    package private(set) var stableFailures: Int

    package static let zero = CanaryCounts()

    private init() {
        canaryRequests = 0
        canaryFailures = 0
        stableRequests = 0
        stableFailures = 0
    }

    /// Nil when a count is negative or a track has more failures than requests: such an interval was not measured
    /// properly, and says nothing.
    package init?(canaryRequests: Int, canaryFailures: Int, stableRequests: Int, stableFailures: Int) {
        guard canaryFailures >= 0, canaryRequests >= canaryFailures, stableFailures >= 0,
            stableRequests >= stableFailures
        else { return nil }
        self.canaryRequests = canaryRequests
        self.canaryFailures = canaryFailures
        self.stableRequests = stableRequests
        self.stableFailures = stableFailures
    }

    /// 0 to 1; nil without requests.
    package var canaryFailureRatio: Double? {
        canaryRequests > 0 ? Double(canaryFailures) / Double(canaryRequests) : nil
    }

    /// 0 to 1; nil without requests.
    package var stableFailureRatio: Double? {
        stableRequests > 0 ? Double(stableFailures) / Double(stableRequests) : nil
    }

    package static func + (a: Self, b: Self) -> Self {
        var sum = a
        sum.canaryRequests += b.canaryRequests
        sum.canaryFailures += b.canaryFailures
        sum.stableRequests += b.stableRequests
        sum.stableFailures += b.stableFailures
        return sum
    }

    package static func += (a: inout Self, b: Self) { a = a + b }
}
