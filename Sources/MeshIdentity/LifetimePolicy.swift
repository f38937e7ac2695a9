package import FoundationEssentials

/// How long certificates live: bounds for what a caller may ask for.
package struct LifetimePolicy: Sendable, Equatable {
    package var minimum: Duration
    package var standard: Duration
    package var maximum: Duration

    /// `minimum` 1 minute, `standard` 24 hours, `maximum` 7 days.
    package init(
        minimum: Duration = .seconds(60), standard: Duration = .seconds(24 * 3600),
        maximum: Duration = .seconds(7 * 24 * 3600)
    ) {
        self.minimum = minimum
        self.standard = standard
        self.maximum = maximum
    }

    /// How far `NotBefore` lies in the past, so that a verifier whose clock is behind accepts a new certificate.
    package static let backdating: Duration = .seconds(60)

    /// The end of a certificate that is made at `now`: the wish within the bounds, and never after `limit` (its
    /// issuer's own end).
    package func end(for wish: Duration?, now: Date, limit: Date) -> Date {
        let granted = min(max(wish ?? standard, minimum), maximum)
        return min(now.addingTimeInterval(granted.inSeconds), limit)
    }
}

extension Duration {
    /// The duration in seconds, with fractions.
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
