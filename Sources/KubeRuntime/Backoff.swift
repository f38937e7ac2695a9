/// Delays between tries that fail: doubling up to a maximum, and spread so that many waiters do not come back together.
package struct Backoff: Sendable, Hashable {
    package var first: Duration
    package var maximum: Duration
    package var factor: Double
    /// Share of the delay that may be added, from 0.
    package var jitter: Double

    package init(first: Duration, maximum: Duration, factor: Double = 2, jitter: Double = 0.25) {
        self.first = first
        self.maximum = maximum
        self.factor = factor
        self.jitter = jitter
    }

    /// For one key of a controller.
    package static let reconcile = Backoff(first: .milliseconds(200), maximum: .seconds(60))
    /// For list and watch.
    package static let reflector = Backoff(first: .milliseconds(500), maximum: .seconds(30), jitter: 1)

    /// - Parameters:
    ///   - attempt: how many tries failed before, from 0.
    ///   - random: from 0 up to 1.
    package func delay(attempt: Int, random: Double) -> Duration {
        var delay = first
        for _ in 0..<max(0, attempt) where delay < maximum { delay = delay * factor }
        return min(delay, maximum) * (1 + jitter * random)
    }
}
