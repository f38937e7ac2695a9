import KubeCore
import Testing

@testable import HeddleAPI

/// The one test that lets schema and Swift type be written side by side without drifting apart.
@Suite struct SchemaAgreementTests {
    private func expectAgreement<T: SchemaDescribed>(_ type: T.Type) throws {
        let example = T.schema.example
        let value = try T.read(example, at: "")
        let named = T.schema.paths()
        #expect(value.json.paths(like: T.schema) == named, "\(type): coded members and schema differ")
        #expect(storedPaths(of: value) == named, "\(type): stored properties and schema differ")
        #expect(value.json == example, "\(type): a full value does not survive decoding and encoding")
    }

    @Test func `every property of a schema is a member of its type and the other way round`() throws {
        try expectAgreement(MeshSpec.self)
        try expectAgreement(MeshStatus.self)
        try expectAgreement(AdoptionSpec.self)
        try expectAgreement(AdoptionStatus.self)
        try expectAgreement(CanarySpec.self)
        try expectAgreement(CanaryStatus.self)
        try expectAgreement(ServicePolicySpec.self)
        try expectAgreement(ServicePolicyStatus.self)
        try expectAgreement(MetricTemplateSpec.self)
        try expectAgreement(MetricTemplateStatus.self)
        try expectAgreement(DecisionRecord.self)
    }

    @Test func `defaults of a schema equal the Swift defaults`() throws {
        #expect(try MeshSpec.read([:], at: "") == MeshSpec())
        #expect(try MeshStatus.read([:], at: "") == MeshStatus())
        #expect(try AdoptionSpec.read([:], at: "") == AdoptionSpec())
        #expect(try AdoptionStatus.read([:], at: "") == AdoptionStatus())
        #expect(try CanaryStatus.read([:], at: "") == CanaryStatus())
        #expect(try ServicePolicyStatus.read([:], at: "") == ServicePolicyStatus())
        #expect(try MetricTemplateStatus.read([:], at: "") == MetricTemplateStatus())
        #expect(try ServicePolicySpec.read(["service": "web"], at: "") == ServicePolicySpec(service: "web"))
        #expect(try MetricTemplateSpec.read(["query": "up"], at: "") == MetricTemplateSpec(query: "up"))
        #expect(
            try CanarySpec.read(
                ["targetRef": ["name": "web"], "service": ["name": "web", "port": 80], "steps": [["weight": 5]]], at: ""
            )
                == CanarySpec(
                    targetRef: TargetRef(name: "web"), service: CanaryService(name: "web", port: 80),
                    steps: [CanaryStep(weight: 5)]))
    }

    @Test func `defaults of nested types equal the Swift defaults`() throws {
        #expect(try RetryPolicy.read([:], at: "") == RetryPolicy())
        #expect(try RetryBudget.read([:], at: "") == RetryBudget())
        #expect(try OutlierDetection.read([:], at: "") == OutlierDetection())
        #expect(try TracingBackend.read(["address": "a:1"], at: "") == TracingBackend(address: "a:1"))
        #expect(try PrometheusSource.read(["address": "http://a"], at: "") == PrometheusSource(address: "http://a"))
        #expect(
            try CanaryMetric.read(["name": "m", "kind": "Query"], at: "") == CanaryMetric(name: "m", kind: .query))
        #expect(try MetricEvidence.read(["metric": "m"], at: "") == MetricEvidence(metric: "m"))
        #expect(
            try WorkloadStatus.read(["name": "web", "state": "NotMeshed"], at: "") == WorkloadStatus(name: "web"))
    }

    @Test func `Heddle's own literals are durations and quantities`() {
        #expect(AdoptionSpec().strict.window.seconds == 168 * 3600)
        #expect(AdoptionSpec().observe.maxProxyMemory.value == 150 * 1_048_576)
        #expect(MeshSpec().proxy.resources.requests.cpu?.value == 0.02)
        #expect(CanaryAnalysis().interval.seconds == 5)
    }

    @Test func `every published field has a description, and every number, duration, quantity and time a unit`() {
        for definition in CustomResourceDefinition.heddle + CustomResourceDefinition.istio {
            for root in [definition.spec, definition.status] {
                for bad in undescribed(root.openAPI, at: definition.resource.kind) { Issue.record("\(bad)") }
            }
        }
        let bare = Schema(.integer, "Pods that run.").openAPI
        #expect(undescribed(bare, at: "x") == ["x has no unit"], "the check can fail")
    }

    /// Reads what is published: whatever way a field came about, `kubectl explain` shows no less.
    private func undescribed(_ schema: JSONValue, at path: String) -> [String] {
        let description = schema["description"]?.string ?? ""
        var found = description.hasSuffix(".") && description.count > 4 ? [] : ["\(path) has no description"]
        let type = schema["type"]?.string
        let isMeasured =
            type == "integer" || type == "number" || schema["format"] != nil
            || [Pattern.duration.expression, Pattern.quantity.expression].contains(schema["pattern"]?.string)
        let units = Schema.Unit.allCases.map { "Unit: \($0.rawValue)." }
        if isMeasured, !units.contains(where: description.hasSuffix) { found.append("\(path) has no unit") }
        for (name, child) in schema["properties"]?.object ?? [:] { found += undescribed(child, at: "\(path).\(name)") }
        if let items = schema["items"] { found += undescribed(items, at: "\(path)[]") }
        if let values = schema["additionalProperties"] { found += undescribed(values, at: "\(path)[*]") }
        return found
    }

    @Test func `every published list says how server-side apply merges it`() {
        func lists(_ schema: JSONValue) -> [JSONValue] {
            let inner =
                [schema["items"], schema["additionalProperties"]].compactMap { $0 }
                + (schema["properties"]?.object ?? [:]).map { $0.value }
            return (schema["type"] == "array" ? [schema] : []) + inner.flatMap(lists)
        }
        let all = CustomResourceDefinition.heddle.flatMap { lists($0.spec.openAPI) + lists($0.status.openAPI) }
        #expect(all.count > 15)
        for list in all { #expect(list["x-kubernetes-list-type"] != nil) }
    }
}
