package import HeddleAPI
import KubeCore

/// What to do now: apply the actions in order, then write the status, then look again after `requeueAfterSeconds`.
package struct ReleaseDecision: Sendable, Hashable {
    package var status: CanaryStatus
    package var actions: [ReleaseAction]
    /// Nil: nothing happens before something changes.
    package var requeueAfterSeconds: Double?
    /// Of a Canary that is being deleted: everything is as its user had it, so that it may go.
    package var isRemoved = false

    package init(status: CanaryStatus, actions: [ReleaseAction], requeueAfterSeconds: Double?) {
        self.status = status
        self.actions = actions
        self.requeueAfterSeconds = requeueAfterSeconds
    }
}

/// Each action may be repeated without harm.
package enum ReleaseAction: Sendable, Hashable {
    /// Set `spec.paused: true` and `HeddleAnnotation.heldChange`.
    case pauseDeployment(change: String)
    /// Set `spec.paused: false` and remove `HeddleAnnotation.heldChange`.
    case unpauseDeployment
    /// Put the template of the ReplicaSet with this `pod-template-hash` back into the Deployment, and un-pause it.
    case restoreStableTemplate(stableHash: String)
    /// Apply `<name>-canary` with the Deployment's current template.
    case createCanary(replicas: Int)
    case scaleCanary(replicas: Int)
    case deleteCanary
    case setSplit(ServiceRouting.Split)
    case removeSplit
    case event(ConditionReason, isWarning: Bool, message: String)

    /// Whether the cluster is touched; an event is only told.
    package var isChange: Bool {
        if case .event = self { false } else { true }
    }
}
