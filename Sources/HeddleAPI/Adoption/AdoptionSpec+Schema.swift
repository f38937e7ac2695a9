import KubeCore

extension AdoptionSpec {
    /// The phases that can be asked for.
    package static let targets = AdoptionPhase.allCases.filter { $0 != .pending }

    package static let schema = Schema.object(
        "How the workloads of one namespace enter the mesh.",
        [
            .field(
                "selector",
                Schema.labelSelector("Selects Deployments of the namespace by their labels; empty selects all.")
                    .defaulting(to: [:])),
            .field("targetPhase", .choice("The phase to reach.", of: targets, default: .observe)),
            .field(
                "approval",
                .choice(
                    "Whether each phase after Observe needs spec.approvedPhase.", of: Approval.allCases,
                    default: .automatic)),
            .field("approvedPhase", .choice("With Manual approval: the furthest phase that is approved.", of: targets)),
            .field("paused", .boolean("Holds everything where it is.", default: false)),
            .field("batch", AdoptionBatch.schema.defaulting(to: [:])),
            .field("observe", ObserveGates.schema.defaulting(to: [:])),
            .field("strict", StrictGates.schema.defaulting(to: [:])),
            .field("resilience", ResilienceGates.schema.defaulting(to: [:])),
            .field("traffic", TrafficGates.schema.defaulting(to: [:])),
            .field(
                "exceptions",
                .list(
                    "Clients that may go on speaking plaintext for a while.", of: AdoptionException.schema, maxItems: 64
                ).defaulting(to: [])),
            .field(
                "phaseDeadline",
                .duration("Longest time that a phase may take before it is reported as stuck; without it, no limit.")),
        ],
        rules: [
            .init(
                "self.approval == 'Manual' || !has(self.approvedPhase)",
                "approvedPhase counts only with approval: Manual; remove it or set approval", at: ".approvedPhase",
                reason: .forbidden)
        ])
}

extension AdoptionBatch {
    package static let schema = Schema.object(
        "How many workloads change at once.",
        [
            .field(
                "maxWorkloads",
                .integer("Workloads in one batch.", unit: .workloads, minimum: 1, maximum: 100, default: 1)),
            .field("pause", .duration("Time between the end of a batch and the start of the next.", default: "10s")),
            .field(
                "workloadDeadline",
                .duration(
                    "Longest time for a workload to become ready after a restart; then it is stepped back.",
                    default: "5m")),
        ])
}

extension ObserveGates {
    package static let schema = Schema.object(
        "What lets the Observe phase end.",
        [
            .field("soak", .duration("Time that all gates must hold.", default: "10m")),
            .field(
                "maxAddedLatencyP99",
                .duration("Highest latency that the mesh may add to the 99th percentile, per hop.", default: "10ms")),
            .field("maxProxyMemory", .quantity("Highest memory of one sidecar.", unit: .bytes, default: "150Mi")),
            .field(
                "requireTraces", .boolean("Whether traces must arrive too, and agree with the metrics.", default: false)
            ),
        ])
}

extension StrictGates {
    package static let schema = Schema.object(
        "What lets the Strict phase start and end.",
        [
            .field("window", .duration("Time without plaintext from clients that have no exception.", default: "168h")),
            .field("soak", .duration("Time after each step before the next.", default: "10m")),
            .field(
                "maxConnectionFailures",
                .integer(
                    "Failed connections to a workload, beyond those before it became strict, that still keep the step.",
                    unit: .connections,
                    minimum: 0, default: 0)),
            .field(
                "minCertificateValidity", .duration("Certificates must be valid for at least this long.", default: "1h")
            ),
        ])
}

extension ResilienceGates {
    package static let schema = Schema.object(
        "What lets the Resilience phase end.",
        [
            .field("soak", .duration("Time that all gates must hold.", default: "10m")),
            .field(
                "maxErrorRatioIncrease",
                .number(
                    "Highest rise of the error ratio over the phase's start.", unit: .ratio, minimum: 0, maximum: 1,
                    default: 0.01)),
            .field(
                "retryAmplificationMax",
                .number(
                    "Highest ratio of tries to requests.", unit: .triesPerRequest, minimum: 1, maximum: 10, default: 1.2
                )),
        ])
}

extension TrafficGates {
    package static let schema = Schema.object(
        "What the Traffic phase watches; it is the end state.",
        [.field("soak", .duration("Time that all gates must hold before the phase counts as complete.", default: "0s"))]
    )
}

extension AdoptionException {
    package static let schema = Schema.object(
        "A client that may go on speaking plaintext, the person who answers for it, and an end.",
        [
            .required(
                "client",
                .string(
                    "A workload (name or namespace/name) or an IP address.", minLength: 1, maxLength: 317,
                    rules: [
                        .init(
                            #"self.matches('^[^/\\s]+(/[^/\\s]+)?$')"#,
                            "must be a workload's name, namespace/name or an IP address",
                            messageExpression:
                                #""'" + self + "' must be a workload's name, namespace/name or an IP address""#)
                    ])),
            .field(
                "workload",
                .string("The workload that it may call; without it, all.", pattern: .dnsName, maxLength: 253)),
            .field("port", .integer("The container port; without it, all.", unit: .port, minimum: 1, maximum: 65535)),
            .required("owner", .string("Who answers for it: a person or a team.", minLength: 1, maxLength: 253)),
            .required("reason", .string("Why it is needed.", minLength: 1, maxLength: 1024)),
            .required("expires", .day("The last day on which it holds.")),
        ])
}
