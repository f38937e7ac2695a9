import FoundationEssentials
import Testing

@testable import heddle_sample

@Suite struct LoadTallyTests {
    typealias Outcome = LoadTally.Outcome

    static let causes: [(Outcome, String?)] = [
        (.answered(status: 200, fault: nil, version: "v1", hops: [], body: ""), nil),
        (.answered(status: 500, fault: "injected", version: "v1", hops: [], body: ""), "500 injected"),
        (.answered(status: 502, fault: "downstream", version: "v1", hops: [], body: ""), "502 downstream"),
        (.answered(status: 404, fault: nil, version: nil, hops: [], body: "not here"), "404"),
        (
            .answered(
                status: 503, fault: nil, version: nil, hops: [],
                body: "upstream connect error or disconnect/reset before headers. reset reason: connection failure, tls"
            ),
            "503 connection failure"
        ),
        (
            .answered(status: 503, fault: nil, version: nil, hops: [], body: "no healthy upstream"),
            "503 no healthy upstream"
        ),
        (.failed(.connectionReset), "connection reset"),
        (.failed(.timeout), "timeout"),
    ]

    @Test(arguments: causes) func eachOutcomeHasOneCause(outcome: Outcome, cause: String?) {
        #expect(LoadTally.cause(of: outcome) == cause)
    }

    @Test func hopsTellWhichVersionFailedAndWhen() throws {
        let start = Date(timeIntervalSince1970: 1_000_000)
        var tally = LoadTally(since: start)
        let good = Outcome.answered(status: 200, fault: nil, version: "v1", hops: ["front=v1", "cart=v1"], body: "")
        let bad = Outcome.answered(
            status: 502, fault: "injected", version: "v1", hops: ["front=v1", "cart=v2"], body: "")
        tally.record(good, microseconds: 1000, at: start)
        tally.record(bad, microseconds: 2000, at: start.addingTimeInterval(1))
        tally.record(bad, microseconds: 2000, at: start.addingTimeInterval(3))
        let report = tally.report(at: start.addingTimeInterval(4), connectionRetries: 0, inFlight: 2)
        #expect(report.sent == 5)
        #expect(report.failures == ["502 injected": 2])
        #expect(report.versions == ["v1": 3])
        let canary = try #require(report.hops["cart=v2"])
        #expect(canary.ok == 0 && canary.failed == 2)
        #expect(canary.firstFailureAt == start.addingTimeInterval(1))
        #expect(canary.lastAt == start.addingTimeInterval(3))
        #expect(report.hops["cart=v1"]?.firstFailureAt == nil)
    }
}
