package import KubeCore

/// Where a release stands.
package struct CanaryStatus: SchemaDescribed {
    package var observedGeneration = 0
    package var phase = CanaryPhase.idle
    /// Why the phase does not move on just now; nil when it does.
    package var waitingFor: CanaryWait?
    /// Index into `spec.steps` of the running step; nil outside a run.
    package var step: Int?
    /// Share of requests that Heddle wants on the canary, in percent. The truth: routes are compared with it.
    package var desiredWeightPercent = 0
    /// Share of requests that was last measured on the canary, in percent; nil before the first measurement.
    package var observedWeightPercent: Double?
    /// `pod-template-hash` of the pods that serve as stable.
    package var stableHash: String?
    /// `pod-template-hash` of the canary pods.
    package var canaryHash: String?
    package var change = CanaryChanges()
    /// Names one run; part of approvals, so that an old approval cannot pass a new run.
    package var runId: String?
    package var startedAt: Timestamp?
    package var phaseStartedAt: Timestamp?
    /// When the running step got its weight.
    package var stepStartedAt: Timestamp?
    /// When the phase or step ends by its named exit, whatever the evidence.
    package var deadlineAt: Timestamp?
    /// The deadline of the running step was doubled once (`Extend`).
    package var deadlineExtended = false
    package var stableReadyPods: Int?
    package var canaryReadyPods: Int?
    /// Requests since the running step's weight was confirmed; the measured split is checked on them.
    package var stepTraffic = TrackCounts()
    /// One entry a metric, in the spec's order.
    package var evidence: [MetricEvidence] = []
    /// The last 20, newest last.
    package var decisions: [DecisionRecord] = []
    /// One sentence for people.
    package var message: String?
    package var conditions: [Condition] = []

    package init() {}
}

/// The closed set of states of a release. Every state that waits has a deadline.
package enum CanaryPhase: String, Sendable, Codable, CaseIterable {
    /// No change waits. Exits: `starting` on a new change; `waitingForPhase`; `failed` when the target is missing or bad.
    case idle = "Idle"
    /// A change waits until its namespace's Adoption reaches Traffic. Exits: `starting`; `idle` when the change is
    /// withdrawn. Has no deadline: it waits for a person's plan, and says so.
    case waitingForPhase = "WaitingForPhase"
    /// The canary Deployment starts, at 0 %. Exits: `progressing` when it is ready; `rollingBack` at `progressDeadline`,
    /// by abort, or when a newer change supersedes this one.
    case starting = "Starting"
    /// Steps through the weights. Exits: `promoting` after the last step; `rollingBack` on a failed metric, a deadline, an
    /// abort or a newer change.
    case progressing = "Progressing"
    /// The Deployment rolls the change natively while the canary carries its last weight. Exits: `baking` when rolled
    /// out; `rollingBack` on a failed metric or at `progressDeadline`.
    case promoting = "Promoting"
    /// All traffic is on the promoted pods; canary pods stay for a quick answer. Exits: `succeeded` after `bake`;
    /// `rollingBack` on a failed metric.
    case baking = "Baking"
    /// The weight is 0 %; canary pods drain. Exits: `rolledBack` when the route is confirmed and the canary is gone;
    /// `starting` follows from there for a newer change.
    case rollingBack = "RollingBack"
    /// Exits: `starting` on a new change; `idle` otherwise stays as history.
    case succeeded = "Succeeded"
    /// The Deployment stays paused on the rejected template; stable pods serve. Exits: `starting` on a change that is not
    /// the rejected one; `idle` when the stable template is put back.
    case rolledBack = "RolledBack"
    /// The spec or the target is bad: nothing was changed. Exits: `idle` when it is corrected.
    case failed = "Failed"

    /// A run is under way: routes or canary pods may exist.
    package var isRunning: Bool {
        switch self {
        case .starting, .progressing, .promoting, .baking, .rollingBack: true
        case .idle, .waitingForPhase, .succeeded, .rolledBack, .failed: false
        }
    }
}

/// Why a phase holds.
package enum CanaryWait: String, Sendable, Codable, CaseIterable {
    case paused = "Paused"
    case approval = "Approval"
    case adoptionPhase = "AdoptionPhase"
    case canaryPods = "CanaryPods"
    case stablePods = "StablePods"
    /// The split that is measured, or that proxies acknowledged, is not yet the desired one.
    case observedSplit = "ObservedSplit"
    case stepDuration = "StepDuration"
    case samples = "Samples"
    case evidence = "Evidence"
    case metricsSource = "MetricsSource"
    case bake = "Bake"
}

/// Hashes of pod templates as the release engine tells changes apart, versioned: `v1:abcdef`.
package struct CanaryChanges: SchemaDescribed {
    /// Of the run under way.
    package var running: String?
    /// The last one that was promoted, or that ran when the Canary was made.
    package var promoted: String?
    /// The last one that was rolled back.
    package var rejected: String?

    package init(running: String? = nil, promoted: String? = nil, rejected: String? = nil) {
        self.running = running
        self.promoted = promoted
        self.rejected = rejected
    }
}

/// What is known about one metric in a run; the sequential test's state survives restarts of the operator here.
package struct MetricEvidence: SchemaDescribed {
    package var metric: String
    /// Counts since the start of the run.
    package var counts = TrackCounts()
    /// Counts since the start of the step.
    package var stepCounts = TrackCounts()
    /// The source's counters at the last sample: the next sample's interval starts here. Nil before the first sample.
    package var lastCounters: TrackCounters?
    package var lastSampleAt: Timestamp?
    /// Intervals that were informative.
    package var intervals = 0
    /// Log e-values against "canary no worse", one per odds ratio of the mixture.
    package var logSums: [Double] = []
    /// Log e-values against "canary worse by the margin", for `ProvenSafe`, one per odds ratio.
    package var safeLogSums: [Double] = []
    /// The e-detector's restarts: log of the weighted sum of fresh copies, one per odds ratio.
    package var restartLogSums: [Double] = []
    /// `Query`: the last value, in the query's unit.
    package var value: Double?
    /// What the source answered that is no number: `empty`, `NaN`, `several series`, or its error.
    package var problem: String?

    package init(metric: String) { self.metric = metric }
}

/// Requests and failures per track.
package struct TrackCounts: SchemaDescribed {
    package var canaryRequests = 0
    package var canaryFailures = 0
    package var stableRequests = 0
    package var stableFailures = 0

    package init() {}

    package init(canaryRequests: Int, canaryFailures: Int, stableRequests: Int, stableFailures: Int) {
        self.canaryRequests = canaryRequests
        self.canaryFailures = canaryFailures
        self.stableRequests = stableRequests
        self.stableFailures = stableFailures
    }
}

/// Cumulative counters of the metrics source, per track.
package struct TrackCounters: SchemaDescribed {
    package var canaryRequests: Double
    package var canaryFailures: Double
    package var stableRequests: Double
    package var stableFailures: Double

    package init(canaryRequests: Double, canaryFailures: Double, stableRequests: Double, stableFailures: Double) {
        self.canaryRequests = canaryRequests
        self.canaryFailures = canaryFailures
        self.stableRequests = stableRequests
        self.stableFailures = stableFailures
    }
}
