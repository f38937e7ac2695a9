/// What became of an eviction.
package enum EvictionOutcome: Sendable, Hashable {
    /// The pod ends now, within its grace period.
    case evicted
    /// There is no such pod (any more).
    case gone
    /// A disruption budget forbids it for now.
    case blocked(message: String, retryAfterSeconds: Int?)
}

/// The number of replicas that a workload should have, and has: its `scale` subresource.
package struct Scale: Sendable, Hashable {
    package var desired: Int
    package var current: Int
    /// Selects the pods, as a query; nil when the workload does not say.
    package var selector: String?
    package var resourceVersion: String

    init(_ json: JSONValue) {
        desired = json[path: "spec", "replicas"]?.int ?? 0
        current = json[path: "status", "replicas"]?.int ?? 0
        selector = json[path: "status", "selector"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        resourceVersion = json[path: "metadata", "resourceVersion"]?.string ?? ""
    }
}

extension ClusterAPI {
    /// Asks for a pod's end as its disruption budgets allow it (`policy/v1`, Kubernetes 1.22 and newer).
    /// - Parameters:
    ///   - uid: only this very pod; another of its name counts as `gone`.
    ///   - gracePeriodSeconds: nil takes the pod's.
    /// - Throws: `APIError` of code 500 when several budgets select the pod, which Kubernetes does not support.
    package func evict(
        namespace: String, pod: String, uid: String? = nil, gracePeriodSeconds: Int? = nil, isDryRun: Bool = false
    ) async throws(APIError) -> EvictionOutcome {
        try await evict(
            apiVersion: "policy/v1", namespace: namespace, pod: pod, uid: uid, gracePeriodSeconds: gracePeriodSeconds,
            isDryRun: isDryRun)
    }

    /// - Parameter apiVersion: `policy/v1beta1` for servers older than Heddle supports.
    package func evict(
        apiVersion: String, namespace: String, pod: String, uid: String?, gracePeriodSeconds: Int?, isDryRun: Bool
    ) async throws(APIError) -> EvictionOutcome {
        var options: JSONValue = [:]
        if let uid { options["preconditions"] = ["uid": .string(uid)] }
        if let gracePeriodSeconds { options["gracePeriodSeconds"] = .int(gracePeriodSeconds) }
        if isDryRun { options["dryRun"] = ["All"] }
        let body: JSONValue = [
            "apiVersion": .string(apiVersion), "kind": "Eviction",
            "metadata": ["namespace": .string(namespace), "name": .string(pod)], "deleteOptions": options,
        ]
        do {
            _ = try await perform(
                APIRequest(
                    .create, .pods, namespace: namespace, name: pod, subresource: "eviction", body: body))
            return .evicted
        } catch {
            if error.code == 429 {
                return .blocked(message: error.message, retryAfterSeconds: error.retryAfterSeconds)
            }
            // The API answers 409 to a wrong uid; a conflict without a uid is a race to be tried again by the caller.
            if error.isNotFound || (error.isConflict && uid != nil) { return .gone }
            throw error
        }
    }

    package func scale(_ resource: GroupVersionResource, namespace: String, name: String) async throws(APIError)
        -> Scale
    {
        Scale(
            try await perform(APIRequest(.get, resource, namespace: namespace, name: name, subresource: "scale")))
    }

    /// - Parameter resourceVersion: of the scale that the decision was made on; nil sets it whatever it is now.
    /// - Throws: `APIError.isConflict` when the workload has changed since.
    @discardableResult
    package func setScale(
        _ resource: GroupVersionResource, namespace: String, name: String, replicas: Int,
        resourceVersion: String? = nil, options: WriteOptions = WriteOptions()
    ) async throws(APIError) -> Scale {
        var body: JSONValue = ["spec": ["replicas": .int(replicas)]]
        if let resourceVersion { body["metadata"] = ["resourceVersion": .string(resourceVersion)] }
        return Scale(
            try await perform(
                APIRequest(
                    .patch(.merge), resource, namespace: namespace, name: name, subresource: "scale",
                    query: options.query, body: body)))
    }
}
