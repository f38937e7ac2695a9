import HeddleAPI
import KubeCore
import MeshEvidence
import Testing

@testable import MeshPlan

struct GatheringTests {
    private func deployment(_ name: String, image: String) -> KubeObject {
        var object = KubeObject(
            GroupVersionResource(group: "apps", resource: "deployments", kind: "Deployment"), namespace: "shop",
            name: name)
        object.json[path: "metadata", "uid"] = .string("uid-\(name)")
        object.json[path: "metadata", "generation"] = 3
        object.spec = ["replicas": 2, "template": template(image)]
        object.status = ["observedGeneration": 3, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2]
        return object
    }

    private func template(_ image: String) -> JSONValue {
        [
            "metadata": ["labels": ["app": "catalog"]],
            "spec": ["containers": [["name": "catalog", "image": .string(image)]]],
        ]
    }

    private func replicaSet(_ owner: KubeObject, hash: String, image: String, replicas: Int, ready: Int) -> KubeObject {
        var object = KubeObject(
            GroupVersionResource(group: "apps", resource: "replicasets", kind: "ReplicaSet"), namespace: "shop",
            name: "\(owner.name)-\(hash)")
        object.labels = ["app": "catalog", HeddleLabel.podTemplateHash: hash]
        object.ownerReferences = [owner.asController]
        var pods = template(image)
        pods[path: "metadata", "labels", HeddleLabel.podTemplateHash] = .string(hash)
        object.spec = ["replicas": .int(replicas), "template": pods]
        object.status = ["replicas": .int(replicas), "readyReplicas": .int(ready)]
        return object
    }

    @Test func `a Deployment's tracks are told apart and matched with its template`() {
        var target = deployment("catalog", image: "catalog:2")
        target.spec["paused"] = true
        target.annotations = [HeddleAnnotation.heldChange: "v1:x"]
        let canary = deployment("catalog-canary", image: "catalog:2")
        let sets = [
            replicaSet(target, hash: "aaa", image: "catalog:1", replicas: 2, ready: 1),
            replicaSet(target, hash: "old", image: "catalog:0", replicas: 0, ready: 0),
            replicaSet(canary, hash: "bbb", image: "catalog:2", replicas: 1, ready: 1),
        ]
        let facts = DeploymentFacts(deployment: target, replicaSets: sets)
        #expect(facts.tracks.map(\.hash) == ["aaa"] && facts.tracks.first?.ready == 1)
        #expect(facts.tracks.first?.change == ChangeHash.of(template: template("catalog:1")))
        #expect(facts.isPaused && facts.heldChange == "v1:x" && facts.isObserved && !facts.isRolloutComplete)
        let own = CanaryDeploymentFacts(deployment: canary, replicaSets: sets)
        #expect(own.hash == "bbb" && own.ready == 1 && own.change == facts.changeHash)
    }

    @Test func `a rollout is complete when only the current template has pods`() {
        let target = deployment("catalog", image: "catalog:2")
        let current = replicaSet(target, hash: "bbb", image: "catalog:2", replicas: 2, ready: 2)
        #expect(DeploymentFacts(deployment: target, replicaSets: [current]).isRolloutComplete)
        var behind = target
        behind.json[path: "metadata", "generation"] = 4
        let facts = DeploymentFacts(deployment: behind, replicaSets: [current])
        #expect(!facts.isObserved && !facts.isRolloutComplete)
    }

    private func sample(_ labels: [String: String], _ value: Double) -> PrometheusAnswer.Sample {
        .init(labels: labels, time: 0, value: value)
    }

    private func input() -> AdoptionInput {
        AdoptionInput(
            now: Timestamp(seconds: 1_700_000_000),
            workloads: ["orders", "cart"].map {
                WorkloadFacts(name: $0, desired: 1, podsTotal: 1, podsMeshed: 1, podsReady: 1)
            })
    }

    private let names = MetricNames(
        namespace: "shop", workloadByApp: ["orders": "orders", "cart": "cart"], otherApps: ["elsewhere"],
        clientByAddress: ["10.0.0.9": "shop/legacy"], workloadsByService: ["orders": ["orders"], "cart": ["cart"]])

    @Test func `plaintext of a workload that cannot be told is the Adoption's`() {
        var input = input()
        input.takePlaintext(
            [sample(["app": "who", "source_ip": "10.0.0.9"], 1), sample(["source_ip": "10.0.0.9"], 1)], names: names)
        #expect(input.plaintext?.map(\.workload) == ["unknown workload", "who"])
    }

    @Test func `plaintext is named by client, workload and port, and one request is never lost`() {
        var input = input()
        input.takePlaintext(
            [
                sample(["app": "orders", "destination_port": "8080", "source_ip": "10.0.0.9"], 0.4),
                sample(["app": "orders", "destination_port": "8080", "source_ip": "10.0.0.8"], 2),
                sample(["app": "elsewhere", "destination_port": "8080", "source_ip": "10.0.0.9"], 5),
                sample(["app": "cart", "destination_port": "8080", "source_ip": "10.0.0.9"], 0),
            ], names: names)
        #expect(
            input.plaintext == [
                PlaintextObservation(client: "10.0.0.8", address: "10.0.0.8", workload: "orders", port: 8080, count: 2),
                PlaintextObservation(
                    client: "shop/legacy", address: "10.0.0.9", workload: "orders", port: 8080, count: 1),
            ])
        input.takeAccepted([])
        #expect(input.requests == nil)
        input.takeAccepted([
            sample(["connection_security_policy": "mutual_tls"], 9.2),
            sample(["connection_security_policy": "none"], 1),
        ])
        #expect(input.requests == RequestTotals(mutualTLS: 10, plaintext: 1))
    }

    @Test func `outcomes give the error ratio and failed connections`() {
        let samples = [
            sample(["destination_service": "orders.shop", "response_code": "200", "response_flags": "-"], 90),
            sample(["destination_service": "orders.shop", "response_code": "503", "response_flags": "UF"], 4),
            sample(["destination_service": "cart.shop", "response_code": "500", "response_flags": "-"], 6),
            sample(["destination_service": "cart.shop", "response_code": "0", "response_flags": "DC"], 50),
        ]
        var input = input()
        input.takeOutcomes([], names: names)
        #expect(input.connectionFailures == nil && input.errorRatio == nil, "no data is no good news")
        input.takeOutcomes(samples, names: names)
        #expect(input.errorRatio == 0.1)
        #expect(input.connectionFailures == ["orders": 4, "cart": 0])
    }

    @Test func `calls name workloads`() {
        var input = input()
        input.takeCalls(
            [
                sample(["namespace": "shop", "app": "cart", "destination_service": "orders.shop"], 3),
                sample(["namespace": "ops", "app": "probe", "destination_service": "cart.shop"], 1),
                sample(["namespace": "shop", "app": "cart", "destination_service": "orders.elsewhere"], 3),
            ], names: names)
        #expect(
            input.calls == [
                CallEdge(client: "cart", workload: "orders"), CallEdge(client: "ops/probe", workload: "cart"),
            ])
    }

    @Test func `the added latency is the difference of both reporters`() {
        func histogram(_ shift: Double) -> [PrometheusAnswer.Sample] {
            [sample(["le": "10"], 50 - shift), sample(["le": "25"], 100), sample(["le": "+Inf"], 100)]
        }
        var input = input()
        input.takeLatency(source: histogram(50), destination: histogram(0))
        #expect(input.addedLatencyP50Ms == 7.5)
        input.takeLatency(source: [], destination: histogram(0))
        #expect(input.addedLatencyP50Ms == 7.5)
    }
}
