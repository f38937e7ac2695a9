package import KubeCore

/// How changes of one Deployment are released.
package struct CanarySpec: ResourceSpec {
    package static let resource = GroupVersionResource.canaries

    package var targetRef: TargetRef
    package var service: CanaryService
    /// In order; the weights may not fall.
    package var steps: [CanaryStep]
    package var canaryReplicas = CanaryReplicas()
    package var analysis = CanaryAnalysis()
    /// Longest time that a step without its own `deadline` may take.
    package var stepDeadline: GoDuration = "10m"
    /// Longest time for the canary pods, and at promotion the stable pods, to become ready.
    package var progressDeadline: GoDuration = "10m"
    /// Time after promotion during which a regression still rolls back.
    package var bake: GoDuration = "1m"
    /// Holds a run where it is; weights stay, nothing is judged.
    package var paused = false

    package init(targetRef: TargetRef, service: CanaryService, steps: [CanaryStep]) {
        self.targetRef = targetRef
        self.service = service
        self.steps = steps
    }
}

/// The workload whose changes are released.
package struct TargetRef: SchemaDescribed {
    package var apiVersion = "apps/v1"
    package var kind = "Deployment"
    package var name: String

    package init(name: String) { self.name = name }
}

/// The Service that clients call the workload by.
package struct CanaryService: SchemaDescribed {
    package var name: String
    /// The Service's port, not the container's.
    package var port: Int

    package init(name: String, port: Int) {
        self.name = name
        self.port = port
    }
}

/// One share of traffic, held until its evidence is in.
package struct CanaryStep: SchemaDescribed {
    /// Share of requests that go to the canary, in percent.
    package var weight: Int
    /// Shortest time at this weight.
    package var duration: GoDuration = "1m"
    /// Fewest canary requests, at this step, for a verdict.
    package var minSamples = 100
    /// Longest time at this weight; nil uses `spec.stepDeadline`.
    package var deadline: GoDuration?
    /// Waits for a person's approval at the end of the step. The deadline does not run while it waits.
    package var pause = false

    package init(
        weight: Int, duration: GoDuration = "1m", minSamples: Int = 100, deadline: GoDuration? = nil,
        pause: Bool = false
    ) {
        self.weight = weight
        self.duration = duration
        self.minSamples = minSamples
        self.deadline = deadline
        self.pause = pause
    }
}

/// How many canary pods run. Set at most one; with none, `matchWeight`.
package struct CanaryReplicas: SchemaDescribed {
    package var count: Int?
    /// Of the stable pods, rounded up.
    package var percent: Int?
    /// As many pods as the step's weight is worth of the stable pods, rounded up.
    package var matchWeight: Bool?

    package init(count: Int? = nil, percent: Int? = nil, matchWeight: Bool? = nil) {
        self.count = count
        self.percent = percent
        self.matchWeight = matchWeight
    }

    /// Canary pods for `stable` pods at `weight` percent; at least 1.
    package func pods(stable: Int, weightPercent weight: Int) -> Int {
        if let count { return max(1, count) }
        let share = percent ?? weight
        return max(1, (max(0, stable) * share + 99) / 100)
    }
}

/// How a run is judged.
package struct CanaryAnalysis: SchemaDescribed {
    /// When a step may advance: nothing found against it, or shown to be no worse.
    package enum AdvanceOn: String, Sendable, Codable, CaseIterable {
        case noHarm = "NoHarm"
        case provenSafe = "ProvenSafe"
    }

    /// Time between two looks at the metrics.
    package var interval: GoDuration = "5s"
    /// Highest chance that an equally good version is ever rejected, over all metrics and looks.
    package var alpha = 0.01
    /// Odds of failure, as a multiple of the stable version's, that are still accepted (rho).
    package var tolerance = 1.0
    package var advanceOn = AdvanceOn.noHarm
    /// For metrics that do not say.
    package var onInsufficientEvidence = InsufficientEvidencePolicy.hold
    package var metrics: [CanaryMetric] = [CanaryMetric(name: "success-ratio", kind: .successRatio)]

    package init() {}
}

/// What happens when a step's evidence does not suffice at the end of its duration.
package enum InsufficientEvidencePolicy: String, Sendable, Codable, CaseIterable {
    /// Wait for more, until the step's deadline; then roll back.
    case hold = "Hold"
    /// As `hold`, but the deadline is doubled once.
    case extend = "Extend"
    /// Advance.
    case pass = "Pass"
    /// Roll back at once.
    case fail = "Fail"
}

/// One measurement that can fail a release.
package struct CanaryMetric: SchemaDescribed {
    package enum Kind: String, Sendable, Codable, CaseIterable {
        /// Requests that did not fail (5xx and connection failures), canary against stable.
        case successRatio = "SuccessRatio"
        /// Requests not slower than `latencyBound`, canary against stable.
        case latency = "Latency"
        /// Any PromQL, or a MetricTemplate, held against `thresholdRange`.
        case query = "Query"
    }

    package var name: String
    package var kind: Kind
    /// `Latency`: slower than this counts as failed. Must be a bucket edge of the histogram.
    package var latencyBound: GoDuration?
    /// Absolute bounds. `SuccessRatio`: the ratio (0 to 1); `Latency`: the share within the bound (0 to 1); `Query`: the
    /// query's unit.
    package var thresholdRange: ThresholdRange?
    /// `Query`: PromQL with the variables of a MetricTemplate.
    package var query: String?
    /// `Query`: a MetricTemplate of the same namespace, in place of `query`.
    package var templateRef: TemplateRef?
    /// A metric that is not critical is recorded, and fails nothing.
    package var critical = true
    /// Nil uses the analysis' policy.
    package var onInsufficientEvidence: InsufficientEvidencePolicy?

    package init(
        name: String, kind: Kind, latencyBound: GoDuration? = nil, thresholdRange: ThresholdRange? = nil,
        query: String? = nil, templateRef: TemplateRef? = nil, critical: Bool = true,
        onInsufficientEvidence: InsufficientEvidencePolicy? = nil
    ) {
        self.name = name
        self.kind = kind
        self.latencyBound = latencyBound
        self.thresholdRange = thresholdRange
        self.query = query
        self.templateRef = templateRef
        self.critical = critical
        self.onInsufficientEvidence = onInsufficientEvidence
    }
}

/// Inclusive bounds; at least one is set.
package struct ThresholdRange: SchemaDescribed {
    package var min: Double?
    package var max: Double?

    package init(min: Double? = nil, max: Double? = nil) {
        self.min = min
        self.max = max
    }

    package func contains(_ value: Double) -> Bool {
        value.isFinite && value >= (min ?? -.infinity) && value <= (max ?? .infinity)
    }
}

/// A MetricTemplate of the same namespace.
package struct TemplateRef: SchemaDescribed {
    package var name: String

    package init(name: String) { self.name = name }
}
