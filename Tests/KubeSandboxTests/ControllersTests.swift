import Foundation
import KubeCore
import Testing

@testable import KubeSandbox

/// The controllers against the sandbox's own API server, as a real controller-manager behaves.
@Suite(.timeLimit(.minutes(2)))
struct ControllersTests {
    private func withDeployment(
        replicas: Int = 3, _ body: @Sendable @escaping (ControlledCluster) async throws -> Void
    ) async throws {
        try await ControlledCluster().run { cluster in
            _ = try await cluster.api.create(.deployments, deployment("web", replicas: replicas))
            try await eventually("the first rollout") { try await isRolledOut(cluster.deployment()) }
            try await body(cluster)
        }
    }

    @Test func `a Deployment gets a ReplicaSet named by its template's hash and its pods`() async throws {
        try await withDeployment { cluster in
            let replicaSet = try #require(try await cluster.replicaSets().first)
            let hash = try #require(replicaSet.labels["pod-template-hash"])
            #expect(replicaSet.name == "web-\(hash)")
            #expect(replicaSet.annotations["deployment.kubernetes.io/revision"] == "1")
            let pods = try await cluster.pods()
            #expect(pods.count == 3)
            #expect(
                pods.allSatisfy { $0.labels["pod-template-hash"] == hash && $0.name.hasPrefix(replicaSet.name + "-") })
            #expect(pods.allSatisfy { $0.nodeName == "sandbox-node" })
            let deployment = try await cluster.deployment()
            #expect(deployment.annotations["deployment.kubernetes.io/revision"] == "1")
            #expect(deployment.condition("Available")?["status"] == "True")
            try await eventually("NewReplicaSetAvailable") {
                try await cluster.deployment().condition("Progressing")?["reason"] == "NewReplicaSetAvailable"
            }
        }
    }

    @Test func `a paused Deployment takes a template without a new ReplicaSet, and still scales`() async throws {
        try await withDeployment { cluster in
            try await cluster.patch("web", ["paused": true])
            try await cluster.setImage("shop:2")
            try await cluster.patch("web", ["replicas": 5])
            try await eventually("five old pods") {
                try await cluster.replicaSets().first?.status["readyReplicas"]?.int == 5
            }
            #expect(try await cluster.replicaSets().count == 1)
            #expect(try await cluster.pods().allSatisfy { $0.spec["containers"]?[0]?["image"] == "shop:1" })
            try await eventually("the pause is told") {
                try await cluster.deployment().condition("Progressing")?["reason"] == "DeploymentPaused"
            }
            try await cluster.patch("web", ["paused": false])
            try await eventually("the rollout after the pause") { try await isRolledOut(cluster.deployment()) }
            #expect(try await cluster.pods().allSatisfy { $0.spec["containers"]?[0]?["image"] == "shop:2" })
            #expect(try await cluster.deployment().annotations["deployment.kubernetes.io/revision"] == "2")
        }
    }

    @Test func `an old template brings its old ReplicaSet back with the next revision`() async throws {
        try await withDeployment { cluster in
            try await cluster.setImage("shop:2")
            try await eventually("the second rollout") {
                let images = Set(try await cluster.pods().map { $0.spec["containers"]?[0]?["image"]?.string })
                return try await isRolledOut(cluster.deployment()) && images == ["shop:2"]
            }
            try await cluster.setImage("shop:1")
            try await eventually("the way back") {
                let images = Set(try await cluster.pods().map { $0.spec["containers"]?[0]?["image"]?.string })
                return try await isRolledOut(cluster.deployment()) && images == ["shop:1"]
            }
            let replicaSets = try await cluster.replicaSets()
            #expect(replicaSets.count == 2)
            #expect(Set(replicaSets.map { $0.annotations["deployment.kubernetes.io/revision"] }) == ["2", "3"])
        }
    }

    @Test func `a rollout that cannot become ready keeps the old pods within its bounds`() async throws {
        try await withDeployment(replicas: 4) { cluster in
            try await cluster.setImage(cluster.brokenImage)
            try await eventually("surge and unavailable are used up") {
                let pods = try await cluster.pods()
                return pods.count { $0.spec["containers"]?[0]?["image"] == "broken" } == 2
            }
            try await Task.sleep(for: .milliseconds(300))
            let pods = try await cluster.pods().filter { !$0.isBeingDeleted }
            // 25 % of 4: one more, one fewer.
            #expect(pods.count == 5)
            #expect(pods.count(where: \.isPodReady) == 3)
        }
    }

    @Test func `deleting a Deployment takes its ReplicaSets and pods with it`() async throws {
        try await withDeployment { cluster in
            try await cluster.api.delete(.deployments, namespace: "default", name: "web")
            try await eventually("nothing left") {
                let pods = try await cluster.pods()
                let replicaSets = try await cluster.replicaSets()
                return pods.isEmpty && replicaSets.isEmpty
            }
        }
    }

    @Test func `deleting a namespace empties it`() async throws {
        try await ControlledCluster().run { cluster in
            _ = try await cluster.api.create(.namespaces, KubeObject(.namespaces, name: "shop"))
            var config = configMap("a")
            config.namespace = "shop"
            _ = try await cluster.api.create(.configMaps, config)
            try await eventually("the root certificate") {
                try await cluster.api.find(.configMaps, namespace: "shop", name: "kube-root-ca.crt") != nil
            }
            try await cluster.api.delete(.namespaces, name: "shop")
            try await eventually("the namespace is gone") {
                try await cluster.api.find(.namespaces, name: "shop") == nil
            }
            #expect(try await cluster.api.list(.configMaps, namespace: "shop").items.isEmpty)
        }
    }

    @Test func `endpoints follow readiness and named ports`() async throws {
        try await withDeployment(replicas: 2) { cluster in
            var service = KubeObject(.services, namespace: "default", name: "web")
            service.spec = ["selector": ["app": "web"], "ports": [["name": "http", "port": 80, "targetPort": 8080]]]
            _ = try await cluster.api.create(.services, service)
            try await eventually("two ready endpoints") {
                let slices = try await cluster.api.list(.endpointSlices, namespace: "default").items
                    .filter { $0.labels["kubernetes.io/service-name"] == "web" }
                let endpoints = slices.flatMap { $0.json["endpoints"]?.array ?? [] }
                return endpoints.count == 2 && endpoints.allSatisfy { $0[path: "conditions", "ready"] == true }
                    && slices.first?.json["ports"]?[0]?["port"] == 8080
            }
            let endpoints = try await cluster.api.get(.endpoints, namespace: "default", name: "web")
            #expect(endpoints.json["subsets"]?[0]?["addresses"]?.array?.count == 2)
        }
    }

    @Test func `a disruption budget counts what may go`() async throws {
        try await withDeployment { cluster in
            var budget = KubeObject(.podDisruptionBudgets, namespace: "default", name: "web")
            budget.spec = ["minAvailable": 2, "selector": ["matchLabels": ["app": "web"]]]
            _ = try await cluster.api.create(.podDisruptionBudgets, budget)
            try await eventually("one may go") {
                let status = try await cluster.api.get(.podDisruptionBudgets, namespace: "default", name: "web").status
                return status["disruptionsAllowed"] == 1 && status["expectedPods"] == 3
            }
        }
    }

    @Test func `another Deployment's pods with the same labels are left alone`() async throws {
        try await withDeployment(replicas: 2) { cluster in
            var canary = deployment("web-canary", replicas: 1, image: "shop:2")
            canary.spec = canary.spec.merging([
                "selector": ["matchLabels": ["app": "web"]], "template": ["metadata": ["labels": ["app": "web"]]],
            ])
            _ = try await cluster.api.create(.deployments, canary)
            try await eventually("the canary's pod") { try await cluster.pods().filter(\.isPodReady).count == 3 }
            try await Task.sleep(for: .milliseconds(200))
            #expect(try await cluster.pods().count == 3)
            #expect(try await cluster.deployment().status["replicas"] == 2)
        }
    }
}
