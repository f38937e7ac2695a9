package import HeddleAPI

extension ReleaseInput {
    /// Why an Adoption does not let a release start yet, and what a person has to change for it, if anything; nil when it
    /// does.
    package static func hold(by adoption: Adoption) -> String? {
        guard adoption.status.phase < .traffic else { return nil }
        let name = adoption.name
        let now = "Adoption \(name) is in phase \(adoption.status.phase.rawValue), and a release needs phase Traffic."
        if adoption.spec.targetPhase < .traffic {
            return
                "\(now) It aims at \(adoption.spec.targetPhase.rawValue) only: set spec.targetPhase of Adoption \(name) "
                + "to Traffic, or delete the Canary to roll out without one."
        }
        if adoption.spec.paused { return "\(now) It is paused: unset spec.paused of Adoption \(name)." }
        if adoption.status.state == .awaitingApproval, let next = adoption.status.phase.next {
            return "\(now) It waits for approval: set spec.approvedPhase of Adoption \(name) to \(next.rawValue)."
        }
        return "\(now) It is on its way."
    }
}
