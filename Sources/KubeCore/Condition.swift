package import FoundationEssentials

/// `metav1.Condition`: one aspect of an object's state, with its reason and a sentence.
package struct Condition: Sendable, Hashable, Codable {
    package enum Status: String, Sendable, Codable {
        case `true` = "True"
        case `false` = "False"
        case unknown = "Unknown"
    }
    package var type: String
    package var status: Status
    package var observedGeneration: Int?
    /// RFC 3339; changes only when `status` does.
    package var lastTransitionTime: String
    /// PascalCase, from a closed enum of the owner of the condition.
    package var reason: String
    package var message: String

    package init(
        type: String, status: Status, reason: String, message: String, observedGeneration: Int? = nil,
        lastTransitionTime: String = ""
    ) {
        self.type = type
        self.status = status
        self.reason = reason
        self.message = message
        self.observedGeneration = observedGeneration
        self.lastTransitionTime = lastTransitionTime
    }
}

extension [Condition] {
    package subscript(type: String) -> Condition? { first { $0.type == type } }

    /// Sets a condition, keeping `lastTransitionTime` when its status does not change.
    package mutating func set(_ condition: Condition, at now: Date) {
        var condition = condition
        let old = self[condition.type]
        condition.lastTransitionTime =
            old?.status == condition.status ? old?.lastTransitionTime ?? KubeTime.format(now) : KubeTime.format(now)
        if let index = firstIndex(where: { $0.type == condition.type }) {
            self[index] = condition
        } else {
            append(condition)
        }
    }
}
