/// Types of conditions on Heddle's resources.
package enum HeddleCondition: String, Sendable, CaseIterable {
    /// Derived from all others: nothing needs a person.
    case ready = "Ready"
    /// The spec is valid, and what it names exists.
    case accepted = "Accepted"
    /// Something is being changed just now (Adoption, Canary).
    case progressing = "Progressing"
    /// The mesh has taken up what was written (ServicePolicy, Canary).
    case programmed = "Programmed"
    /// The mesh's metrics can be read (Mesh, Adoption, Canary).
    case metricsAvailable = "MetricsAvailable"
    /// The certificate authority can sign (Mesh).
    case certificateAuthorityReady = "CertificateAuthorityReady"
}

/// Reasons of conditions and events, closed: nothing else is written to `reason`.
package enum ConditionReason: String, Sendable, CaseIterable {
    // Any kind.
    case accepted = "Accepted"
    case invalidSpec = "InvalidSpec"
    case ready = "Ready"
    case notReady = "NotReady"
    case paused = "Paused"
    case reconcileFailed = "ReconcileFailed"
    case metricsAvailable = "MetricsAvailable"
    case metricsUnavailable = "MetricsUnavailable"

    // Mesh.
    case certificateAuthorityReady = "CertificateAuthorityReady"
    case certificateAuthorityMissing = "CertificateAuthorityMissing"
    case certificateAuthorityExpiring = "CertificateAuthorityExpiring"
    case providerNotFound = "ProviderNotFound"
    case severalMeshes = "SeveralMeshes"

    // Adoption.
    case noWorkloads = "NoWorkloads"
    case phaseInProgress = "PhaseInProgress"
    case phaseComplete = "PhaseComplete"
    case phaseAdvanced = "PhaseAdvanced"
    case soaking = "Soaking"
    case blocked = "Blocked"
    case awaitingApproval = "AwaitingApproval"
    case steppedBack = "SteppedBack"
    case phaseStuck = "PhaseStuck"
    case workloadRestarted = "WorkloadRestarted"
    case workloadStrict = "WorkloadStrict"
    case overlappingAdoption = "OverlappingAdoption"

    // Canary.
    case targetNotFound = "TargetNotFound"
    case serviceNotFound = "ServiceNotFound"
    case templateNotFound = "TemplateNotFound"
    case targetConflict = "TargetConflict"
    case waitingForPhase = "WaitingForPhase"
    case noChange = "NoChange"
    case runStarted = "RunStarted"
    case stepAdvanced = "StepAdvanced"
    case stepHeld = "StepHeld"
    case promoting = "Promoting"
    case baking = "Baking"
    case succeeded = "Succeeded"
    case rolledBack = "RolledBack"
    case metricFailed = "MetricFailed"
    case deadlineExceeded = "DeadlineExceeded"
    case insufficientEvidence = "InsufficientEvidence"
    case aborted = "Aborted"
    case superseded = "Superseded"
    case routeRejected = "RouteRejected"
    case routeConflict = "RouteConflict"

    // ServicePolicy and routes.
    case programmed = "Programmed"
    case pending = "Pending"
    case rejectedByProxy = "RejectedByProxy"
    case unsupported = "Unsupported"
    case fieldConflict = "FieldConflict"
}
