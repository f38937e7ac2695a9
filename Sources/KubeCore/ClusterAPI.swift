/// The door to a cluster's API: Heddle's code knows the API server only through this.
///
/// Conformers: `KubeClient` over HTTP, and the sandbox's API server in process. Everything a caller wants is an
/// `APIRequest`; the extension below has the usual calls by name.
package protocol ClusterAPI: Sendable {
    /// Sends one request and returns the response body (an object, a list or a Status).
    /// - Throws: `APIError`, also for transport failures (`code` 0).
    func perform(_ request: APIRequest) async throws(APIError) -> JSONValue

    /// Opens a watch (`request.verb` is `.watch`). The stream ends when the server closes it, and fails with
    /// `APIError`;
    /// `APIError.isExpired` asks for a new list.
    func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error>
}

/// One call of the API.
package struct APIRequest: Sendable, Hashable {
    package enum Verb: Sendable, Hashable {
        case get, list, watch, create, update, delete, deleteCollection
        case patch(PatchType)

        /// As in RBAC rules.
        package var rbacName: String {
            switch self {
            case .get: "get"
            case .list: "list"
            case .watch: "watch"
            case .create: "create"
            case .update: "update"
            case .delete: "delete"
            case .deleteCollection: "deletecollection"
            case .patch: "patch"
            }
        }
    }

    package enum PatchType: String, Sendable, Hashable {
        case json = "application/json-patch+json"
        case merge = "application/merge-patch+json"
        case strategic = "application/strategic-merge-patch+json"
        case apply = "application/apply-patch+yaml"
    }

    package var verb: Verb
    package var resource: GroupVersionResource
    /// Nil or empty: all namespaces (list, watch) or a cluster-scoped resource.
    package var namespace: String?
    package var name: String?
    package var subresource: String?
    /// Query parameters by name, e.g. `labelSelector`, `fieldManager`, `force`, `limit`, `resourceVersion`.
    package var query: [String: String]
    package var body: JSONValue?
    /// For the whole request with its retries; nil takes the client's. An API server in process pays no heed to it.
    package var timeout: Duration?
    /// What of each object in the answer of a get, list or watch is kept; a conformer that builds no objects from text may
    /// keep more.
    package var keeping: FieldSelection = .everything

    package init(
        _ verb: Verb, _ resource: GroupVersionResource, namespace: String? = nil, name: String? = nil,
        subresource: String? = nil, query: [String: String] = [:], body: JSONValue? = nil, timeout: Duration? = nil
    ) {
        self.verb = verb
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource
        self.query = query
        self.body = body
        self.timeout = timeout
    }

    package var path: String { resource.path(namespace: namespace, name: name, subresource: subresource) }
}

package struct WatchEvent: Sendable, Hashable {
    package enum Kind: String, Sendable {
        case added = "ADDED"
        case modified = "MODIFIED"
        case deleted = "DELETED"
        case bookmark = "BOOKMARK"
    }
    package var kind: Kind
    package var object: KubeObject

    package init(_ kind: Kind, _ object: KubeObject) {
        self.kind = kind
        self.object = object
    }
}

extension ClusterAPI {
    package func get(_ resource: GroupVersionResource, namespace: String? = nil, name: String) async throws(APIError)
        -> KubeObject
    {
        KubeObject(json: try await perform(APIRequest(.get, resource, namespace: namespace, name: name)))
    }

    /// Nil when there is no such object.
    package func find(_ resource: GroupVersionResource, namespace: String? = nil, name: String) async throws(APIError)
        -> KubeObject?
    {
        do {
            return try await get(resource, namespace: namespace, name: name)
        } catch  where error.isNotFound {
            return nil
        }
    }

    package func create(
        _ resource: GroupVersionResource, _ object: KubeObject, options: WriteOptions = WriteOptions()
    ) async throws(APIError) -> KubeObject {
        KubeObject(
            json: try await perform(
                APIRequest(
                    .create, resource, namespace: object.namespace, query: options.query, body: object.json)))
    }

    /// Replaces an object; its `resourceVersion`, when set, must be the current one (else `isConflict`).
    package func update(
        _ resource: GroupVersionResource, _ object: KubeObject, subresource: String? = nil,
        options: WriteOptions = WriteOptions()
    ) async throws(APIError) -> KubeObject {
        KubeObject(
            json: try await perform(
                APIRequest(
                    .update, resource, namespace: object.namespace, name: object.name, subresource: subresource,
                    query: options.query, body: object.json)))
    }

    package func patch(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, subresource: String? = nil,
        type: APIRequest.PatchType = .merge, fieldManager: String? = nil, options: WriteOptions = WriteOptions(),
        _ body: JSONValue
    ) async throws(APIError) -> KubeObject {
        var query = options.query
        if let fieldManager { query["fieldManager"] = fieldManager }
        return KubeObject(
            json: try await perform(
                APIRequest(
                    .patch(type), resource, namespace: namespace, name: name, subresource: subresource, query: query,
                    body: body)))
    }

    /// Server-side apply: the fields of `object` become `fieldManager`'s; its earlier fields that are not there now go.
    /// - Throws: `APIError.isConflict` when another manager owns a field and `force` is false;
    ///   `APIError.fieldConflicts` says who owns what.
    @discardableResult
    package func apply(
        _ resource: GroupVersionResource, _ object: KubeObject, fieldManager: String, force: Bool = false,
        subresource: String? = nil, options: WriteOptions = WriteOptions()
    ) async throws(APIError) -> KubeObject {
        var query = options.query
        query["fieldManager"] = fieldManager
        query["force"] = force ? "true" : "false"
        return KubeObject(
            json: try await perform(
                APIRequest(
                    .patch(.apply), resource, namespace: object.namespace, name: object.name, subresource: subresource,
                    query: query, body: object.json)))
    }

    /// Deletes an object; deleting one that is not there succeeds.
    ///
    /// With `uid` only that very object goes, not one that has come under its name since. A client repeats a delete
    /// after a lost connection only when `uid` or `resourceVersion` is given.
    /// - Parameters:
    ///   - resourceVersion: only while the object is as the caller has seen it.
    ///   - propagation: `Background`, `Foreground` or `Orphan`.
    /// - Throws: `APIError.isConflict` when a precondition does not hold.
    package func delete(
        _ resource: GroupVersionResource, namespace: String? = nil, name: String, uid: String? = nil,
        resourceVersion: String? = nil, propagation: String = "Background", gracePeriodSeconds: Int? = nil,
        options: WriteOptions = WriteOptions()
    ) async throws(APIError) {
        var body: JSONValue = [
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": .string(propagation),
        ]
        var preconditions: JSONValue = [:]
        if let uid { preconditions["uid"] = .string(uid) }
        if let resourceVersion { preconditions["resourceVersion"] = .string(resourceVersion) }
        if preconditions != [:] { body["preconditions"] = preconditions }
        if let gracePeriodSeconds { body["gracePeriodSeconds"] = .int(gracePeriodSeconds) }
        if options.isDryRun { body["dryRun"] = ["All"] }
        do {
            _ = try await perform(APIRequest(.delete, resource, namespace: namespace, name: name, body: body))
        } catch  where error.isNotFound {}
    }
}
