import Testing

@testable import MeshEvidence

struct VerdictTests {
    private func counts(_ nc: Int, _ ec: Int, _ ns: Int, _ es: Int) throws -> CanaryCounts {
        try #require(CanaryCounts(canaryRequests: nc, canaryFailures: ec, stableRequests: ns, stableFailures: es))
    }

    @Test func `few samples are insufficient and say how many are missing`() throws {
        let rule = ComparisonRule(test: SequentialTest(), minimumRatio: 0.99, minimumSamples: 100)
        let step = try counts(40, 20, 400, 0)
        let judgement = rule.judge(metric: "success-ratio", query: nil, run: step, step: step)
        #expect(judgement.verdict == .insufficient(.fewSamples))
        #expect(judgement.wouldChange == "60 more canary requests")
    }

    @Test func `an absolute bound fails once the samples are in`() throws {
        let rule = ComparisonRule(test: SequentialTest(), minimumRatio: 0.99, minimumSamples: 100)
        let step = try counts(100, 2, 900, 18)
        let judgement = rule.judge(metric: "success-ratio", query: "q", run: step, step: step)
        #expect(judgement.verdict == .fail)
        #expect(judgement.estimate == 0.98 && judgement.bound == 0.99 && judgement.canarySamples == 100)
        #expect(judgement.explanation == "2 of 100 canary requests failed: the ratio 0.98 is below the bound 0.99")
    }

    @Test func `harm fails even before the samples are in`() throws {
        var test = SequentialTest()
        let look = try counts(20, 15, 180, 0)
        test.observe(look)
        let judgement = ComparisonRule(test: test, minimumSamples: 1000)
            .judge(metric: "m", query: nil, run: look, step: look)
        #expect(judgement.verdict == .fail)
        #expect(judgement.explanation.contains("15 of 20 canary requests failed (75 %), 0 of 180 stable (0 %)"))
    }

    @Test func `no harm passes and says what could have been seen`() throws {
        let look = try counts(1000, 1, 9000, 9)
        let judgement = ComparisonRule(test: SequentialTest(), minimumSamples: 100)
            .judge(metric: "m", query: nil, run: look, step: look)
        #expect(judgement.verdict == .pass)
        #expect(judgement.wouldChange.contains("or more would have been seen"))
    }

    @Test func `proof is asked for when the step wants it`() throws {
        let look = try counts(1000, 1, 9000, 9)
        let judgement = ComparisonRule(test: SequentialTest(), minimumSamples: 100, needsProof: true)
            .judge(metric: "m", query: nil, run: look, step: look)
        #expect(judgement.verdict == .insufficient(.notProven))
    }

    @Test(arguments: [(0.5, Verdict.pass), (1.5, .fail), (-0.5, .fail)])
    func `a value is held against its bounds`(_ c: (Double, Verdict)) {
        let rule = ValueRule(minimum: 0, maximum: 1, minimumSamples: 10)
        #expect(rule.judge(metric: "m", query: nil, value: c.0, canarySamples: 10).verdict == c.1)
        #expect(rule.judge(metric: "m", query: nil, value: c.0, canarySamples: 9).verdict == .insufficient(.fewSamples))
    }

    @Test(arguments: [
        (10, 90, 10, SplitCheck.agrees(observedPercent: 10)), (4, 40, 10, .unknown), (0, 0, 10, .unknown),
        (0, 5000, 0, .agrees(observedPercent: 0)),
    ])
    func `the measured split is compared as far as chance allows`(_ c: (Int, Int, Int, SplitCheck)) {
        #expect(SplitCheck(canaryRequests: c.0, stableRequests: c.1, desiredPercent: c.2) == c.3)
    }

    @Test func `a split that is not delivered is noticed`() {
        guard
            case .differs(let observed, let allowed) = SplitCheck(
                canaryRequests: 400, stableRequests: 600, desiredPercent: 10)
        else {
            Issue.record("a split of 40 % passed as 10 %")
            return
        }
        #expect(observed == 40 && allowed.upperBound < 15)
    }

    @Test(arguments: [
        (0.98, "0.98"), (0.0, "0"), (100.0, "100"), (1234.5, "1235"), (0.0012345, "0.00123"), (0.33333, "0.333"),
    ])
    func `numbers have three significant digits`(_ c: (Double, String)) {
        #expect(NumberText.significant(c.0) == c.1)
    }
}
