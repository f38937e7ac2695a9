package import KubeCore
import Synchronization

/// What a reader of a container's log asks for.
package struct PodLogOptions: Sendable, Hashable {
    package var container: String
    package var follow = false
    /// The log of the container's run before this one.
    package var previous = false
    /// Only the last lines; nil: all.
    package var tailLines: Int?
    package var limitBytes: Int?
    /// Only what is newer than this.
    package var sinceSeconds: Int?
    /// RFC 3339 stamps before each line.
    package var timestamps = false

    package init(container: String) { self.container = container }
}

/// Where `pods/log` comes from: the node that runs the pods.
package protocol PodLogSource: Sendable {
    /// Opens a container's log. A followed log ends when the container does, or when its reader goes away.
    /// - Throws: `BadRequest` when the container has not started, `NotFound` when the pod is not on the node.
    func log(of pod: KubeObject, _ options: PodLogOptions) async throws(APIError) -> AsyncStream<[UInt8]>
}

extension APIServer {
    /// Opens the log that a request asks for.
    func openLog(_ request: APIRequest, type: ResourceType) async throws(APIError) -> AsyncStream<[UInt8]> {
        let pod = try existing(request, type).object
        let containers = (pod.spec["containers"]?.array ?? []).compactMap { $0["name"]?.string }
        let others = (pod.spec["initContainers"]?.array ?? []).compactMap { $0["name"]?.string }
        let name: String
        if let asked = request.query["container"], !asked.isEmpty {
            guard (containers + others).contains(asked) else {
                throw .badRequest("container \(asked) is not valid for pod \(pod.name)")
            }
            name = asked
        } else if containers.count == 1 {
            name = containers[0]
        } else {
            throw .badRequest(
                "a container name must be specified for pod \(pod.name), choose one of: [\(containers.joined(separator: " "))]"
            )
        }
        var options = PodLogOptions(container: name)
        options.follow = request.query["follow"].isTrue
        options.previous = request.query["previous"].isTrue
        options.timestamps = request.query["timestamps"].isTrue
        options.tailLines = request.query["tailLines"].flatMap(Int.init)
        options.limitBytes = request.query["limitBytes"].flatMap(Int.init)
        options.sinceSeconds = request.query["sinceSeconds"].flatMap(Int.init)
        guard let source = hooks.withLock({ $0.podLogs }) else {
            throw APIError(
                code: 503, reason: "ServiceUnavailable", message: "no node provides logs of pod \(pod.name)")
        }
        return try await source.log(of: pod, options)
    }
}
