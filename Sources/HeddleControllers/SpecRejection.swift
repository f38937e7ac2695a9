import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime

/// Says on an object that its spec is wrong, field by field. Nothing else of the object is touched.
enum SpecRejection {
    /// - Parameters:
    ///   - error: what reading the object ended with.
    ///   - problems: everything that is wrong with its spec; empty when its status is at fault.
    static func write(
        _ error: FieldError, _ problems: [FieldError], on object: KubeObject, resource: GroupVersionResource,
        api: any ClusterAPI, now: Date
    ) async throws {
        let problems = problems.isEmpty ? [error] : problems
        let message = problems.map(\.description).joined(separator: "; ")
        var status = object.status
        var conditions = (status["conditions"]?.array ?? []).compactMap { try? $0.decode(Condition.self) }
        for type in [HeddleCondition.accepted, .ready] {
            conditions.set(
                Condition(
                    type: type.rawValue, status: .false, reason: ConditionReason.invalidSpec.rawValue, message: message,
                    observedGeneration: object.generation), at: now)
        }
        status["conditions"] = .array(conditions.compactMap { try? JSONValue(encoding: $0) })
        status["observedGeneration"] = .int(object.generation)
        // The other kinds have no message: the API server would drop it, and each look would send it again.
        if resource == .canaries || resource == .adoptions { status["message"] = .string(message) }
        try await StatusWriter(resource, api: api).write(status, to: object)
    }
}
