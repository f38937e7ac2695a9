import HeddleAPI

/// What happens to one Deployment `catalog` with a Canary, from `app:1` on; and how it must end.
enum ReleaseScenario: String, Sendable, CaseIterable {
    /// `app:2` is fine.
    case good
    /// `app:2` fails: back from 10 %.
    case bad
    /// `app:2` fails once it is on all pods: back from there.
    case late
    /// `app:3` comes while `app:2` is at 10 %.
    case superseded
    /// The webhook was away: `app:2` rolls already when the operator sees it.
    case missed
    /// The Canary is deleted at 10 %.
    case deleted
    /// The Canary is deleted while the Deployment rolls.
    case deletedLate
    /// The Canary is deleted after its change was rejected.
    case deletedRejected
    /// A ServicePolicy has a say in the same route, and changes during the run.
    case policy

    var weights: [Int?] {
        switch self {
        case .good, .deletedLate, .policy, .missed: [nil, 0, 10, 50, 100, nil]
        case .bad, .deleted, .deletedRejected: [nil, 0, 10, 0, nil]
        // Back from all pods: split once more while the canary goes.
        case .late: [nil, 0, 10, 50, 100, nil, 0, nil]
        case .superseded: [nil, 0, 10, 0, nil, 0, 10, 50, 100, nil]
        }
    }

    /// What all pods run at the end.
    var image: String {
        switch self {
        case .bad, .late, .deletedRejected: "app:1"
        case .superseded: "app:3"
        default: "app:2"
        }
    }

    /// Nil: the Canary is gone.
    var phase: CanaryPhase? {
        switch self {
        case .good, .superseded, .policy, .missed: .succeeded
        case .bad, .late: .rolledBack
        case .deleted, .deletedLate, .deletedRejected: nil
        }
    }

    /// The Deployment is held at the end, on a rejected template.
    var isHeld: Bool { self == .bad }
}
