import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import MeshDialects
import MeshEvidence
import MeshModel
import MeshPlan
import Testing

@testable import HeddleControllers

/// One Deployment `catalog` with its Service and Canary; plays Kubernetes' part and the callers' while the reconciler runs.
final class ReleaseBench {
    let bench = Bench()
    var cluster: InMemoryCluster { bench.cluster }
    var reconciler: CanaryReconciler
    var proxies = ProxyView.none
    /// Share of failed requests by image.
    var failures: [String: Double] = [:]
    var broken: Set<String> = []
    /// Weights of the canary as the VirtualService had them, one entry a change; nil is no split.
    private(set) var weights: [Int?] = [nil]
    private(set) var phases: [CanaryPhase] = []
    private var counters: [[String: String]: Double] = [:]
    private var second = 0

    init(_ change: (inout CanarySpec) -> Void = { _ in }) {
        var spec = CanarySpec(
            targetRef: TargetRef(name: "catalog"), service: CanaryService(name: "catalog", port: 80),
            steps: [
                CanaryStep(weight: 10, duration: "2s", minSamples: 20),
                CanaryStep(weight: 50, duration: "2s", minSamples: 50),
            ])
        spec.analysis.interval = "1s"
        spec.bake = "3s"
        spec.progressDeadline = "30s"
        spec.stepDeadline = "30s"
        change(&spec)
        reconciler = Self.reconciler(bench, .none)
        bench.addService("catalog")
        bench.addDeployment("catalog", replicas: 4)
        cluster.seed(.canaries, Canary(namespace: "shop", name: "catalog", spec: spec, status: CanaryStatus()).object)
        kubernetes()
    }

    private static func reconciler(_ bench: Bench, _ proxies: ProxyView) -> CanaryReconciler {
        CanaryReconciler(
            api: bench.cluster, stores: bench.stores, routes: RouteWriter(api: bench.cluster, stores: bench.stores),
            evidence: EvidenceCollector(), proxies: proxies, events: bench.events, prometheus: { bench.prometheus },
            now: { bench.now })
    }

    /// All that the operator had in memory is gone.
    func restart() { reconciler = Self.reconciler(bench, proxies) }

    // MARK: The world as it is

    var status: CanaryStatus { get throws { try bench.canary().status } }
    func deployment(_ name: String = "catalog") throws -> KubeObject {
        try cluster.get("Deployment", .deployments, name)
    }
    var hasCanary: Bool { cluster.object(.deployments, namespace: "shop", name: "catalog-canary") != nil }
    var route: KubeObject? { cluster.object(.virtualServices, namespace: "shop", name: "catalog-heddle") }
    var rule: KubeObject? { cluster.object(.destinationRules, namespace: "shop", name: "catalog-heddle") }
    var isPaused: Bool { get throws { try deployment().spec["paused"]?.bool ?? false } }
    var image: String { get throws { Self.image(of: try deployment()) } }

    /// The canary's share as the route says it; nil without a split.
    var weight: Int? {
        route.flatMap { IstioVirtualService.read($0).value }.flatMap(ServiceRouting.Split.canaryWeight(in:))
    }

    static func image(of object: KubeObject) -> String {
        object.spec[path: "template", "spec", "containers"]?[0]?["image"]?.string ?? ""
    }

    // MARK: What people do

    /// A new version, admitted as the webhook does it.
    func apply(_ image: String, webhook: Bool = true) throws {
        let old = try deployment()
        var new = old
        new.spec[path: "template", "spec", "containers"] = [["name": "app", "image": .string(image)]]
        new.json[path: "metadata", "generation"] = .int(old.generation + 1)
        if webhook, case .pause(let change) = ReleaseAdmission.decide(old: old, new: new, canary: try bench.canary()) {
            new.spec["paused"] = true
            new.annotations[HeddleAnnotation.heldChange] = change
        }
        cluster.seed(.deployments, new)
        kubernetes()
    }

    // MARK: Time

    @discardableResult
    func look() async throws -> ReconcileResult {
        bench.sync()
        defer {
            if weights.last ?? nil != weight { weights.append(weight) }
            if let phase = try? status.phase, phases.last != phase { phases.append(phase) }
        }
        return try await reconciler.reconcile(ObjectKey(namespace: "shop", name: "catalog"))
    }

    /// A look, then a second of the world.
    func tick() async throws {
        try await look()
        try checkInvariants()
        kubernetes()
        serve()
        bench.advance(1)
    }

    /// Ticks until `done`; an issue when it does not come about.
    func run(
        limit: Int = 120, sourceLocation: SourceLocation = #_sourceLocation, until done: (ReleaseBench) throws -> Bool
    ) async throws {
        for _ in 0..<limit {
            if try done(self) { return }
            try await tick()
        }
        Issue.record(
            "never came about: \(try status.phase) \(try status.message ?? "")", sourceLocation: sourceLocation)
    }

    func checkInvariants(sourceLocation: SourceLocation = #_sourceLocation) throws {
        if hasCanary, try status.phase == .progressing {
            #expect(
                weight != nil, "canary pods without a split get a share that nobody decided",
                sourceLocation: sourceLocation)
            #expect(try isPaused, sourceLocation: sourceLocation)
        }
        if let weight, weight > 0, !ready("catalog-canary") {
            #expect(try status.phase != .progressing, "weight on a canary without pods", sourceLocation: sourceLocation)
        }
    }

    private func ready(_ owner: String) -> Bool {
        cluster.objects(.replicaSets).contains {
            $0.controllerReference?.name == owner && ($0.status["readyReplicas"]?.int ?? 0) > 0
        }
    }

    // MARK: Kubernetes' part

    /// The Deployment controller: ReplicaSets by template, all at once; a paused Deployment gets no new ones.
    func kubernetes() {
        for deployment in cluster.objects(.deployments) {
            let template = deployment.spec["template"] ?? [:]
            let hash = String(ChangeHash.of(template: template).dropFirst(3))
            let desired = deployment.spec["replicas"]?.int ?? 1
            let isPaused = deployment.spec["paused"]?.bool ?? false
            var sets = cluster.objects(.replicaSets).filter { $0.controllerReference?.uid == deployment.uid }
            if !isPaused, !sets.contains(where: { $0.labels["pod-template-hash"] == hash }) {
                var set = KubeObject(.replicaSets, namespace: "shop", name: "\(deployment.name)-\(hash)")
                set.labels = ["app": "catalog", "pod-template-hash": hash]
                set.ownerReferences = [deployment.asController]
                var copy = template
                copy[path: "metadata", "labels", "pod-template-hash"] = .string(hash)
                set.spec = ["replicas": 0, "template": copy]
                sets.append(set)
            }
            var current = 0
            var total = 0
            var available = 0
            for var set in sets {
                let isCurrent = set.labels["pod-template-hash"] == hash
                let count = isPaused ? set.spec["replicas"]?.int ?? 0 : isCurrent ? desired : 0
                let isBroken = broken.contains(Self.image(of: set))
                set.spec["replicas"] = .int(count)
                set.status = ["replicas": .int(count), "readyReplicas": .int(isBroken ? 0 : count)]
                seedIfChanged(.replicaSets, set)
                total += count
                available += isBroken ? 0 : count
                if isCurrent { current += count }
            }
            var seen = deployment
            seen.status = [
                "observedGeneration": .int(deployment.generation), "replicas": .int(total),
                "updatedReplicas": .int(current), "availableReplicas": .int(available),
                "readyReplicas": .int(available),
            ]
            seedIfChanged(.deployments, seen)
        }
    }

    private func seedIfChanged(_ resource: GroupVersionResource, _ object: KubeObject) {
        let old = cluster.object(resource, namespace: object.namespace, name: object.name)
        if old?.spec != object.spec || old?.status != object.status { cluster.seed(resource, object) }
    }

    // MARK: The callers' part

    /// A second of 100 requests, shared as the route says, to the images that the subsets select.
    func serve() {
        let stable: String
        let canary: String
        if weight != nil {
            (stable, canary) = (image(ofSubset: "stable"), image(ofSubset: "canary"))
        } else {
            stable = (try? image) ?? ""
            canary = ""
        }
        let share = weight ?? 0
        count(subset: weight == nil ? "-" : "stable", image: stable, requests: 100 - share)
        count(subset: "canary", image: canary, requests: share)
        second += 1
        let query = NativeMeshQueries().requests(to: ServiceID(namespace: "shop", name: "catalog"))
        // Scraped at the end of the second, which is when the next look comes.
        let time = bench.now.addingTimeInterval(1)
        bench.prometheus.set(
            query, counters.map { PrometheusAnswer.Sample(labels: $0.key, time: 0, value: $0.value) }, at: time)
    }

    private func count(subset: String, image: String, requests: Int) {
        guard requests > 0 else { return }
        let failed = Int((Double(requests) * (failures[image] ?? 0)).rounded())
        for (code, number) in [("200", requests - failed), ("503", failed)] where number > 0 {
            let labels = ["pod": "load-1", "destination_subset": subset, "response_code": code, "response_flags": ""]
            counters[labels, default: 0] += Double(number)
        }
    }

    private func image(ofSubset name: String) -> String {
        let subset = rule?.spec["subsets"]?.array?.first { $0["name"]?.string == name }
        let hash = subset?[path: "labels", "pod-template-hash"]?.string
        return cluster.objects(.replicaSets).first { $0.labels["pod-template-hash"] == hash }.map(Self.image) ?? ""
    }
}
