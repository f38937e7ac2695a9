import Foundation
import KubeCore
import Logging
import Synchronization

/// Runs the pods that are bound to the node, each with a worker, and keeps the Node object.
struct Kubelet: Sendable {
    let node: NodeContext

    /// Runs until cancelled; then all pods' processes are killed.
    func run() async throws {
        try await register()
        let workers = Workers()
        let changes = node.cache.changes(of: [.pods, .configMaps, .secrets])
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepAlive() }
            for await change in changes {
                switch change.resource {
                case .pods:
                    if let worker = take(change, workers) {
                        group.addTask {
                            await worker.run()
                            workers.remove(worker)
                        }
                    }
                default:
                    let namespace = change.object?.namespace
                    for worker in workers.all where worker.key.namespace == namespace { worker.sourcesChanged() }
                }
            }
        }
        node.processes.killAll()
    }

    /// Hands a change to the pod's worker; returns a new one when the pod has none.
    private func take(_ change: ClusterCache.Change, _ workers: Workers) -> PodWorker? {
        guard let pod = change.object, pod.nodeName == NodeAddresses.nodeName else { return nil }
        if let worker = workers.find(pod.uid) {
            if change.new == nil { worker.vanish() } else { worker.update(pod) }
            return nil
        }
        guard change.new != nil, !pod.isPodFinished else { return nil }
        let worker = PodWorker(pod, node: node)
        workers.add(worker)
        return worker
    }

    private func register() async throws {
        var object = KubeObject(.nodes, name: NodeAddresses.nodeName)
        object.labels = [
            "kubernetes.io/hostname": NodeAddresses.nodeName, "kubernetes.io/os": "linux", "heddle.dev/sandbox": "true",
        ]
        object.spec = ["podCIDR": .string(NodeAddresses.podRange)]
        do {
            _ = try await node.api.create(.nodes, object)
        } catch {
            if !error.isAlreadyExists { throw error }
        }
        try await writeStatus()
    }

    private func writeStatus() async throws {
        let now = KubeTime.format(Date())
        let conditions: [(String, String, String)] = [
            ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID"), ("Ready", "True", "KubeletReady"),
        ]
        let size: JSONValue = [
            "cpu": .string(String(ProcessInfo.processInfo.processorCount)), "pods": "110",
            "memory": .string("\(ProcessInfo.processInfo.physicalMemory / 1024)Ki"),
        ]
        _ = try await node.api.patch(
            .nodes, name: NodeAddresses.nodeName, subresource: "status",
            [
                "status": [
                    "addresses": [
                        ["type": "InternalIP", "address": .string(NodeAddresses.node)],
                        ["type": "Hostname", "address": .string(NodeAddresses.nodeName)],
                    ],
                    "capacity": size, "allocatable": size,
                    "conditions": .array(
                        conditions.map { type, status, reason in
                            [
                                "type": .string(type), "status": .string(status), "reason": .string(reason),
                                "message": "",
                                "lastHeartbeatTime": .string(now), "lastTransitionTime": .string(now),
                            ]
                        }),
                    "nodeInfo": [
                        "kubeletVersion": "v1.32.0-heddle", "kubeProxyVersion": "v1.32.0-heddle",
                        "operatingSystem": "linux",
                        "architecture": .string(Self.architecture), "containerRuntimeVersion": "heddle://sandbox",
                        "osImage": "Heddle sandbox", "kernelVersion": "", "machineID": "", "systemUUID": "",
                        "bootID": "",
                    ],
                ]
            ])
    }

    private static var architecture: String {
        #if arch(arm64)
            "arm64"
        #else
            "amd64"
        #endif
    }

    /// The node's Lease, renewed every ten seconds, as kubelet does.
    private func keepAlive() async {
        let spec: () -> JSONValue = {
            [
                "holderIdentity": .string(NodeAddresses.nodeName), "leaseDurationSeconds": 40,
                "renewTime": .string(KubeTime.formatMicro(Date())),
            ]
        }
        var lease = KubeObject(.leases, namespace: "kube-node-lease", name: NodeAddresses.nodeName)
        lease.spec = spec()
        _ = try? await node.api.create(.leases, lease)
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(10))
            _ = try? await node.api.patch(.leases, namespace: lease.namespace, name: lease.name, ["spec": spec()])
        }
    }
}

private final class Workers: Sendable {
    private let byUID = Mutex<[String: PodWorker]>([:])

    var all: [PodWorker] { byUID.withLock { Array($0.values) } }
    func find(_ uid: String) -> PodWorker? { byUID.withLock { $0[uid] } }
    func add(_ worker: PodWorker) { byUID.withLock { $0[worker.uid] = worker } }
    func remove(_ worker: PodWorker) { byUID.withLock { _ = $0.removeValue(forKey: worker.uid) } }
}
