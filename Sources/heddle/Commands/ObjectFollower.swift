import HeddleAPI
import KubeCore

/// Follows one object through all its changes: list, watch, and list again when the watch has lost its place.
struct ObjectFollower: Sendable {
    var api: any ClusterAPI
    var resource: GroupVersionResource
    var key: ObjectKey
    /// Between two tries when the API server does not answer.
    var retryDelay: Duration = .seconds(1)

    /// Calls `onChange` with the object as it is now, and after every change, until that returns false.
    /// - Throws: `CommandFailure` when the object is gone; what the API refuses for good; `CancellationError`.
    func follow(_ onChange: (KubeObject) async throws -> Bool) async throws {
        var last: KubeObject?
        while true {
            try Task.checkCancellation()
            do {
                let list = try await api.list(
                    resource, namespace: key.namespace, fields: "metadata.name=\(key.name)")
                guard let object = list.items.first(where: { $0.name == key.name }) else {
                    throw gone(seen: last != nil)
                }
                if object != last {
                    last = object
                    guard try await onChange(object) else { return }
                }
                guard try await watch(from: list.resourceVersion, last: &last, onChange) else { return }
            } catch let error as APIError where error.isExpired {
                continue
            } catch let error as APIError where error.isRetryable {
                try await Task.sleep(for: retryDelay)
            }
        }
    }

    /// False: `onChange` has had enough. True: the watch ended and goes on from a new list.
    private func watch(
        from version: String, last: inout KubeObject?, _ onChange: (KubeObject) async throws -> Bool
    ) async throws -> Bool {
        let request = APIRequest(
            .watch, resource, namespace: key.namespace,
            query: [
                "fieldSelector": "metadata.name=\(key.name)", "resourceVersion": version, "allowWatchBookmarks": "true",
            ])
        for try await event in try await api.watch(request) where event.object.name == key.name {
            switch event.kind {
            case .bookmark: continue
            case .deleted: throw gone(seen: true)
            case .added, .modified:
                guard event.object != last else { continue }
                last = event.object
                guard try await onChange(event.object) else { return false }
            }
        }
        return true
    }

    private func gone(seen: Bool) -> CommandFailure {
        CommandFailure("\(resource.kind) \(key) \(seen ? "was deleted" : "does not exist")")
    }
}
