/// A bucket that holds `burst` tokens and fills with `perSecond`: each request takes one, and waits while there is
/// none.
///
/// It may go into debt, so that those who come are served in their order, and an urgent one that goes ahead is paid for
/// by the rest.
struct TokenBucket: Sendable {
    let perSecond: Double
    let burst: Double
    private var tokens: Double
    private var filledAt: Duration

    /// - Parameter now: time since any fixed moment.
    init(perSecond: Double, burst: Int, now: Duration) {
        self.perSecond = max(perSecond, 0.001)
        self.burst = Double(max(burst, 1))
        tokens = self.burst
        filledAt = now
    }

    /// Takes a token and says after which time it may be used; zero for now.
    mutating func take(now: Duration) -> Duration {
        if now > filledAt {
            tokens = min(burst, tokens + (now - filledAt) / .seconds(1) * perSecond)
            filledAt = now
        }
        tokens -= 1
        return tokens >= 0 ? .zero : .seconds(-tokens / perSecond)
    }

    /// Puts back a token that was not used.
    mutating func giveBack() { tokens = min(burst, tokens + 1) }
}
