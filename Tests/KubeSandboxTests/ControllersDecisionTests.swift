import Foundation
import KubeCore
import Testing

@testable import KubeSandbox

/// Pure decisions of the Deployment controller and its neighbours.
struct ControllersDecisionTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func replicaSet(
        _ name: String, image: String, size: Int, available: Int? = nil, of owner: KubeObject, age: Double
    )
        -> KubeObject
    {
        var object = KubeObject(.replicaSets, namespace: "default", name: name)
        let template = deployment("web", image: image).spec["template"] ?? [:]
        object.spec = ["replicas": .int(size), "template": template]
        object.status = ["replicas": .int(size), "availableReplicas": .int(available ?? size)]
        object.json.set(.string(KubeTime.format(now.addingTimeInterval(-age))), at: ["metadata", "creationTimestamp"])
        let view = DeploymentView(object: owner)
        object.annotations = [
            DeploymentView.desiredReplicasAnnotation: String(view.replicas),
            DeploymentView.maxReplicasAnnotation: String(view.replicas + view.maxSurge),
            DeploymentView.revisionAnnotation: age > 50 ? "1" : "2",
        ]
        return object
    }

    private func sizes(_ actions: [DeploymentRollout.Action]) -> [String: Int] {
        var result: [String: Int] = [:]
        for case .patch(let name, let patch) in actions {
            if let size = patch[path: "spec", "replicas"]?.int { result[name] = size }
        }
        return result
    }

    @Test(arguments: [("25%", 10, 3, 2), ("1", 10, 1, 1), ("0%", 10, 0, 0), ("100%", 3, 3, 3)])
    func `percentages round up for surge and down for unavailable`(text: String, total: Int, up: Int, down: Int) {
        let value = IntOrPercent(.string(text))
        #expect(value.resolve(total: total, roundUp: true, default: "25%") == up)
        #expect(value.resolve(total: total, roundUp: false, default: "25%") == down)
    }

    @Test func `a Deployment that is scaled in mid-rollout grows both ReplicaSets in proportion`() {
        let before = deployment("web", replicas: 10, image: "shop:2")
        let old = replicaSet("web-a", image: "shop:1", size: 8, of: before, age: 100)
        let new = replicaSet("web-b", image: "shop:2", size: 5, available: 0, of: before, age: 10)
        let scaled = deployment("web", replicas: 20, image: "shop:2")
        // 20 and a surge of 5 make 25; 13 were there for 10 and 3.
        #expect(sizes(DeploymentRollout.decide(scaled, [old, new], now: now)) == ["web-a": 15, "web-b": 10])
    }

    @Test func `a paused Deployment without change writes nothing but its status once`() {
        var paused = deployment("web", replicas: 3, image: "shop:2")
        paused.spec["paused"] = true
        paused.annotations = [DeploymentView.revisionAnnotation: "1"]
        let old = replicaSet("web-a", image: "shop:1", size: 3, of: paused, age: 100)
        let actions = DeploymentRollout.decide(paused, [old], now: now)
        guard case .status(let status)? = actions.first, actions.count == 1 else {
            Issue.record("\(actions)")
            return
        }
        paused.status = status
        #expect(DeploymentRollout.decide(paused, [old], now: now).isEmpty)
    }

    @Test func `a rollout steps within surge and availability`() {
        let target = deployment("web", replicas: 4, image: "shop:2")
        let old = replicaSet("web-a", image: "shop:1", size: 4, of: target, age: 100)
        var new = replicaSet("web-b", image: "shop:2", size: 0, of: target, age: 10)
        #expect(sizes(DeploymentRollout.decide(target, [old, new], now: now)) == ["web-b": 1])
        new.json.set(1, at: ["spec", "replicas"])
        // Not ready yet: one old pod may go, because one may be missing.
        #expect(sizes(DeploymentRollout.decide(target, [old, new], now: now))["web-a"] == 3)
    }

    @Test func `a rollout without progress times out`() {
        var target = deployment("web", replicas: 1, image: "shop:2")
        target.spec["progressDeadlineSeconds"] = 10
        let new = replicaSet("web-b", image: "shop:2", size: 1, available: 0, of: target, age: 100)
        var conditions: JSONValue = ["type": "Progressing", "status": "True", "reason": "NewReplicaSetCreated"]
        conditions["lastUpdateTime"] = .string(KubeTime.format(now.addingTimeInterval(-11)))
        target.status = ["replicas": 1, "updatedReplicas": 1, "conditions": [conditions]]
        let actions = DeploymentRollout.decide(target, [new], now: now)
        let status = actions.compactMap { if case .status(let status) = $0 { status } else { nil } }.first
        let progressing = KubeObject(json: ["status": status ?? [:]]).condition("Progressing")
        #expect(progressing?["reason"] == "ProgressDeadlineExceeded" && progressing?["status"] == "False")
    }

    @Test func `pods that are not ready go first, then the youngest`() {
        func pod(_ name: String, ready: Bool, age: Double) -> KubeObject {
            var object = KubeObject(.pods, namespace: "default", name: name)
            object.spec = ["nodeName": "n"]
            object.json.set(
                .string(KubeTime.format(now.addingTimeInterval(-age))), at: ["metadata", "creationTimestamp"])
            let time = JSONValue.string(KubeTime.format(now.addingTimeInterval(-age)))
            object.status = [
                "phase": "Running",
                "conditions": [["type": "Ready", "status": ready ? "True" : "False", "lastTransitionTime": time]],
            ]
            return object
        }
        let pods = [
            pod("old", ready: true, age: 100), pod("young", ready: true, age: 10), pod("ill", ready: false, age: 50),
        ]
        #expect(ReplicaSetController.deletionOrder(pods).map(\.name) == ["ill", "young", "old"])
    }
}
