import FoundationEssentials
import KubeCore

/// Binds every pod that has no node, and asks for no scheduler of another name, to the sandbox's only one.
struct Scheduler: Reconciler {
    let api: any ClusterAPI
    let cache: ClusterCache
    let nodeName: String

    let name = "scheduler"
    let watches: [GroupVersionResource] = [.pods]

    func keys(for change: ClusterCache.Change) -> [ObjectKey] {
        guard let pod = change.new, pod.nodeName == nil, !pod.isBeingDeleted,
            pod.spec["schedulerName"]?.string ?? "default-scheduler" == "default-scheduler"
        else { return [] }
        return [pod.key]
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let pod = cache.get(.pods, namespace: key.namespace, name: key.name), pod.nodeName == nil,
            !pod.isBeingDeleted
        else { return nil }
        let binding: JSONValue = [
            "apiVersion": "v1", "kind": "Binding",
            "metadata": ["name": .string(pod.name), "namespace": .string(pod.namespace)],
            "target": ["apiVersion": "v1", "kind": "Node", "name": .string(nodeName)],
        ]
        do {
            _ = try await api.perform(
                APIRequest(
                    .create, .pods, namespace: pod.namespace, name: pod.name, subresource: "binding", body: binding))
        } catch {
            guard error.isNotFound || error.isConflict else { throw error }
            // Gone, or bound meanwhile; if not, the watch brings it here again.
            return .seconds(1)
        }
        return nil
    }
}
