package import KubeCore

/// The phases in order. `pending` comes before the first change.
package enum AdoptionPhase: String, Sendable, Codable, CaseIterable, Comparable {
    case pending = "Pending"
    case observe = "Observe"
    case strict = "Strict"
    case resilience = "Resilience"
    case traffic = "Traffic"

    package var order: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    package static func < (a: Self, b: Self) -> Bool { a.order < b.order }
    /// Nil after `traffic`.
    package var next: Self? { Self.allCases.dropFirst(order + 1).first }
    /// Nil before `pending`.
    package var previous: Self? { order == 0 ? nil : Self.allCases[order - 1] }
}

/// Where an adoption stands.
package struct AdoptionStatus: SchemaDescribed {
    package var observedGeneration = 0
    package var phase = AdoptionPhase.pending
    package var phaseStartedAt: Timestamp?
    package var state = AdoptionState.progressing
    /// Since when all gates of the phase hold; nil while one does not.
    package var gatesHeldSince: Timestamp?
    /// When the last batch ended; the next waits for `spec.batch.pause`.
    package var batchEndedAt: Timestamp?
    package var workloads: [WorkloadStatus] = []
    package var blockers: [Blocker] = []
    package var measurements = AdoptionMeasurements()
    /// The last 20, newest last.
    package var decisions: [DecisionRecord] = []
    /// One sentence for people.
    package var message: String?
    package var conditions: [Condition] = []

    package init() {}
}

/// What the adoption is doing within its phase.
package enum AdoptionState: String, Sendable, Codable, CaseIterable {
    /// Changes are under way. Exits: `soaking`, `blocked`, `steppedBack`, `paused`.
    case progressing = "Progressing"
    /// A gate does not hold; `blockers` says which. Exits: `progressing` or `soaking` when it does.
    case blocked = "Blocked"
    /// All gates hold; time runs. Exits: the next phase, `awaitingApproval`, `complete`, `blocked`.
    case soaking = "Soaking"
    /// The next phase needs `spec.approvedPhase`. Exits: the next phase.
    case awaitingApproval = "AwaitingApproval"
    /// By `spec.paused`. Exits: what it was before.
    case paused = "Paused"
    /// A step did harm and was undone. Exits: `progressing`, when the spec changes or the backoff ends.
    case steppedBack = "SteppedBack"
    /// The target phase holds. Exits: `blocked` on a regression, `progressing` on a new target or workload.
    case complete = "Complete"
}

/// One workload on its way.
package struct WorkloadStatus: SchemaDescribed {
    package enum State: String, Sendable, Codable, CaseIterable {
        case notMeshed = "NotMeshed"
        case restarting = "Restarting"
        case meshed = "Meshed"
        case strict = "Strict"
        case exempt = "Exempt"
        case failed = "Failed"
    }
    package enum MutualTLS: String, Sendable, Codable, CaseIterable {
        case permissive = "PERMISSIVE"
        case strict = "STRICT"
    }

    /// The Deployment's name.
    package var name: String
    package var state: State
    /// What Heddle asked for; nil before any.
    package var mtls: MutualTLS?
    package var podsMeshed = 0
    package var podsTotal = 0
    package var restartedAt: Timestamp?
    /// When the workload became strict: its connection failures are counted from here.
    package var strictAt: Timestamp?
    /// Connection failures before it became strict, over as long a time as its soak.
    package var connectionFailuresBefore: Int?
    /// What undoes each change that Heddle made to it, newest last.
    package var restore: [RestoreRecord] = []
    /// How often it was stepped back.
    package var attempts = 0
    package var message: String?

    package init(name: String, state: State = .notMeshed) {
        self.name = name
        self.state = state
    }
}

/// One change of Heddle's and its undoing, written before the change.
package struct RestoreRecord: SchemaDescribed {
    package var phase: AdoptionPhase
    /// As in `kubectl get`: `deployments.apps`.
    package var resource: String
    package var name: String
    /// A JSON merge patch, as text, that puts the old values back; nil: the object was made by Heddle and is deleted.
    package var patch: String?

    package init(phase: AdoptionPhase, resource: String, name: String, patch: String? = nil) {
        self.phase = phase
        self.resource = resource
        self.name = name
        self.patch = patch
    }
}

/// What keeps a phase from going on, with its evidence.
package struct Blocker: SchemaDescribed {
    /// The gate's name, from `AdoptionGate`.
    package var gate: AdoptionGate
    package var workload: String?
    /// Workload (`namespace/name`) where it is known, else IP address.
    package var client: String?
    package var port: Int?
    /// Requests or connections seen within the gate's window.
    package var count: Int?
    package var message: String
    package var since: Timestamp

    package init(
        gate: AdoptionGate, workload: String? = nil, client: String? = nil, port: Int? = nil, count: Int? = nil,
        message: String, since: Timestamp
    ) {
        self.gate = gate
        self.workload = workload
        self.client = client
        self.port = port
        self.count = count
        self.message = message
        self.since = since
    }
}

/// Everything that can hold a phase.
package enum AdoptionGate: String, Sendable, Codable, CaseIterable {
    /// A workload cannot be meshed safely (one replica, no readiness probe, host network, ...).
    case readiness = "Readiness"
    case allMeshed = "AllMeshed"
    case proxiesSynced = "ProxiesSynced"
    case metricsArrive = "MetricsArrive"
    case tracesArrive = "TracesArrive"
    case addedLatency = "AddedLatency"
    case proxyMemory = "ProxyMemory"
    case plaintextClients = "PlaintextClients"
    case unmeshedClients = "UnmeshedClients"
    case certificates = "Certificates"
    case connectionFailures = "ConnectionFailures"
    case errorRatio = "ErrorRatio"
    case retryAmplification = "RetryAmplification"
    case exceptionExpired = "ExceptionExpired"
    case metricsSource = "MetricsSource"
    case approval = "Approval"
    case deadline = "Deadline"
}

/// The last measurements; nil: not measured yet.
package struct AdoptionMeasurements: SchemaDescribed {
    package var at: Timestamp?
    package var addedLatencyP50Ms: Double?
    package var addedLatencyP99Ms: Double?
    /// Of the sidecar that uses most.
    package var proxyMemoryBytes: Int?
    /// Requests over mutual TLS and in plaintext within the strict window.
    package var mutualTLSRequests: Int?
    package var plaintextRequests: Int?
    /// Of requests, 0 to 1: when the phase started, and now.
    package var errorRatioBaseline: Double?
    package var errorRatio: Double?
    package var latencyP99BaselineMs: Double?
    package var latencyP99Ms: Double?
    /// Tries per request.
    package var retryAmplification: Double?
    package var tracesReceived: Int?
    /// The earliest end of a certificate among the workloads.
    package var certificateNotAfter: Timestamp?

    package init() {}
}
