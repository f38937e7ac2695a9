import FoundationEssentials

/// Whether the measured split of requests is the desired one, as far as chance allows.
package enum SplitCheck: Sendable, Hashable {
    /// Too few requests to tell.
    case unknown
    case agrees(observedPercent: Double)
    case differs(observedPercent: Double, allowed: ClosedRange<Double>)

    /// Fewest requests for an answer.
    static let minimumRequests = 50
    /// Standard deviations that chance is allowed: one false alarm in some 15 000 looks.
    static let deviations = 4.0
    /// Further allowance in percentage points: each proxy rounds its own sequence, and connections stick.
    static let slackPercent = 1.0

    package init(canaryRequests: Int, stableRequests: Int, desiredPercent: Int) {
        let total = canaryRequests + stableRequests
        guard canaryRequests >= 0, stableRequests >= 0, total >= Self.minimumRequests else {
            self = .unknown
            return
        }
        let observed = 100 * Double(canaryRequests) / Double(total)
        let desired = Double(desiredPercent)
        let spread = Self.deviations * (desired * (100 - desired) / Double(total)).squareRoot() + Self.slackPercent
        let allowed = max(0, desired - spread)...min(100, desired + spread)
        self =
            allowed.contains(observed)
            ? .agrees(observedPercent: observed) : .differs(observedPercent: observed, allowed: allowed)
    }
}
