import KubeCore

// Schemas of types that several kinds use.

extension Schema {
    /// `status.observedGeneration`.
    static let observedGeneration = Schema.integer(
        "The metadata.generation that this status describes.", unit: .generation, minimum: 0
    ).absent(0)

    /// `status.conditions`, merged by type.
    static let conditions = Schema.list(
        "The aspects of this object's state; Ready is derived from the others.",
        of: .object(
            "One aspect of the state.",
            [
                .required("type", .string("The aspect, in PascalCase.", maxLength: 316)),
                .required("status", .choice("True, False or Unknown.", of: [Condition.Status.true, .false, .unknown])),
                .field(
                    "observedGeneration",
                    .integer("The metadata.generation that this was said of.", unit: .generation, minimum: 0)),
                .required("lastTransitionTime", .time("When the status last changed.")),
                .required(
                    "reason", .string("Why, as one PascalCase word from a closed list.", minLength: 1, maxLength: 1024)),
                .required("message", .string("Why, as a sentence.", maxLength: 32768)),
            ]), type: .map(keys: ["type"])
    ).absent([])

    static let decisions = Schema.list(
        "The last \(DecisionRecord.kept) decisions with their evidence, newest last.", of: DecisionRecord.schema,
        maxItems: DecisionRecord.kept
    ).absent([])

    /// A Kubernetes label selector.
    static func labelSelector(_ description: String) -> Schema {
        var schema = Schema.object(
            description,
            [
                .field(
                    "matchLabels",
                    .map(
                        "Labels that must have exactly these values.", of: .string("The label's value.", maxLength: 63))
                ),
                .field(
                    "matchExpressions",
                    .list(
                        "Requirements that must all hold.",
                        of: .object(
                            "One requirement on one label.",
                            [
                                .required("key", .string("The label's name.", minLength: 1, maxLength: 317)),
                                .required(
                                    "operator",
                                    .choice(
                                        "How the label relates to the values.",
                                        of: [LabelSelector.Requirement.Operator.in, .notIn, .exists, .doesNotExist])),
                                .field(
                                    "values",
                                    .list(
                                        "For In and NotIn.", of: .string("A value of the label.", maxLength: 63),
                                        maxItems: 128)),
                            ],
                            rules: [
                                .init(
                                    "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
                                    "In and NotIn need at least one value, Exists and DoesNotExist none",
                                    messageExpression:
                                        "(self.operator in ['In', 'NotIn'] ? 'needs at least one value' : 'must be empty') "
                                        + "+ ' with ' + self.operator",
                                    at: ".values")
                            ]), maxItems: 64)),
            ])
        schema.isAtomic = true
        return schema
    }
}

extension DecisionRecord {
    package static let schema = Schema.object(
        "One decision with its evidence.",
        [
            .required("at", .time("When it was taken.")),
            .required("subject", .string("What was judged, such as a step, a workload or a phase.")),
            .required("metric", .string("The metric or gate.")),
            .field("query", .string("The query as it was sent to the metrics source.")),
            .field("n", Samples.schema),
            .field("estimate", .number("The measured value.", unit: .metric)),
            .field("bound", .number("What the estimate is held against.", unit: .metric)),
            .required("rule", .string("The rule in words, with its parameters.")),
            .required("verdict", .choice("The answer.", of: Verdict.allCases)),
            .required("action", .string("What Heddle did.")),
            .field("wouldChange", .string("What would have changed the decision.")),
            .field("explanation", .string("The decision in full sentences.")),
        ])
}

extension DecisionRecord.Samples {
    package static let schema = Schema.object(
        "The number of requests that the decision rests on.",
        [
            .required(
                "canary", .integer("Requests to the canary, or of the only population.", unit: .requests, minimum: 0)),
            .field("stable", .integer("Requests to the stable version.", unit: .requests, minimum: 0)),
        ])
}
