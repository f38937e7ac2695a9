package import HeddleAPI
package import KubeCore

/// Whether an update of a Deployment is a change that a Canary has to release: then it is admitted paused.
package enum ReleaseAdmission: Sendable, Hashable {
    case leave
    /// Set `spec.paused: true` and annotate the Deployment with `HeddleAnnotation.heldChange`.
    case pause(change: String)

    /// A template that differs only in restarts, the stable template itself (undo), and the template that is being
    /// promoted pass; so does a Deployment that runs no pods, since there is nothing to compare.
    package static func decide(old: KubeObject, new: KubeObject, canary: Canary) -> Self {
        guard canary.spec.targetRef.name == new.name, canary.namespace == new.namespace, !canary.object.isBeingDeleted,
            !new.isBeingDeleted, new.spec["replicas"]?.int != 0
        else { return .leave }
        let change = ChangeHash.of(template: new.spec["template"] ?? [:])
        guard change != ChangeHash.of(template: old.spec["template"] ?? [:]) else { return .leave }
        let status = canary.status
        if change == status.change.promoted { return .leave }
        if change == status.change.running, status.phase == .promoting || status.phase == .baking { return .leave }
        return .pause(change: change)
    }

    package static func shouldPause(old: KubeObject, new: KubeObject, canary: Canary) -> Bool {
        decide(old: old, new: new, canary: canary) != .leave
    }
}
