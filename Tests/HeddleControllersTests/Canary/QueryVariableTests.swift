import FoundationEssentials
import HeddleAPI
import KubeCore
import Testing

@testable import HeddleControllers

struct QueryVariableTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func variables(startedSecondsAgo seconds: Double?, hash: String?) -> [MetricTemplateSpec.Variable: String]?
    {
        var status = CanaryStatus()
        status.phase = .progressing
        status.stepStartedAt = seconds.map { Timestamp(now.addingTimeInterval(-$0)) }
        status.canaryHash = hash
        let spec = CanarySpec(
            targetRef: TargetRef(name: "catalog"), service: CanaryService(name: "catalog-svc", port: 80),
            steps: [CanaryStep(weight: 10)])
        return EvidenceCollector.variables(
            of: Canary(namespace: "shop", name: "c", spec: spec, status: status), at: now)
    }

    @Test func `the interval is the time since the step started and the track is the canary's hash`() throws {
        let values = try #require(variables(startedSecondsAgo: 95.7, hash: "7f8c"))
        #expect(values[.interval] == "95s")
        #expect(values[.track] == "7f8c")
        #expect(values[.service] == "catalog-svc" && values[.target] == "catalog" && values[.namespace] == "shop")
        let text = try MetricTemplateSpec.render(#"x{hash="{{ track }}"}[{{ interval }}]"#, values)
        #expect(text == #"x{hash="7f8c"}[95s]"#)
    }

    @Test func `a range is never empty`() {
        #expect(variables(startedSecondsAgo: 0.2, hash: "7f8c")?[.interval] == "1s")
    }

    @Test func `before a step has its weight and its pods there is nothing to ask`() {
        #expect(variables(startedSecondsAgo: nil, hash: "7f8c") == nil)
        #expect(variables(startedSecondsAgo: 3, hash: nil) == nil)
    }
}
