import KubeCore

extension AdoptionStatus {
    package static let schema = Schema.object(
        "Where the adoption stands.",
        [
            .field("observedGeneration", .observedGeneration),
            .field(
                "phase", .choice("The phase that the namespace is in.", of: AdoptionPhase.allCases).absent("Pending")),
            .field("phaseStartedAt", .time("When the phase started.")),
            .field(
                "state", .choice("What happens within the phase.", of: AdoptionState.allCases).absent("Progressing")),
            .field("gatesHeldSince", .time("Since when all gates of the phase hold.")),
            .field("batchEndedAt", .time("When the last batch ended.")),
            .field(
                "workloads",
                .list("The workloads, by name.", of: WorkloadStatus.schema, type: .map(keys: ["name"])).absent([])),
            .field("blockers", .list("What keeps the phase from going on.", of: Blocker.schema).absent([])),
            .field("measurements", AdoptionMeasurements.schema.absent([:])),
            .field("decisions", .decisions),
            .field("message", .string("The state in one sentence.")),
            .field("conditions", .conditions),
        ])
}

extension WorkloadStatus {
    package static let schema = Schema.object(
        "One workload on its way into the mesh.",
        [
            .required("name", .string("The Deployment's name.")),
            .required("state", .choice("How far it is.", of: State.allCases)),
            .field("mtls", .choice("The mutual TLS mode that Heddle asked for.", of: MutualTLS.allCases)),
            .field("podsMeshed", .integer("Ready pods with a sidecar.", unit: .pods, minimum: 0).absent(0)),
            .field("podsTotal", .integer("Pods that it should have.", unit: .pods, minimum: 0).absent(0)),
            .field("restartedAt", .time("When Heddle last restarted it.")),
            .field("strictAt", .time("When it became strict.")),
            .field(
                "connectionFailuresBefore",
                .integer(
                    "Failed connections before it became strict, over the same time as its soak.", unit: .connections,
                    minimum: 0)),
            .field("restore", .list("What undoes each change, newest last.", of: RestoreRecord.schema).absent([])),
            .field(
                "attempts", .integer("How often the workload was stepped back.", unit: .times, minimum: 0).absent(0)),
            .field("message", .string("Its state in one sentence.")),
        ])
}

extension RestoreRecord {
    package static let schema = Schema.object(
        "One change of Heddle's and its undoing, written before the change.",
        [
            .required("phase", .choice("The phase that made the change.", of: AdoptionPhase.allCases)),
            .required("resource", .string("The changed object's resource, such as deployments.apps.")),
            .required("name", .string("The changed object's name.")),
            .field(
                "patch",
                .string(
                    "A JSON merge patch that puts the old values back; without it, the object is Heddle's and is deleted."
                )),
        ])
}

extension Blocker {
    package static let schema = Schema.object(
        "What keeps a phase from going on.",
        [
            .required("gate", .choice("The gate that does not hold.", of: AdoptionGate.allCases)),
            .field("workload", .string("The workload concerned.")),
            .field("client", .string("The client concerned: namespace/name where known, else an IP address.")),
            .field("port", .integer("The container port concerned.", unit: .port, minimum: 1, maximum: 65535)),
            .field(
                "count", .integer("Requests or connections seen within the gate's window.", unit: .requests, minimum: 0)
            ),
            .required("message", .string("What is wrong and what to do.")),
            .required("since", .time("When it was first seen.")),
        ])
}

extension AdoptionMeasurements {
    package static let schema = Schema.object(
        "The last measurements.",
        [
            .field("at", .time("When they were taken.")),
            .field("addedLatencyP50Ms", .number("Latency that the mesh adds per hop, median.", unit: .milliseconds)),
            .field(
                "addedLatencyP99Ms",
                .number("Latency that the mesh adds per hop, 99th percentile.", unit: .milliseconds)),
            .field("proxyMemoryBytes", .integer("Memory of the sidecar that uses most.", unit: .bytes, minimum: 0)),
            .field(
                "mutualTLSRequests",
                .integer("Requests over mutual TLS within the strict window.", unit: .requests, minimum: 0)),
            .field(
                "plaintextRequests",
                .integer("Requests in plaintext within the strict window.", unit: .requests, minimum: 0)),
            .field("errorRatioBaseline", .number("Failed share of requests when the phase started.", unit: .ratio)),
            .field("errorRatio", .number("Failed share of requests now.", unit: .ratio)),
            .field(
                "latencyP99BaselineMs",
                .number("99th percentile of latency when the phase started.", unit: .milliseconds)),
            .field("latencyP99Ms", .number("99th percentile of latency now.", unit: .milliseconds)),
            .field("retryAmplification", .number("Tries per request.", unit: .triesPerRequest)),
            .field("tracesReceived", .integer("Traces that arrived within the soak.", unit: .traces, minimum: 0)),
            .field("certificateNotAfter", .time("The earliest end of a workload's certificate.")),
        ])
}
