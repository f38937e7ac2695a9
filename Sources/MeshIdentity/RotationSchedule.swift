package import FoundationEssentials

/// When to renew a certificate: at a random point between two shares of its lifetime, so that workloads that started
/// together do not renew together.
package struct RotationSchedule: Sendable, Equatable {
    /// The earliest and the latest point, as shares of the lifetime.
    package let window: ClosedRange<Double>
    /// The first and the longest wait after a renewal that failed.
    package let firstRetry: Duration
    package let longestRetry: Duration

    package init(
        window: ClosedRange<Double> = 0.5...0.8, firstRetry: Duration = .seconds(1),
        longestRetry: Duration = .seconds(300)
    ) {
        self.window = window
        self.firstRetry = firstRetry
        self.longestRetry = longestRetry
    }

    /// How long to wait before the renewal of a certificate that was received at `received`.
    ///
    /// The lifetime counts from receipt: `NotBefore` is backdated, and for a short certificate that would be a renewal
    /// in the past, for ever.
    ///
    /// - Parameter random: A number from 0 to 1.
    /// - Returns: Zero when the point has passed, as after a pause of the machine.
    package func delay(received: Date, notAfter: Date, now: Date, random: Double) -> Duration {
        let lifetime = max(0, notAfter.timeIntervalSince(received))
        let share = window.lowerBound + (window.upperBound - window.lowerBound) * min(max(random, 0), 1)
        return .seconds(max(0, received.addingTimeInterval(lifetime * share).timeIntervalSince(now)))
    }

    /// How long to wait after the `failures`th renewal in a row failed: doubling, with jitter, and never more than a
    /// tenth of what is left of the certificate, so that it is tried again before it lapses.
    ///
    /// - Parameter random: A number from 0 to 1.
    package func retryDelay(failures: Int, notAfter: Date, now: Date, random: Double) -> Duration {
        let doubled = firstRetry.inSeconds * Double(1 << min(max(failures - 1, 0), 20))
        let left = notAfter.timeIntervalSince(now) / 10
        let bounded = max(min(doubled, longestRetry.inSeconds, max(left, 0)), firstRetry.inSeconds)
        return .seconds(bounded * (0.5 + min(max(random, 0), 1) / 2))
    }
}
