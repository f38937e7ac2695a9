import KubeTesting
import Testing

@testable import MeshEvidence

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

struct SequentialTestTests {
    private func counts(_ nc: Int, _ ec: Int, _ ns: Int, _ es: Int) throws -> CanaryCounts {
        try #require(CanaryCounts(canaryRequests: nc, canaryFailures: ec, stableRequests: ns, stableFailures: es))
    }

    @Test func `counts that cannot be are refused`() {
        #expect(CanaryCounts(canaryRequests: 1, canaryFailures: 2, stableRequests: 0, stableFailures: 0) == nil)
        #expect(CanaryCounts(canaryRequests: 1, canaryFailures: 0, stableRequests: 1, stableFailures: 2) == nil)
        #expect(CanaryCounts(canaryRequests: -1, canaryFailures: -1, stableRequests: 1, stableFailures: 0) == nil)
        #expect(CanaryCounts(canaryRequests: 2, canaryFailures: 2, stableRequests: 0, stableFailures: 0) != nil)
    }

    @Test func `nothing observed is no evidence`() {
        let test = SequentialTest()
        #expect(abs(test.logEValue) < 1e-9)
        #expect(!test.showsHarm && !test.provesSafe)
    }

    @Test(arguments: [(100, 0, 900, 0), (0, 0, 900, 9), (100, 9, 0, 0), (0, 0, 0, 0)])
    func `intervals without failures or with one track say nothing`(_ c: (Int, Int, Int, Int)) throws {
        var test = SequentialTest()
        test.observe(try counts(c.0, c.1, c.2, c.3))
        #expect(test.state == SequentialTest.State())
    }

    /// The factor's expectation under the hypergeometric law must not exceed 1: enumerated exactly.
    @Test(arguments: [(10, 90, 3), (50, 50, 10), (5, 500, 20), (90, 10, 8), (7, 7, 14), (1, 1, 1)], [1.0, 1.5])
    func `the harm factor is fair for an equal canary`(_ c: (Int, Int, Int), tolerance: Double) throws {
        let (nc, ns, k) = c
        var expectation = 0.0
        for ec in max(0, k - ns)...min(k, nc) {
            let probability = exp(logChoose(nc, ec) + logChoose(ns, k - ec) - logChoose(nc + ns, k))
            var test = SequentialTest(parameters: .init(tolerance: tolerance))
            test.observe(try counts(nc, ec, ns, k - ec))
            expectation += probability * exp(test.logEValue)
        }
        #expect(expectation <= 1 + 1e-9)
    }

    /// Exact for the worst canary that the margin still excludes (Fisher's noncentral hypergeometric law).
    @Test(arguments: [(10, 90, 3), (50, 50, 10), (90, 10, 8), (20, 20, 38)])
    func `the safety factor is fair for a canary worse by the margin`(_ c: (Int, Int, Int)) throws {
        let (nc, ns, k) = c
        let margin = 2.0
        var weights: [(Int, Double)] = []
        for ec in max(0, k - ns)...min(k, nc) {
            weights.append((ec, exp(logChoose(nc, ec) + logChoose(ns, k - ec) + Double(ec) * log(margin))))
        }
        let total = weights.reduce(0) { $0 + $1.1 }
        var expectation = 0.0
        for (ec, weight) in weights {
            expectation +=
                weight / total * exp(SequentialTest.logSafeFactor(try counts(nc, ec, ns, k - ec), margin: margin))
        }
        #expect(abs(expectation - 1) < 1e-9)
    }

    @Test func `a canary that fails for certain is found within ten requests`() throws {
        var test = SequentialTest()
        for _ in 0..<5 { test.observe(try counts(2, 2, 18, 0)) }
        #expect(test.showsHarm)
    }

    @Test func `huge counts stay finite`() throws {
        var test = SequentialTest()
        for _ in 0..<100 { test.observe(try counts(1_000_000_000, 500_000_000, 1_000_000_000, 1)) }
        #expect(test.logEValue.isFinite && test.showsHarm)
        var good = SequentialTest()
        for _ in 0..<100 { good.observe(try counts(1_000_000, 0, 1_000_000, 40_000)) }
        #expect(good.logEValue.isFinite && !good.showsHarm && good.provesSafe)
    }

    @Test func `a long good past does not hide a late regression`() throws {
        var test = SequentialTest()
        for _ in 0..<2000 { test.observe(try counts(10, 0, 90, 1)) }
        var looks = 0
        while !test.showsHarm, looks < 50 {
            test.observe(try counts(10, 5, 90, 1))
            looks += 1
        }
        #expect(looks <= 8)
    }

    @Test func `the state survives being stored`() throws {
        var whole = SequentialTest()
        var stored = SequentialTest()
        for step in 0..<40 {
            let look = try counts(10 + step % 3, step % 4 == 0 ? 1 : 0, 90, step % 5 == 0 ? 2 : 0)
            whole.observe(look)
            stored.observe(look)
            let state = stored.state
            stored = SequentialTest(
                state: .init(
                    intervals: state.intervals, logSums: state.logSums, restartLogSums: state.restartLogSums,
                    safeLogSums: [state.safeLogSum]))
        }
        #expect(whole.state == stored.state)
    }

    @Test func `a broken state starts anew`() {
        let state = SequentialTest.State(intervals: 3, logSums: [.nan], restartLogSums: [], safeLogSums: [])
        #expect(state == SequentialTest.State())
    }

    @Test func `several metrics share alpha`() {
        #expect(SequentialTest.Parameters(alpha: 0.01).sharing(over: 4).alpha == 0.0025)
        #expect(SequentialTest.Parameters(alpha: 0.01).sharing(over: 0).alpha == 0.01)
    }

    @Test func `the smallest detectable regression shrinks with the sample`() throws {
        let test = SequentialTest()
        #expect(test.smallestDetectableRatio(for: try counts(2, 0, 18, 0)) == nil)
        let small = try #require(test.smallestDetectableRatio(for: try counts(100, 0, 900, 1)))
        let large = try #require(test.smallestDetectableRatio(for: try counts(10_000, 10, 90_000, 90)))
        #expect(large < small && small < 0.2 && large < 0.01)
    }

    // MARK: Simulations, seeded

    /// 400 runs of 300 looks: with alpha 5 % some 20 may fail at most; the test is conservative, so far fewer do.
    @Test(arguments: [(2, 18, 0.02), (10, 90, 0.02), (50, 50, 0.1), (20, 180, 0.001)])
    func `an equal canary is hardly ever failed, however often one looks`(_ c: (Int, Int, Double)) throws {
        var random = SeededRandom(seed: 42)
        var failed = 0
        for _ in 0..<400 {
            var test = SequentialTest(parameters: .init(alpha: 0.05))
            for _ in 0..<300 where !test.showsHarm {
                test.observe(try counts(c.0, random.binomial(c.0, c.2), c.1, random.binomial(c.1, c.2)))
            }
            failed += test.showsHarm ? 1 : 0
        }
        #expect(failed <= 20)
    }

    /// As statistics.md: 50 requests a second, a tenth to the canary, base 0.1 %; medians of 100 runs.
    @Test(arguments: [(0.05, 30), (0.2, 10), (0.5, 6)])
    func `a bad canary is found within seconds`(_ c: (Double, Int)) throws {
        var random = SeededRandom(seed: 7)
        var needed: [Int] = []
        for _ in 0..<100 {
            var test = SequentialTest()
            var looks = 0
            while !test.showsHarm, looks < 1000 {
                test.observe(try counts(5, random.binomial(5, c.0), 45, random.binomial(45, 0.001)))
                looks += 1
            }
            needed.append(looks)
        }
        #expect(needed.sorted()[50] <= c.1)
    }

    @Test func `a canary twice as bad is hardly ever proven safe and an equal one is`() throws {
        var random = SeededRandom(seed: 99)
        var wrong = 0
        var right = 0
        for _ in 0..<200 {
            var bad = SequentialTest(parameters: .init(alpha: 0.05))
            var good = SequentialTest(parameters: .init(alpha: 0.05))
            for _ in 0..<200 {
                let stable = random.binomial(50, 0.04)
                bad.observe(try counts(50, random.binomial(50, 0.08), 50, stable))
                good.observe(try counts(50, random.binomial(50, 0.04), 50, stable))
            }
            wrong += bad.provesSafe ? 1 : 0
            right += good.provesSafe ? 1 : 0
        }
        #expect(wrong <= 10 && right >= 190)
    }

    private func logChoose(_ n: Int, _ k: Int) -> Double {
        lgamma(Double(n + 1)) - lgamma(Double(k + 1)) - lgamma(Double(n - k + 1))
    }
}
