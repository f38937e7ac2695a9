package import HeddleAPI
import KubeCore
package import MeshModel

/// What to do now: write the status (it has what undoes each change), then apply the actions in order.
package struct AdoptionDecision: Sendable, Hashable {
    package var status: AdoptionStatus
    package var actions: [AdoptionAction]
    /// Nil: nothing happens before something changes.
    package var requeueAfterSeconds: Double?

    package init(status: AdoptionStatus, actions: [AdoptionAction], requeueAfterSeconds: Double?) {
        self.status = status
        self.actions = actions
        self.requeueAfterSeconds = requeueAfterSeconds
    }
}

/// Each action may be repeated without harm.
package enum AdoptionAction: Sendable, Hashable {
    /// Set `HeddleLabel.inject: "true"` and `HeddleAnnotation.restartedAt` on the workload's pod template: Kubernetes
    /// replaces its pods one after the other.
    case restartWorkload(name: String, at: Timestamp)
    /// Remove both again: the pods come back without a sidecar.
    case restoreWorkload(name: String)
    case setPeerPolicy(PeerPolicyIntent)
    case removePeerPolicy(name: String)
    case event(ConditionReason, isWarning: Bool, message: String)

    /// Whether the cluster is touched; an event is only told.
    package var isChange: Bool {
        if case .event = self { false } else { true }
    }
}

/// A PeerAuthentication that Heddle owns.
package struct PeerPolicyIntent: Sendable, Hashable {
    package var name: String
    /// Nil: the whole namespace.
    package var selector: [String: String]?
    package var mode: MTLSMode
    /// By container port.
    package var portModes: [Int: MTLSMode]

    package init(name: String, selector: [String: String]?, mode: MTLSMode, portModes: [Int: MTLSMode] = [:]) {
        self.name = name
        self.selector = selector
        self.mode = mode
        self.portModes = portModes
    }

    package static let namespaceName = "heddle-strict"
    package static func name(workload: String) -> String { "heddle-\(workload)" }
}
