import KubeCore
import KubeRuntime

/// Writes the status that a decision comes to, and says whether the decision may be carried out.
///
/// A decision is made from caches, which may be behind: one kind's more than another's, and after a restart behind what this
/// operator's predecessor wrote. A status that is behind wants what was wanted then: the weight before a rollback, a restart
/// that was undone since. So nothing is done but what the API server's own status wants. A status write proves that by its
/// resource version; where the status stays as it is, one read proves it.
struct DecisionGate: Sendable {
    let resource: GroupVersionResource
    let api: any ClusterAPI

    /// - Parameters:
    ///   - object: the state that the decision was made from.
    ///   - isActing: something is to be done beside the status.
    /// - Returns: the object as it is now; nil when the cache is behind, and nothing may be done: look again when it has caught
    ///   up.
    /// - Throws: `APIError`, a conflict among them when the status could not be written for the same reason.
    func pass(_ status: some Encodable, of object: KubeObject, isActing: Bool) async throws -> KubeObject? {
        if let written = try await StatusWriter(resource, api: api).write(status, to: object) { return written }
        guard isActing else { return object }
        do {
            let now = try await api.get(resource, namespace: object.namespace, name: object.name)
            let isSame =
                now.uid == object.uid && now.generation == object.generation && now.status == object.status
                && now.isBeingDeleted == object.isBeingDeleted
            return isSame ? now : nil
        } catch {
            if error.isNotFound { return nil }
            throw error
        }
    }
}
