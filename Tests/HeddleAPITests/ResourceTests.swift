import FoundationEssentials
import KubeCore
import Testing

@testable import HeddleAPI

@Suite struct ResourceTests {
    private func canary(_ change: (inout JSONValue) -> Void = { _ in }) -> KubeObject {
        var object = KubeObject(.canaries, namespace: "shop", name: "catalog")
        object.spec = [
            "targetRef": ["name": "catalog"], "service": ["name": "catalog", "port": 80],
            "steps": [["weight": 5], ["weight": 50]],
        ]
        var spec = object.spec
        change(&spec)
        object.spec = spec
        return object
    }

    @Test func `an object keeps what Heddle does not know`() throws {
        var object = canary { $0["future"] = "x" }
        object.json["extra"] = 1
        let resource = try Canary(object)
        #expect(resource.object == object)
        #expect(resource.objectWithStatus.json["extra"] == 1)
        #expect(resource.objectWithStatus.spec["future"] == "x")
    }

    @Test func `a status goes to the API server and back unchanged`() throws {
        var resource = try Canary(canary())
        #expect(!resource.hasStatusChanges)
        resource.status.phase = .progressing
        resource.status.stepStartedAt = Timestamp(Date(timeIntervalSince1970: 1_800_000_000.123_456))
        resource.status.conditions.set(
            Condition(type: "Ready", status: .false, reason: ConditionReason.stepHeld.rawValue, message: "Waits."),
            at: Date(timeIntervalSince1970: 1_800_000_000))
        var evidence = MetricEvidence(metric: "success-ratio")
        evidence.logSums = [0.5, -1.25]
        resource.status.evidence = [evidence]
        #expect(resource.hasStatusChanges)
        let text = resource.objectWithStatus.json.serialized()
        let back = try Canary(KubeObject(json: try JSONValue.parse(text)))
        #expect(back.status == resource.status)
        #expect(!back.hasStatusChanges)
    }

    @Test func `a wrong value names its field and the remedy`() {
        let cases: [(String, (inout JSONValue) -> Void, String)] = [
            ("missing target", { $0["targetRef"] = nil }, "spec.targetRef: is required"),
            ("null target", { $0["targetRef"] = .null }, "spec.targetRef: is required"),
            ("empty steps", { $0["steps"] = [] }, "spec.steps: must have at least 1 entries"),
            ("weight above 100", { $0["steps"] = [["weight": 101]] }, "spec.steps[0].weight: 101 must be at most 100"),
            (
                "weight as text", { $0["steps"] = [["weight": "5"]] },
                #"spec.steps[0].weight: must be a whole number, not "5""#
            ),
            (
                "falling weights", { $0["steps"] = [["weight": 50], ["weight": 5]] },
                "spec.steps[1].weight: 5 is less than"
            ),
            ("no duration", { $0["bake"] = "1 minute" }, "spec.bake: '1 minute' must be a duration such as"),
            ("unknown enum", { $0["analysis"] = ["advanceOn": "Never"] }, "'Never' is not one of NoHarm, ProvenSafe"),
            (
                "two sizes", { $0["canaryReplicas"] = ["count": 1, "percent": 5] },
                "spec.canaryReplicas: set at most one of"
            ),
            (
                "deadline before duration", { $0["stepDeadline"] = "30s" },
                "spec.steps[0].duration: the step's deadline (30s) ends before its duration (1m)"
            ),
            ("interval", { $0["analysis"] = ["interval": "100ms"] }, "spec.analysis.interval: 100ms is too short"),
            (
                "latency without bound", { $0["analysis"] = ["metrics": [["name": "p99", "kind": "Latency"]]] },
                "spec.analysis.metrics[0].latencyBound: a Latency metric needs it"
            ),
            (
                "same metric twice",
                {
                    $0["analysis"] = [
                        "metrics": [["name": "a", "kind": "SuccessRatio"], ["name": "a", "kind": "SuccessRatio"]]
                    ]
                },
                #"spec.analysis.metrics[1]: is there twice: ["a"]"#
            ),
            (
                "percent for a ratio",
                {
                    $0["analysis"] = [
                        "metrics": [["name": "a", "kind": "SuccessRatio", "thresholdRange": ["min": 99]]]
                    ]
                },
                "spec.analysis.metrics[0].thresholdRange: is a ratio from 0 to 1"
            ),
            (
                "unknown variable",
                {
                    $0["analysis"] = [
                        "metrics": [
                            ["name": "a", "kind": "Query", "query": "x{n=\"{{ ns }}\"}", "thresholdRange": ["max": 1]]
                        ]
                    ]
                }, "'{{ ns }}' is no variable"
            ),
        ]
        for (name, change, expected) in cases {
            let problems = Canary.problems(in: canary(change)).map(\.description)
            #expect(problems.contains { $0.contains(expected) }, "\(name): \(problems)")
            #expect(throws: FieldError.self, "\(name)") { try Canary(canary(change)) }
        }
        #expect(Canary.problems(in: canary()).isEmpty)
    }

    @Test func `rules of the other kinds name field and remedy`() {
        func problems<S, T>(_ kind: Resource<S, T>.Type, _ spec: JSONValue) -> String {
            var object = KubeObject(S.resource, namespace: "shop", name: "x")
            object.spec = spec
            return kind.problems(in: object).map(\.description).joined(separator: "\n")
        }
        #expect(problems(Mesh.self, ["revision": "a"]).contains("spec.revision: counts only with provider: Istio"))
        #expect(
            problems(Mesh.self, ["proxy": ["resources": ["requests": ["memory": "1Gi"]]]])
                .contains("spec.proxy.resources.requests.memory: 1Gi is more than the limit of 256Mi"))
        #expect(problems(Mesh.self, ["prometheus": ["address": "prom:9090"]]).contains("must be an http or https URL"))
        #expect(problems(Adoption.self, ["approvedPhase": "Strict"]).contains("counts only with approval: Manual"))
        #expect(problems(Adoption.self, ["targetPhase": "Pending"]).contains("is not one of Observe, Strict"))
        #expect(
            problems(
                Adoption.self,
                ["exceptions": [["client": "a/b/c", "owner": "me", "reason": "old", "expires": "2026-13-01"]]]
            )
            .contains("spec.exceptions[0].expires: '2026-13-01' is not in the calendar"))
        #expect(
            problems(Adoption.self, ["selector": ["matchExpressions": [["key": "a", "operator": "In"]]]])
                .contains("spec.selector.matchExpressions[0].values: needs at least one value with In"))
        #expect(
            problems(ServicePolicy.self, ["service": "a", "timeout": "1s", "retries": [["perTryTimeout": "2s"]]])
                .contains("spec.retries[0].perTryTimeout: 2s is longer than"))
        #expect(
            problems(ServicePolicy.self, ["service": "a", "retries": [["methods": ["GET"]], ["methods": ["GET"]]]])
                .contains("GET is named by an earlier entry"))
        #expect(
            problems(ServicePolicy.self, ["service": "a", "outlierDetection": ["consecutive5xxErrors": 0]])
                .contains("spec.outlierDetection: nothing is counted"))
        #expect(problems(MetricTemplate.self, ["query": "{{ target"]).contains("spec.query: a '{{' has no '}}'"))
    }

    @Test func `a template's variables are filled in`() throws {
        let text = #"rate(x{ns="{{ namespace }}",hash="{{track}}"}[{{ interval }}])"#
        #expect(
            try MetricTemplateSpec.render(text, [.namespace: "shop", .track: "abc", .interval: "30s"])
                == #"rate(x{ns="shop",hash="abc"}[30s])"#)
        #expect(throws: FieldError.self) { try MetricTemplateSpec.render(text, [.namespace: "shop"]) }
    }

    @Test func `canary pods follow the weight, rounded up, and are at least one`() {
        let cases: [(CanaryReplicas, Int, Int, Int)] = [
            (.init(), 4, 5, 1), (.init(), 10, 25, 3), (.init(), 0, 50, 1), (.init(percent: 50), 3, 1, 2),
            (.init(count: 2), 100, 50, 2), (.init(matchWeight: true), 4, 100, 4), (.init(), 4, 0, 1),
        ]
        for (replicas, stable, weight, expected) in cases {
            #expect(replicas.pods(stable: stable, weightPercent: weight) == expected)
        }
    }

    @Test func `decisions are bounded and a repeated one replaces itself`() {
        var decisions: [DecisionRecord] = []
        for second in 0..<50 {
            decisions.record(record(at: second, subject: "step 1", action: "Hold"))
        }
        #expect(decisions.count == 1)
        #expect(decisions.first?.at == Timestamp(Date(timeIntervalSince1970: 49)))
        for step in 0..<50 { decisions.record(record(at: 100 + step, subject: "step \(step)", action: "Advance")) }
        #expect(decisions.count == DecisionRecord.kept)
        #expect(decisions.last?.subject == "step 49")
    }

    private func record(at second: Int, subject: String, action: String) -> DecisionRecord {
        DecisionRecord(
            at: Timestamp(Date(timeIntervalSince1970: Double(second))), subject: subject, metric: "m", rule: "r",
            verdict: .insufficient, action: action)
    }

    @Test func `phases of an adoption are in order`() {
        #expect(AdoptionPhase.observe < .strict)
        #expect(AdoptionPhase.pending.next == .observe)
        #expect(AdoptionPhase.traffic.next == nil)
        #expect(AdoptionPhase.strict.previous == .observe)
    }
}
