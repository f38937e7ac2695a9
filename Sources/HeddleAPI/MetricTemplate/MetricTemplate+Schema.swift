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
                    minLength: 1, maxLength: 4096, rules: [variablesRule])),
        ])

    /// Every `{{` opens one of the variables.
    static let variablesRule = Schema.Rule(
        #"self.matches('^([^{]|[{][^{]|[{][{] *("# + Variable.allCases.map(\.rawValue).joined(separator: "|")
            + #") *[}][}])*$')"#,
        "has an unknown variable or a '{{' without '}}'; there are "
            + Variable.allCases.map { "{{ \($0.rawValue) }}" }.joined(separator: ", "))
}

extension MetricTemplateStatus {
    package static let schema = Schema.object(
        "What became of the template.",
        [
            .field("observedGeneration", .observedGeneration),
            .field("conditions", .conditions),
        ])
}
