import KubeCore

extension CanarySpec {
    package static let schema = Schema.object(
        "How changes of one Deployment are released.",
        [
            .required("targetRef", TargetRef.schema),
            .required("service", CanaryService.schema),
            .required(
                "steps",
                .list(
                    "The shares of traffic that a run goes through, in order. Weights may not fall.",
                    of: CanaryStep.schema,
                    minItems: 1, maxItems: 32,
                    rules: [
                        .init(
                            "self.map(step, step.weight).isSorted()",
                            "weights may not fall from one step to the next; order the steps by weight")
                    ])),
            .field("canaryReplicas", CanaryReplicas.schema.defaulting(to: [:])),
            .field("analysis", CanaryAnalysis.schema.defaulting(to: [:])),
            .field(
                "stepDeadline",
                .duration(
                    "Longest time that a step without its own deadline may take; then the run rolls back.",
                    default: "10m")),
            .field(
                "progressDeadline",
                .duration(
                    "Longest time for pods to become ready, at the start and at promotion; then the run rolls back.",
                    default: "10m")),
            .field(
                "bake", .duration("Time after promotion during which a regression still rolls back.", default: "1m")),
            .field("paused", .boolean("Holds a run where it is: weights stay and nothing is judged.", default: false)),
        ],
        rules: [
            .init(
                "self.steps.all(step, has(step.deadline) || duration(step.duration) <= duration(self.stepDeadline))",
                "stepDeadline ends before the duration of a step without a deadline of its own; raise it",
                messageExpression:
                    "'stepDeadline (' + self.stepDeadline + ') ends before the duration of a step without a deadline "
                    + "of its own; raise it'",
                at: ".stepDeadline")
        ])
}

extension TargetRef {
    package static let schema = Schema.object(
        "The workload whose changes are released, in the same namespace.",
        [
            .field("apiVersion", .choice("Its API version.", of: [SoleChoice.appsV1], default: .appsV1)),
            .field("kind", .choice("Its kind.", of: [SoleChoice.deployment], default: .deployment)),
            .required("name", .string("Its name.", pattern: .dnsName, minLength: 1, maxLength: 253)),
        ])

    private enum SoleChoice: String {
        case appsV1 = "apps/v1"
        case deployment = "Deployment"
    }
}

extension CanaryService {
    package static let schema = Schema.object(
        "The Service that clients call the workload by, in the same namespace.",
        [
            .required("name", .string("Its name.", pattern: .dnsLabel, minLength: 1, maxLength: 63)),
            .required(
                "port",
                .integer("The Service's port number (not the container's).", unit: .port, minimum: 1, maximum: 65535)),
        ])
}

extension CanaryStep {
    package static let schema = Schema.object(
        "One share of traffic, held until its evidence is in.",
        [
            .required(
                "weight", .integer("Share of requests that go to the canary.", unit: .percent, minimum: 0, maximum: 100)
            ),
            .field("duration", .duration("Shortest time at this weight.", default: "1m")),
            .field(
                "minSamples",
                .integer(
                    "Fewest canary requests at this step for a verdict.", unit: .requests, minimum: 0, default: 100)),
            .field("deadline", .duration("Longest time at this weight; without it, spec.stepDeadline.")),
            .field(
                "pause",
                .boolean(
                    "Waits for a person's approval at the end of the step; its deadline does not run meanwhile.",
                    default: false)),
        ],
        rules: [
            .init(
                "!has(self.deadline) || duration(self.duration) <= duration(self.deadline)",
                "the step's deadline ends before its duration; raise the deadline",
                messageExpression:
                    "'the deadline (' + self.deadline + ') ends before the duration (' + self.duration "
                    + "+ '); raise the deadline'",
                at: ".deadline")
        ])
}

extension CanaryReplicas {
    package static let schema = Schema.object(
        "How many canary pods run; set at most one. Without any, as many as the weight is worth.",
        [
            .field("count", .integer("A fixed number of pods.", unit: .pods, minimum: 1, maximum: 10000)),
            .field(
                "percent",
                .integer("Share of the number of stable pods, rounded up.", unit: .percent, minimum: 1, maximum: 100)),
            .field(
                "matchWeight", .boolean("As many pods as the step's weight is worth of the stable pods, rounded up.")),
        ],
        rules: [
            .init(
                "(has(self.count) ? 1 : 0) + (has(self.percent) ? 1 : 0) + (has(self.matchWeight) && self.matchWeight ? 1 : 0) <= 1",
                "set at most one of count, percent and matchWeight")
        ])
}

extension CanaryAnalysis {
    package static let schema = Schema.object(
        "How a run is judged.",
        [
            .field(
                "interval",
                .duration(
                    "Time between two looks at the metrics; at least 1s.", default: "5s",
                    rules: [
                        .init(
                            "duration(self) >= duration('1s')", "is too short; write at least 1s",
                            messageExpression: "self + ' is too short; write at least 1s'")
                    ])),
            .field(
                "alpha",
                .number(
                    "Highest chance that an equally good version is ever rejected, over all metrics and looks.",
                    unit: .probability,
                    minimum: 0.0001, maximum: 0.2, default: 0.01)),
            .field(
                "tolerance",
                .number(
                    "Odds of failure, as a multiple of the stable version's, that are still accepted.",
                    unit: .oddsRatio, minimum: 1,
                    maximum: 10, default: 1)),
            .field(
                "advanceOn",
                .choice(
                    "NoHarm: a step advances when enough was seen and nothing was found against it. ProvenSafe: when it is shown that failures did not double.",
                    of: AdvanceOn.allCases, default: .noHarm)),
            .field(
                "onInsufficientEvidence",
                .choice(
                    "What too little evidence leads to: Hold until the deadline and roll back, Extend the deadline once, Pass, or Fail.",
                    of: InsufficientEvidencePolicy.allCases, default: .hold)),
            .field(
                "metrics",
                .list(
                    "What is measured.", of: CanaryMetric.schema, type: .map(keys: ["name"]), minItems: 1, maxItems: 16,
                    rules: [
                        .init(
                            "self.exists(metric, !has(metric.critical) || metric.critical)",
                            "no metric is critical, so nothing could fail a run; set critical: true on one")
                    ]
                ).defaulting(to: [["name": "success-ratio", "kind": "SuccessRatio"]])),
        ])
}

extension CanaryMetric {
    package static let schema = Schema.object(
        "One measurement that can fail a release.",
        [
            .required(
                "name",
                .string("Names the metric in status and records.", pattern: .dnsLabel, minLength: 1, maxLength: 63)),
            .required(
                "kind",
                .choice(
                    "SuccessRatio and Latency compare canary with stable; Query holds a PromQL value against thresholdRange.",
                    of: Kind.allCases)),
            .field(
                "latencyBound",
                .duration("Latency: slower requests count as failed. Must be a bucket edge of the latency histogram.")),
            .field("thresholdRange", ThresholdRange.schema),
            .field(
                "query",
                .string(
                    "Query: PromQL that yields one number, with the variables of a MetricTemplate.", minLength: 1,
                    maxLength: 4096, rules: [MetricTemplateSpec.variablesRule])),
            .field("templateRef", TemplateRef.schema),
            .field(
                "critical", .boolean("Whether the metric can fail a run; otherwise it is only recorded.", default: true)
            ),
            .field(
                "onInsufficientEvidence",
                .choice(
                    "As spec.analysis.onInsufficientEvidence, for this metric.", of: InsufficientEvidencePolicy.allCases
                )),
        ],
        rules: [
            .init(
                "self.kind != 'Latency' || has(self.latencyBound)",
                "a Latency metric needs it; write e.g. 250ms", at: ".latencyBound", reason: .required),
            .init(
                "self.kind != 'Query' || has(self.query) != has(self.templateRef)",
                "a Query metric needs either query or templateRef", at: ".query", reason: .required),
            .init(
                "self.kind != 'Query' || has(self.thresholdRange)",
                "a Query metric needs min or max", at: ".thresholdRange", reason: .required),
            .init(
                "self.kind == 'Query' || (!has(self.query) && !has(self.templateRef))",
                "query and templateRef belong to kind Query; remove them or change the kind", at: ".query",
                reason: .forbidden),
            .init(
                "self.kind == 'Query' || !has(self.thresholdRange) || ("
                    + ["min", "max"].map {
                        "(!has(self.thresholdRange.\($0)) || "
                            + "(self.thresholdRange.\($0) >= 0.0 && self.thresholdRange.\($0) <= 1.0))"
                    }.joined(separator: " && ") + ")",
                "is a ratio from 0 to 1; write 0.99 for 99 %", at: ".thresholdRange"),
        ])
}

extension ThresholdRange {
    package static let schema = Schema.object(
        "Inclusive absolute bounds: a ratio from 0 to 1, or the query's unit.",
        [
            .field("min", .number("Lowest accepted value.", unit: .metric)),
            .field("max", .number("Highest accepted value.", unit: .metric)),
        ],
        rules: [
            .init("has(self.min) || has(self.max)", "set min or max", reason: .required),
            .init(
                "!has(self.min) || !has(self.max) || self.min <= self.max", "is above max; exchange them", at: ".min"),
        ])
}

extension TemplateRef {
    package static let schema = Schema.object(
        "A MetricTemplate of the same namespace.",
        [.required("name", .string("Its name.", pattern: .dnsName, minLength: 1, maxLength: 253))])
}
