import HeddleAPI
import KubeCore
import Testing

@testable import MeshPlan

struct ChangeHashTests {
    private let template: JSONValue = [
        "metadata": ["labels": ["app": "catalog"]],
        "spec": ["containers": [["name": "catalog", "image": "catalog:1", "env": []]]],
    ]

    private func changed(_ change: (inout JSONValue) -> Void) -> String {
        var copy = template
        change(&copy)
        return ChangeHash.of(template: copy)
    }

    @Test func `restarts, Heddle's own marks and a server's habits are no change`() {
        let base = ChangeHash.of(template: template)
        #expect(base.hasPrefix("v1:") && base.count == 19)
        #expect(
            changed { $0[path: "metadata", "annotations", HeddleAnnotation.restartedAt] = "2026-01-01T00:00:00Z" }
                == base)
        #expect(changed { $0[path: "metadata", "annotations"] = ["kubectl.kubernetes.io/restartedAt": "now"] } == base)
        #expect(changed { $0[path: "metadata", "annotations"] = ["heddle.dev/inject": "true"] } == base)
        #expect(changed { $0[path: "metadata", "labels", "pod-template-hash"] = "abc" } == base)
        #expect(changed { $0[path: "metadata", "creationTimestamp"] = .null } == base)
        #expect(changed { $0[path: "spec", "nodeSelector"] = [:] } == base)
    }

    @Test func `what users change is a change`() {
        let base = ChangeHash.of(template: template)
        #expect(changed { $0[path: "spec", "containers"] = [["name": "catalog", "image": "catalog:2"]] } != base)
        #expect(changed { $0[path: "metadata", "labels", "tier"] = "x" } != base)
        #expect(changed { $0[path: "metadata", "annotations"] = ["example.com/x": "1"] } != base)
    }

    @Test func `the hash is what it was`() {
        // A new value here starts a run on every Deployment at the next upgrade: raise ChangeHash.version instead.
        #expect(
            ChangeHash.of(template: ["spec": ["a": 1]]) == ChangeHash.of(template: ["spec": ["a": 1], "metadata": [:]]))
        #expect(ChangeHash.of(template: [:]) == "v1:08f44b07b5901a25")
    }

    private func deployment(_ template: JSONValue, replicas: Int = 3) -> KubeObject {
        var object = KubeObject(
            GroupVersionResource(group: "apps", resource: "deployments", kind: "Deployment"), namespace: "shop",
            name: "catalog")
        object.spec = ["replicas": .int(replicas), "template": template]
        return object
    }

    @Test func `the webhook pauses changes and nothing else`() {
        var other = template
        other[path: "spec", "containers"] = [["name": "catalog", "image": "catalog:2"]]
        var restarted = template
        restarted[path: "metadata", "annotations", HeddleAnnotation.restartedAt] = "2026-01-01T00:00:00Z"
        var status = CanaryStatus()
        status.change.promoted = ChangeHash.of(template: template)
        let spec = CanarySpec(
            targetRef: TargetRef(name: "catalog"), service: CanaryService(name: "catalog", port: 80), steps: [])
        let canary = Canary(namespace: "shop", name: "catalog", spec: spec, status: status)
        func pauses(_ old: JSONValue, _ new: JSONValue, replicas: Int = 3, _ canary: Canary) -> Bool {
            ReleaseAdmission.shouldPause(
                old: deployment(old, replicas: replicas), new: deployment(new, replicas: replicas), canary: canary)
        }
        #expect(pauses(template, other, canary))
        #expect(!pauses(template, restarted, canary))
        #expect(!pauses(template, template, canary))
        #expect(!pauses(other, template, canary), "undo passes")
        #expect(!pauses(template, other, replicas: 0, canary))
        var elsewhere = canary
        elsewhere.spec.targetRef.name = "cart"
        #expect(!pauses(template, other, elsewhere))
        var promoting = canary
        promoting.status.phase = .promoting
        promoting.status.change.running = ChangeHash.of(template: other)
        #expect(!pauses(template, other, promoting))
    }
}
