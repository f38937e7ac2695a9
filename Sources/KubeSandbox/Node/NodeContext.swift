import Foundation
import KubeCore
import Logging

/// What all parts of the node share.
struct NodeContext: Sendable {
    let api: any ClusterAPI
    let cache: ClusterCache
    let processes: ChildProcesses
    let network: NodeNetwork
    let launcher: ContainerLauncher
    let probes: ProbeRunner
    let tokens: ServiceAccountTokens
    let logs: PodLogs
    /// Where pods' volumes and logs are.
    let directory: String
    /// Wait before the second restart of a container; doubles with each, up to five minutes, as kubelet's 10 s.
    let restartBackOff: Duration
    let logger: Logger

    /// Tells something about a pod in the cluster's events; failures are only logged.
    func event(_ pod: KubeObject, type: String = "Normal", reason: String, _ message: String) async {
        let now = KubeTime.format(Date())
        var event = KubeObject(
            .events, namespace: pod.namespace,
            name: "\(pod.name).\(String(UInt64.random(in: 1...UInt64.max), radix: 16))")
        event.json.set(
            [
                "apiVersion": "v1", "kind": "Pod", "name": .string(pod.name), "namespace": .string(pod.namespace),
                "uid": .string(pod.uid),
            ], at: ["involvedObject"])
        for (field, value) in [
            ("type", type), ("reason", reason), ("message", String(message.prefix(1000))), ("firstTimestamp", now),
            ("lastTimestamp", now), ("reportingComponent", "kubelet"),
        ] { event.json[field] = .string(value) }
        event.json["source"] = ["component": "kubelet", "host": .string(NodeAddresses.nodeName)]
        event.json["count"] = 1
        do {
            _ = try await api.create(.events, event)
        } catch {
            logger.debug(
                "event was not written", metadata: ["object": "\(pod.key)", "reason": "\(reason)", "error": "\(error)"])
        }
    }
}
