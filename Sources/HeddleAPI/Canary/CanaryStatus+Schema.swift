import KubeCore

extension CanaryStatus {
    package static let schema = Schema.object(
        "Where the release stands.",
        [
            .field("observedGeneration", .observedGeneration),
            .field("phase", .choice("The state of the release.", of: CanaryPhase.allCases).absent("Idle")),
            .field("waitingFor", .choice("Why the phase does not move on just now.", of: CanaryWait.allCases)),
            .field("step", .integer("Index into spec.steps of the running step, from 0.", unit: .index, minimum: 0)),
            .field(
                "desiredWeightPercent",
                .integer(
                    "Share of requests wanted on the canary: what routes are compared with.", unit: .percent,
                    minimum: 0,
                    maximum: 100
                ).absent(0)),
            .field("observedWeightPercent", .number("Share of requests measured on the canary.", unit: .percent)),
            .field("stableHash", .string("pod-template-hash of the pods that serve as stable.")),
            .field("canaryHash", .string("pod-template-hash of the canary pods.")),
            .field("change", CanaryChanges.schema.absent([:])),
            .field("runId", .string("Names the run; approvals carry it.")),
            .field("startedAt", .time("When the run started.")),
            .field("phaseStartedAt", .time("When the phase started.")),
            .field("stepStartedAt", .time("When the running step got its weight.")),
            .field("deadlineAt", .time("When the phase or step ends, whatever the evidence.")),
            .field(
                "deadlineExtended", .boolean("Whether the running step's deadline was doubled.").absent(false)),
            .field("stableReadyPods", .integer("Ready pods of the stable version.", unit: .pods, minimum: 0)),
            .field("canaryReadyPods", .integer("Ready pods of the canary.", unit: .pods, minimum: 0)),
            .field(
                "stepTraffic",
                TrackCounts.schema.described("Requests since the running step's weight was confirmed.").absent([:])),
            .field(
                "evidence",
                .list("What is known of each metric.", of: MetricEvidence.schema, type: .map(keys: ["metric"])).absent(
                    [])),
            .field("decisions", .decisions),
            .field("message", .string("The state in one sentence.")),
            .field("conditions", .conditions),
        ])
}

extension CanaryChanges {
    package static let schema = Schema.object(
        "Hashes of pod templates, with the version of the hash, such as v1:abcdef.",
        [
            .field("running", .string("The change of the run under way.")),
            .field("promoted", .string("The last change that was promoted, or that ran before the first run.")),
            .field("rejected", .string("The last change that was rolled back.")),
        ])
}

extension MetricEvidence {
    package static let schema = Schema.object(
        "What is known of one metric in a run.",
        [
            .required("metric", .string("The metric's name.")),
            .field("counts", TrackCounts.schema.described("Counts since the start of the run.").absent([:])),
            .field("stepCounts", TrackCounts.schema.described("Counts since the start of the step.").absent([:])),
            .field("lastCounters", TrackCounters.schema),
            .field("lastSampleAt", .time("When the counters were last read.")),
            .field(
                "intervals",
                .integer("Number of intervals that said something.", unit: .intervals, minimum: 0).absent(0)),
            .field(
                "logSums",
                .list(
                    "Natural log of the e-values against an equal canary, one per odds ratio.",
                    of: .number("A log e-value.", unit: .nats)
                )
                .absent([])),
            .field(
                "safeLogSums",
                .list(
                    "Natural log of the e-values against a worse canary, one per odds ratio.",
                    of: .number("A log e-value.", unit: .nats)
                )
                .absent([])),
            .field(
                "restartLogSums",
                .list(
                    "Natural log of the weighted sums of restarts, one per odds ratio.",
                    of: .number("A log e-value.", unit: .nats)
                )
                .absent([])),
            .field("value", .number("Query: the last value.", unit: .metric)),
            .field("problem", .string("Why the source's last answer is no number.")),
        ])
}

extension TrackCounts {
    package static let schema = Schema.object(
        "Requests and failures per track.",
        [
            .field("canaryRequests", .integer("Requests to the canary.", unit: .requests, minimum: 0).absent(0)),
            .field("canaryFailures", .integer("Failures among them.", unit: .requests, minimum: 0).absent(0)),
            .field(
                "stableRequests", .integer("Requests to the stable version.", unit: .requests, minimum: 0).absent(0)),
            .field("stableFailures", .integer("Failures among them.", unit: .requests, minimum: 0).absent(0)),
        ])
}

extension TrackCounters {
    package static let schema = Schema.object(
        "The metrics source's cumulative counters at the last sample.",
        [
            .required("canaryRequests", .number("Requests to the canary.", unit: .requests)),
            .required("canaryFailures", .number("Failures among them.", unit: .requests)),
            .required("stableRequests", .number("Requests to the stable version.", unit: .requests)),
            .required("stableFailures", .number("Failures among them.", unit: .requests)),
        ])
}
