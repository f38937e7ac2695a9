import Foundation
import KubeCore
import Logging
import Testing

@testable import KubeSandbox

/// An API server with the sandbox's controllers, and a node that reports every bound pod as running and ready at once.
struct ControlledCluster: Sendable {
    let api = APIServer()
    let cache: ClusterCache
    /// Images whose pods never become ready.
    let brokenImage = "broken"

    init() { cache = ClusterCache(api: api, resources: ControllerSet.resources) }

    /// Runs the controllers while the body runs.
    func run(_ body: @Sendable @escaping (ControlledCluster) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await cache.run() }
            group.addTask {
                await ControllerSet(
                    api: api, cache: cache, nodeName: "sandbox-node", rootCertificate: "root",
                    logger: Logger(label: "test")
                ).run()
            }
            group.addTask { await playNode() }
            try await body(self)
            group.cancelAll()
        }
    }

    private func playNode() async {
        var number = 1
        for await change in cache.changes(of: [.pods]) {
            guard let pod = change.new, pod.nodeName != nil else { continue }
            if pod.isBeingDeleted {
                _ = try? await api.perform(
                    APIRequest(
                        .delete, .pods, namespace: pod.namespace, name: pod.name, body: ["gracePeriodSeconds": 0]))
            } else if pod.podIP == nil {
                number += 1
                let isBroken = pod.spec["containers"]?[0]?["image"]?.string == brokenImage
                let status: JSONValue = [
                    "phase": "Running", "podIP": .string("10.244.9.\(number)"),
                    "conditions": [
                        [
                            "type": "Ready", "status": isBroken ? "False" : "True",
                            "lastTransitionTime": .string(KubeTime.format(Date())),
                        ]
                    ],
                ]
                _ = try? await api.patch(
                    .pods, namespace: pod.namespace, name: pod.name, subresource: "status", ["status": status])
            }
        }
    }

    func deployment(_ name: String = "web") async throws -> KubeObject {
        try await api.get(.deployments, namespace: "default", name: name)
    }
    func replicaSets() async throws -> [KubeObject] { try await api.list(.replicaSets, namespace: "default").items }
    func pods() async throws -> [KubeObject] { try await api.list(.pods, namespace: "default").items }

    func patch(_ name: String = "web", _ spec: JSONValue) async throws {
        _ = try await api.patch(.deployments, namespace: "default", name: name, ["spec": spec])
    }
    func setImage(_ image: String, _ name: String = "web") async throws {
        try await patch(name, ["template": ["spec": ["containers": [["name": "app", "image": .string(image)]]]]])
    }
}

/// Waits until the condition holds, at most this long.
func eventually(
    _ what: String, within seconds: Double = 30, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + .seconds(seconds)
    repeat {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(25))
    } while .now < end
    Issue.record("not within \(seconds) s: \(what)", sourceLocation: sourceLocation)
}

func isRolledOut(_ deployment: KubeObject) -> Bool {
    let (status, replicas) = (deployment.status, deployment.spec["replicas"]?.int ?? 1)
    return status["observedGeneration"]?.int == deployment.generation
        && (status["updatedReplicas"]?.int ?? 0) == replicas
        && (status["replicas"]?.int ?? 0) == replicas && (status["availableReplicas"]?.int ?? 0) == replicas
}
