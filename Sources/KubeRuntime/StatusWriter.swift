package import KubeCore

/// Writes the `status` of objects of one kind, only when it says something new.
package struct StatusWriter: Sendable {
    private let api: any ClusterAPI
    private let resource: GroupVersionResource

    package init(_ resource: GroupVersionResource, api: any ClusterAPI) {
        self.resource = resource
        self.api = api
    }

    /// Makes the object's status equal to `status`, sending what differs from `object`, the state it was computed from.
    ///
    /// The write carries that state's resource version. When the object was changed meanwhile in other ways (labels, another
    /// controller's annotation) it is sent once more; when its spec or status is not what the caller saw, it conflicts.
    /// - Returns: the object as it is now; nil when nothing was sent, because nothing differs or the object is gone.
    /// - Throws: `APIError`; on `isConflict` compute anew from the new state.
    @discardableResult
    package func write(_ status: JSONValue, to object: KubeObject) async throws(APIError) -> KubeObject? {
        let seen = object.json["status"] ?? [:]
        guard let patch = seen.mergePatch(to: status) else { return nil }
        do {
            return try await sendDespiteOtherChanges(patch, to: object)
        } catch  where error.isNotFound {
            return nil
        }
    }

    /// Writes an `Encodable` status.
    @discardableResult
    package func write(_ status: some Encodable, to object: KubeObject) async throws -> KubeObject? {
        try await write(try JSONValue(encoding: status), to: object)
    }

    private func sendDespiteOtherChanges(_ patch: JSONValue, to object: KubeObject) async throws(APIError) -> KubeObject
    {
        let refusal: APIError
        do {
            return try await send(patch, to: object, version: object.resourceVersion)
        } catch {
            refusal = error
        }
        guard refusal.isConflict else { throw refusal }
        let now = try await api.get(resource, namespace: object.namespace, name: object.name)
        guard now.uid == object.uid, now.generation == object.generation, now.status == object.status else {
            throw refusal
        }
        return try await send(patch, to: object, version: now.resourceVersion)
    }

    private func send(_ patch: JSONValue, to object: KubeObject, version: String) async throws(APIError) -> KubeObject {
        try await api.patch(
            resource, namespace: object.namespace, name: object.name, subresource: "status",
            ["metadata": ["resourceVersion": .string(version)], "status": patch])
    }
}
