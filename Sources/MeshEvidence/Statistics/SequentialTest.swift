import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The anytime-valid comparison of a canary's failures with the stable version's.
///
/// Each interval compares the tracks with themselves: given `K` failures among the requests of both, an equal canary has
/// its share of them by chance alone (hypergeometric), whatever the base rate is. For an odds ratio psi the factor
///
///     (theta/pi)^ec * ((1-theta)/(1-pi))^es     pi = canary's share of requests, theta = psi*pi/(psi*pi + 1-pi)
///
/// has expectation at most 1 when the canary is no worse (Hoeffding 1963, theorem 4), so its product over intervals, and
/// every mixture of such products, is a test supermartingale: by Ville's inequality the chance that it *ever* exceeds
/// 1/alpha, however often one looks, is at most alpha.
///
/// The mixture is over six odds ratios, and over starting times: half of the weight is on the product since the start,
/// half on fresh copies that start at each interval k with weight 1/(k(k+1)), so that a canary that goes bad late need
/// not first pay for its good past. All sums are kept as logarithms.
///
/// The inverse test (`provesSafe`) has the null hypothesis "odds of failure at least `safeMargin` times the tolerated
/// ones", and uses the exact conditional likelihood ratio, since the bound above holds in one direction only.
package struct SequentialTest: Sendable, Hashable {
    package struct Parameters: Sendable, Hashable {
        /// Highest chance that an equal canary is ever failed. Share it between metrics with `sharing(over:)`.
        package var alpha: Double
        /// Odds of failure, as a multiple of the stable version's, that are still accepted (rho); at least 1.
        package var tolerance: Double
        /// The odds ratio beyond the tolerance that the inverse test excludes.
        package var safeMargin: Double

        package init(alpha: Double = 0.01, tolerance: Double = 1, safeMargin: Double = 2) {
            self.alpha = min(max(alpha, 1e-9), 0.5)
            self.tolerance = max(1, tolerance)
            self.safeMargin = max(1.05, safeMargin)
        }

        /// Bonferroni: with `count` metrics each gets an equal part of alpha, so that all together keep it.
        package func sharing(over count: Int) -> Self {
            var part = self
            part.alpha = alpha / Double(max(1, count))
            return part
        }

        /// Log of the e-value that decides.
        package var threshold: Double { -log(alpha) }
    }

    /// All that the test remembers: serialisable, and enough to go on after a restart.
    package struct State: Sendable, Hashable {
        /// Intervals that said something.
        package var intervals: Int
        /// Log product since the start, one per odds ratio.
        package var logSums: [Double]
        /// Log of the weighted sum of the copies that started so far, one per odds ratio.
        package var restartLogSums: [Double]
        /// Log product of the inverse test.
        package var safeLogSum: Double

        package init() { self.init(intervals: 0, logSums: [], restartLogSums: [], safeLogSums: []) }

        /// Reads a stored state; what does not have the right form, or is no number, starts anew.
        package init(intervals: Int, logSums: [Double], restartLogSums: [Double], safeLogSums: [Double]) {
            let count = SequentialTest.oddsRatios.count
            let isWhole =
                intervals > 0 && logSums.count == count && restartLogSums.count == count
                && (logSums + restartLogSums).allSatisfy { $0.isFinite }
            self.intervals = isWhole ? intervals : 0
            self.logSums = isWhole ? logSums : Array(repeating: 0, count: count)
            self.restartLogSums =
                isWhole ? restartLogSums : Array(repeating: SequentialTest.minusInfinity, count: count)
            safeLogSum = isWhole ? safeLogSums.first.map { $0.isFinite ? $0 : 0 } ?? 0 : 0
        }
    }

    package static let oddsRatios: [Double] = [1.5, 2, 4, 8, 16, 32]
    /// Stands for log 0, finite so that it survives JSON.
    static let minusInfinity = -1e300

    package var parameters: Parameters
    package private(set) var state: State

    package init(parameters: Parameters = .init(), state: State = .init()) {
        self.parameters = parameters
        self.state = state
    }

    /// Takes in one interval. Intervals without failures, or with requests on one track only, say nothing and change
    /// nothing.
    package mutating func observe(_ counts: CanaryCounts) {
        let canary = Double(counts.canaryRequests)
        let stable = Double(counts.stableRequests)
        let failures = counts.canaryFailures + counts.stableFailures
        guard canary > 0, stable > 0, failures > 0 else { return }
        state.intervals += 1
        // Odds that a failure falls on the canary: by its share of requests alone, and at the accepted limit.
        let share = canary / stable
        let null = share * parameters.tolerance
        let k = Double(state.intervals)
        let freshCopy = -log(k) - log(k + 1)
        for (index, psi) in Self.oddsRatios.enumerated() {
            let factor = Self.logFactor(counts, odds: psi * null, against: null)
            state.logSums[index] += factor
            state.restartLogSums[index] = max(
                Self.minusInfinity, Self.logAdd(state.restartLogSums[index], freshCopy) + factor)
        }
        state.safeLogSum += Self.logSafeFactor(counts, margin: parameters.safeMargin * parameters.tolerance)
    }

    /// Log of the e-value against "the canary is no worse".
    package var logEValue: Double {
        let tail = -log(Double(state.intervals) + 1)
        var sum = Self.minusInfinity
        for (whole, restarts) in zip(state.logSums, state.restartLogSums) {
            sum = Self.logAdd(sum, Self.logAdd(whole, Self.logAdd(restarts, tail)))
        }
        return sum - log(2 * Double(Self.oddsRatios.count))
    }

    /// Log of the e-value against "the canary is worse by the margin".
    package var logSafeEValue: Double { state.safeLogSum }

    /// The canary is worse than accepted; wrong with probability alpha at most, over all looks together.
    package var showsHarm: Bool { logEValue > parameters.threshold }

    /// The canary is not worse by the margin; wrong with probability alpha at most, over all looks together.
    package var provesSafe: Bool { logSafeEValue > parameters.threshold }

    /// The lowest canary failure ratio (0 to 1) that this many requests would have shown as harm, if failures come
    /// evenly; nil when not even a canary that fails every request would have been seen.
    package func smallestDetectableRatio(for counts: CanaryCounts) -> Double? {
        guard counts.canaryRequests > 0, counts.stableRequests > 0 else { return nil }
        let canary = Double(counts.canaryRequests)
        let stable = Double(counts.stableRequests)
        let stableFailures = Double(counts.stableFailures)
        let null = canary / stable * parameters.tolerance
        func detects(_ ratio: Double) -> Bool {
            var sum = Self.minusInfinity
            for psi in Self.oddsRatios {
                let odds = psi * null
                let value =
                    canary * ratio * (log(odds / null) - log((1 + odds) / (1 + null)))
                    - stableFailures * log((1 + odds) / (1 + null))
                sum = Self.logAdd(sum, value)
            }
            return sum - log(2 * Double(Self.oddsRatios.count)) > parameters.threshold
        }
        guard detects(1) else { return nil }
        var low = 0.0
        var high = 1.0
        for _ in 0..<40 {
            let middle = (low + high) / 2
            if detects(middle) { high = middle } else { low = middle }
        }
        return high
    }

    private static func logFactor(_ counts: CanaryCounts, odds: Double, against null: Double) -> Double {
        let rest = log1p(odds) - log1p(null)
        return Double(counts.canaryFailures) * (log(odds / null) - rest) - Double(counts.stableFailures) * rest
    }

    static func logAdd(_ a: Double, _ b: Double) -> Double {
        let high = max(a, b)
        let low = min(a, b)
        return low <= minusInfinity / 2 ? high : high + log1p(exp(low - high))
    }
}

extension SequentialTest {
    /// Most terms of the exact sum; an interval with more failures than that is left out, which is sound.
    static let maximumTerms = 100_000

    /// Log of P(ec | odds ratio 1) / P(ec | odds ratio `margin`), given all margins of the 2x2 table:
    /// `margin^-ec * E[margin^X]` with X hypergeometric.
    static func logSafeFactor(_ counts: CanaryCounts, margin: Double) -> Double {
        let canary = counts.canaryRequests
        let stable = counts.stableRequests
        let failures = counts.canaryFailures + counts.stableFailures
        let lowest = max(0, failures - stable)
        let highest = min(failures, canary)
        guard highest > lowest, highest - lowest < maximumTerms else { return 0 }
        // Unnormalised hypergeometric weights by their ratios, from the lowest value up.
        var logWeight = 0.0
        var plain = 0.0
        var tilted = Double(lowest) * log(margin)
        for x in lowest..<highest {
            logWeight +=
                log(Double(canary - x)) + log(Double(failures - x)) - log(Double(x + 1))
                - log(Double(stable - failures + x + 1))
            plain = logAdd(plain, logWeight)
            tilted = logAdd(tilted, logWeight + Double(x + 1) * log(margin))
        }
        return tilted - plain - Double(counts.canaryFailures) * log(margin)
    }
}
