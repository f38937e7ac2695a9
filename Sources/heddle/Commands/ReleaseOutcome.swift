import HeddleAPI
import KubeCore

/// What came of a release, for scripts that wait for one.
enum ReleaseOutcome: Sendable, Hashable {
    /// A run goes on, or a change waits for its run.
    case underWay
    /// The change is promoted.
    case promoted
    /// Nothing waits, and nothing ran.
    case nothingToRelease
    /// The change was taken back, withdrawn, or could not run.
    case notReleased

    /// - Parameters:
    ///   - target: the Deployment, which may hold a change that the Canary's status does not show yet; nil when it is
    ///     missing.
    ///   - sawRun: a run was under way at an earlier look.
    init(_ canary: Canary, target: KubeObject?, sawRun: Bool) {
        let status = canary.status
        if status.phase.isRunning || status.phase == .waitingForPhase {
            self = .underWay
        } else if let target, Self.holdsNewChange(target, status.change) {
            self = .underWay
        } else {
            switch status.phase {
            case .succeeded: self = .promoted
            case .rolledBack, .failed: self = .notReleased
            default: self = sawRun ? .notReleased : .nothingToRelease
            }
        }
    }

    var exitCode: Int32? {
        switch self {
        case .underWay: nil
        case .promoted, .nothingToRelease: 0
        case .notReleased: 1
        }
    }

    /// The webhook has held a change that the Canary has neither promoted nor rejected; or, where the webhook was away,
    /// the Deployment rolls out and the controller is about to stop it.
    private static func holdsNewChange(_ target: KubeObject, _ change: CanaryChanges) -> Bool {
        if target.spec["paused"]?.bool == true {
            guard let held = target.annotations[HeddleAnnotation.heldChange] else { return false }
            return held != change.promoted && held != change.rejected
        }
        return (target.status["observedGeneration"]?.int ?? 0) < target.generation
    }
}
