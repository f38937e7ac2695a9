import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import MeshEvidence
import Synchronization
import Testing

@testable import HeddleControllers

/// Two Deployments `cart` and `catalog` (cart calls catalog) and an Adoption; plays Kubernetes' part.
final class AdoptionBench {
    let bench = Bench()
    var cluster: InMemoryCluster { bench.cluster }
    let reconciler: AdoptionReconciler
    /// Deployments whose new pods never become ready.
    var broken: Set<String> = []
    private var addresses = 10

    /// The end of all certificates; nil: not known.
    final class Certificates: Sendable {
        private let end = Mutex<Date?>(nil)
        var notAfter: Date? {
            get { end.withLock { $0 } }
            set { end.withLock { $0 = newValue } }
        }
    }
    let certificates = Certificates()

    init(_ change: (inout AdoptionSpec) -> Void = { _ in }) {
        var spec = AdoptionSpec()
        spec.targetPhase = .strict
        spec.batch.pause = "0s"
        spec.batch.workloadDeadline = "20s"
        spec.observe.soak = "2s"
        spec.strict.soak = "2s"
        spec.strict.window = "10s"
        change(&spec)
        let (cluster, certificates) = (bench.cluster, certificates)
        certificates.notAfter = bench.now.addingTimeInterval(86_400)
        let proxies = ProxyView(
            isSynced: { true },
            syncedPods: { Set(cluster.objects(.pods).filter { $0.labels[HeddleLabel.injected] == "true" }.map(\.key)) },
            rejection: { _ in nil }, problems: { _ in [] }, counts: { (0, 0) })
        var known = proxies
        known.certificateNotAfter = { _ in certificates.notAfter }
        reconciler = AdoptionReconciler(
            api: cluster, stores: bench.stores, observer: AdoptionObserver(), proxies: known, events: bench.events,
            prometheus: { [bench] in bench.prometheus }, now: { [bench] in bench.now })
        for name in ["cart", "catalog"] {
            bench.addService(name)
            bench.addDeployment(name)
        }
        cluster.seed(.adoptions, Adoption(namespace: "shop", name: "shop", spec: spec, status: AdoptionStatus()).object)
        kubernetes()
        healthyMetrics()
    }

    var adoption: Adoption { get throws { try Adoption(cluster.get("Adoption", .adoptions, "shop")) } }
    var status: AdoptionStatus { get throws { try adoption.status } }

    func template(_ name: String) throws -> JSONValue {
        try cluster.get("Deployment", .deployments, name).spec["template"] ?? [:]
    }

    /// Deployments whose template asks for a sidecar.
    var asked: [String] {
        cluster.objects(.deployments).filter {
            $0.spec[path: "template", "metadata", "labels", HeddleLabel.inject]?.string == "true"
        }.map(\.name)
    }

    func policy(_ name: String) -> KubeObject? {
        cluster.object(.peerAuthentications, namespace: "shop", name: name)
    }

    // MARK: Metrics

    func healthyMetrics() {
        let metrics = bench.prometheus
        plaintext([])
        metrics.answer(
            "by (app, connection_security_policy)",
            [(["app": "catalog", "connection_security_policy": "mutual_tls"], 1000)])
        metrics.answer(
            "by (namespace, app, destination_service)",
            [(["namespace": "shop", "app": "cart", "destination_service": "catalog.shop"], 1000)])
        metrics.answer(
            "by (destination_service, response_code, response_flags)",
            [(["destination_service": "catalog.shop", "response_code": "200", "response_flags": ""], 1000)])
        metrics.answer("envoy_server_memory_physical_size", [(["pod": "cart-1"], 50e6)])
        metrics.answer("by (le)", [(["le": "1"], 900), (["le": "5"], 1000), (["le": "+Inf"], 1000)])
    }

    func plaintext(_ samples: [([String: String], Double)]) {
        bench.prometheus.answer("by (app, destination_port, source_ip)", samples)
    }

    // MARK: Time

    func look() async throws {
        bench.sync()
        _ = try await reconciler.reconcile(ObjectKey(namespace: "shop", name: "shop"))
    }

    func tick() async throws {
        try await look()
        kubernetes()
        bench.advance(1)
    }

    func run(
        limit: Int = 120, sourceLocation: SourceLocation = #_sourceLocation, until done: (AdoptionBench) throws -> Bool
    ) async throws {
        for _ in 0..<limit {
            if try done(self) { return }
            try await tick()
        }
        Issue.record(
            "never came about: \(try status.phase) \(try status.state) \(try status.message ?? "")",
            sourceLocation: sourceLocation)
    }

    // MARK: Kubernetes' part

    /// The Deployment controller and the injector: pods follow the template at once.
    func kubernetes() {
        for deployment in cluster.objects(.deployments) {
            let template = deployment.spec["template"] ?? [:]
            let desired = deployment.spec["replicas"]?.int ?? 1
            let isBroken = broken.contains(deployment.name)
            let old = cluster.objects(.replicaSets).first { $0.controllerReference?.uid == deployment.uid }
            if old?.spec["template"] != template {
                if let old {
                    cluster.remove(.replicaSets, namespace: "shop", name: old.name)
                }
                var set = KubeObject(
                    .replicaSets, namespace: "shop", name: "\(deployment.name)-\(deployment.generation)")
                set.ownerReferences = [deployment.asController]
                set.spec = ["replicas": .int(desired), "template": template]
                let stored = cluster.seed(.replicaSets, set)
                for index in 0..<desired { addPod("\(set.name)-\(index)", of: stored, template, isReady: !isBroken) }
            }
            var seen = deployment
            seen.status = [
                "observedGeneration": .int(deployment.generation), "replicas": .int(desired),
                "updatedReplicas": .int(desired), "availableReplicas": .int(isBroken ? 0 : desired),
                "readyReplicas": .int(isBroken ? 0 : desired),
            ]
            if seen.status != deployment.status { cluster.seed(.deployments, seen) }
        }
    }

    private func addPod(_ name: String, of set: KubeObject, _ template: JSONValue, isReady: Bool) {
        var pod = KubeObject(.pods, namespace: "shop", name: name)
        pod.labels = template[path: "metadata", "labels"]?.stringMap ?? [:]
        if pod.labels[HeddleLabel.inject] == "true" { pod.labels[HeddleLabel.injected] = "true" }
        pod.ownerReferences = [set.asController]
        addresses += 1
        pod.status = [
            "phase": "Running", "podIP": .string("10.0.0.\(addresses)"),
            "conditions": [["type": "Ready", "status": isReady ? "True" : "False"]],
        ]
        cluster.seed(.pods, pod)
    }
}
