package import HeddleAPI
import KubeCore
package import MeshEvidence

/// Everything that a release decision may look at, gathered at one moment.
package struct ReleaseInput: Sendable, Hashable {
    package var now: Timestamp
    /// Of the Canary object.
    package var generation: Int
    /// Value of `HeddleAnnotation.approve` on the Canary.
    package var approval: String?
    /// Value of `HeddleAnnotation.abort` on the Canary.
    package var abort: String?
    /// Nil: the target does not exist.
    package var deployment: DeploymentFacts?
    /// Heddle's own Deployment `<name>-canary`; nil: it does not exist.
    package var canary: CanaryDeploymentFacts?
    package var route = RouteFacts()
    /// What was read at this look, by metric name; a metric that was not looked at is absent.
    package var metrics: [String: MetricReading] = [:]
    /// Requests per track since the last look; nil when not looked at.
    package var traffic: TrackReading?
    /// Why the namespace may not split traffic yet, as a sentence; nil when its Adoption has reached Traffic.
    package var adoptionHold: String?
    /// The same of an Adoption that does not aim at Traffic: said at rest, before a change has to wait.
    package var outlook: String?
    /// What else manages the target, as a sentence: another tool, or an older Canary. Nil: nothing.
    package var conflict: String?

    package init(now: Timestamp, generation: Int = 1, deployment: DeploymentFacts?) {
        self.now = now
        self.generation = generation
        self.deployment = deployment
    }
}

extension ReleaseInput {
    /// Whether a look at the metrics is due. A reconcile that comes sooner, such as the one that its own status write
    /// causes, leaves `metrics` empty and `traffic` nil.
    package static func isLookDue(spec: CanarySpec, status: CanaryStatus, now: Timestamp) -> Bool {
        guard status.phase.isRunning, status.phase != .rollingBack else { return false }
        guard let last = status.evidence.compactMap(\.lastSampleAt).max() else { return true }
        return now >= last.adding(spec.analysis.interval)
    }
}

/// The user's Deployment and its ReplicaSets.
package struct DeploymentFacts: Sendable, Hashable {
    package var isPaused = false
    /// Value of `HeddleAnnotation.heldChange`: there when Heddle paused it, and not a person.
    package var heldChange: String?
    /// Of `spec.template`.
    package var changeHash: String
    /// The controller has seen the latest spec.
    package var isObserved = true
    package var desiredReplicas: Int
    /// Its ReplicaSets that have pods, or should.
    package var tracks: [TrackFacts]
    /// All pods are of the current template, ready, and none of an older one is left.
    package var isRolloutComplete = false
    package var isProgressDeadlineExceeded = false

    package init(changeHash: String, desiredReplicas: Int, tracks: [TrackFacts]) {
        self.changeHash = changeHash
        self.desiredReplicas = desiredReplicas
        self.tracks = tracks
    }
}

/// One ReplicaSet of the user's Deployment.
package struct TrackFacts: Sendable, Hashable {
    /// `pod-template-hash`.
    package var hash: String
    /// `ChangeHash` of its template.
    package var change: String
    package var desired: Int
    package var ready: Int

    package init(hash: String, change: String, desired: Int, ready: Int) {
        self.hash = hash
        self.change = change
        self.desired = desired
        self.ready = ready
    }
}

/// Heddle's Deployment `<name>-canary`.
package struct CanaryDeploymentFacts: Sendable, Hashable {
    /// `pod-template-hash` of its current ReplicaSet; nil before there is one.
    package var hash: String?
    /// `ChangeHash` of its template.
    package var change: String
    package var desired: Int
    /// Ready pods of the current ReplicaSet.
    package var ready: Int
    package var isBeingDeleted = false

    package init(hash: String?, change: String, desired: Int, ready: Int) {
        self.hash = hash
        self.change = change
        self.desired = desired
        self.ready = ready
    }
}

/// The split as it was read back from the mesh's objects.
package struct RouteFacts: Sendable, Hashable {
    /// Nil: the service's route splits nothing.
    package var split: ServiceRouting.Split?
    /// Every proxy that calls the service has acknowledged it.
    package var isConfirmed = true

    package init(split: ServiceRouting.Split? = nil, isConfirmed: Bool = true) {
        self.split = split
        self.isConfirmed = isConfirmed
    }
}

/// What one look at a metric gave.
package enum MetricReading: Sendable, Hashable {
    /// `SuccessRatio` and `Latency`.
    case counts(TrackReading, query: String?)
    /// `Query`.
    case value(Double, query: String?)
    case problem(MetricProblem, query: String?)
}
