import KubeCore

extension MetricTemplateSpec {
    package static let schema = Schema.object(
        "A PromQL query that several Canaries share.",
        [
            .field("description", .string("What the query measures, and its unit.", maxLength: 1024)),
            .required(
                "query",
                .string(
                    "PromQL that yields one number. Variables: \(Variable.allCases.map { "{{ \($0.rawValue) }}" }.joined(separator: ", ")).",
                    minLength: 1, maxLength: 4096)),
        ])
}

extension MetricTemplateStatus {
    package static let schema = Schema.object(
        "What became of the template.",
        [
            .field("observedGeneration", .observedGeneration),
            .field("conditions", .conditions),
        ])
}
