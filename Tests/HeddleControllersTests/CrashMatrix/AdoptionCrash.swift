import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeTesting
import MeshPlan

@testable import HeddleControllers

/// Plays one scenario in a world, and knows what must hold in it.
final class AdoptionCrash {
    let world: CrashWorld
    let scenario: AdoptionScenario
    private var acted = false
    private var decisions: [String: Timestamp] = [:]
    private var known: Set<String> = []
    private var readVersion = ""
    private(set) var status: AdoptionStatus?
    private static let decisive: Set<String> = [
        "Restart", "Meshed", "StepBack", "Strict", "Advance", "StepDown", "Complete",
    ]

    init(_ scenario: AdoptionScenario, _ interleaving: Interleaving) {
        self.scenario = scenario
        world = CrashWorld(interleaving)
        if scenario == .brokenRestart {
            world.model.starts = { template in
                template[path: "metadata", "labels", "app"] != "catalog"
                    || template[path: "metadata", "labels", HeddleLabel.inject] != "true"
            }
        }
        seed()
        world.check = { [unowned self] _ in check() }
        world.second = { [unowned self] _ in
            act()
            measure()
        }
        for _ in 0..<3 { world.model.tick() }
        measure()
        world.changed()
    }

    private var cluster: InMemoryCluster { world.cluster }

    private func seed() {
        var spec = AdoptionSpec()
        spec.targetPhase = .strict
        spec.batch.pause = "0s"
        spec.batch.workloadDeadline = "6s"
        spec.observe.soak = "1s"
        spec.strict.soak = "2s"
        spec.strict.window = "3s"
        cluster.seed(.adoptions, Adoption(namespace: "shop", name: "shop", spec: spec, status: AdoptionStatus()).object)
        for name in ["cart", "catalog"] {
            var service = KubeObject(.services, namespace: "shop", name: name)
            service.spec = ["selector": ["app": .string(name)]]
            cluster.seed(.services, service)
            var deployment = KubeObject(.deployments, namespace: "shop", name: name)
            deployment.labels = ["app": name]
            deployment.spec = [
                "replicas": 2, "selector": ["matchLabels": ["app": .string(name)]],
                "template": [
                    "metadata": ["labels": ["app": .string(name)]],
                    "spec": ["containers": [["name": "app", "image": "app:1", "ports": [["containerPort": 8080]]]]],
                ],
            ]
            cluster.seed(.deployments, deployment)
        }
    }

    private func measure() {
        let metrics = world.prometheus
        metrics.answer("by (app, destination_port, source_ip)", [])
        metrics.answer(
            "by (app, connection_security_policy)",
            [(["app": "catalog", "connection_security_policy": "mutual_tls"], 1000)])
        metrics.answer(
            "by (namespace, app, destination_service)",
            [(["namespace": "shop", "app": "cart", "destination_service": "catalog.shop"], 1000)])
        let isRefused = scenario == .brokenStrict && policies.contains("heddle-catalog")
        metrics.answer(
            "by (destination_service, response_code, response_flags)",
            [
                (["destination_service": "catalog.shop", "response_code": "200", "response_flags": ""], 1000),
                (
                    ["destination_service": "catalog.shop", "response_code": "503", "response_flags": "UF"],
                    isRefused ? 200 : 0
                ),
            ])
        metrics.answer("envoy_server_memory_physical_size", [(["pod": "cart-1"], 50e6)])
        metrics.answer("by (le)", [(["le": "1"], 900), (["le": "5"], 1000), (["le": "+Inf"], 1000)])
    }

    private func act() {
        guard !acted, status?.state == .complete else { return }
        switch scenario {
        case .lowered:
            guard var object = cluster.object(.adoptions, namespace: "shop", name: "shop") else { return }
            object.spec["targetPhase"] = "Observe"
            object.json[path: "metadata", "generation"] = .int(object.generation + 1)
            cluster.seed(.adoptions, object)
        case .gone: cluster.remove(.deployments, namespace: "shop", name: "catalog")
        default: return
        }
        acted = true
    }

    // MARK: What must hold

    private var policies: [String] { cluster.objects(.peerAuthentications).map(\.name) }

    private func pods(_ app: String) -> [KubeObject] {
        cluster.objects(.pods).filter { $0.labels["app"] == app }
    }

    private func isAsked(_ name: String) -> Bool {
        let template = cluster.object(.deployments, namespace: "shop", name: name)?.spec["template"]
        return template?[path: "metadata", "labels", HeddleLabel.inject] == "true"
    }

    private func isRolling(_ name: String) -> Bool {
        cluster.object(.deployments, namespace: "shop", name: name).map { !WorkloadFacts.isRolloutComplete($0) }
            ?? false
    }

    private func check() {
        for name in ["cart", "catalog"] where cluster.object(.deployments, namespace: "shop", name: name) != nil {
            if pods(name).count(where: DeploymentModel.isReady) < 2 { world.violate("\(name) has lost a ready pod") }
        }
        if isRolling("cart"), isRolling("catalog") { world.violate("two workloads at a time") }
        for policy in policies where policy != PeerPolicyIntent.namespaceName {
            let name = String(policy.dropFirst("heddle-".count))
            if pods(name).contains(where: { $0.labels[HeddleLabel.injected] != "true" }) {
                world.violate("\(name) is strict with pods that have no sidecar")
            }
        }
        takeDecisions()
    }

    private func takeDecisions() {
        guard let object = cluster.object(.adoptions, namespace: "shop", name: "shop"),
            object.resourceVersion != readVersion
        else { return }
        readVersion = object.resourceVersion
        status = try? AdoptionStatus.read(object.status, at: "status")
        for record in status?.decisions ?? [] where Self.decisive.contains(record.action) {
            // A step back is followed by another try.
            let tries = status?.workloads.first { record.subject == "workload \($0.name)" }?.attempts ?? 0
            let what = "\(record.subject) \(record.metric) \(record.action) of try \(tries)"
            guard known.insert("\(record.subject) \(record.action) \(record.at)").inserted else { continue }
            if let before = decisions.updateValue(record.at, forKey: what) {
                world.violate("decided twice: \(what) at \(before) and \(record.at)")
            }
        }
    }

    // MARK: The end

    var leftovers: [String] {
        var left: [String] = []
        func expect(_ holds: Bool, _ what: String) { if !holds { left.append(what) } }
        func workload(_ name: String) -> WorkloadStatus? { status?.workloads.first { $0.name == name } }
        switch scenario {
        case .forward:
            expect(status?.state == .complete && status?.phase == .strict, "not complete")
            expect(
                Set(policies) == ["heddle-cart", "heddle-catalog", PeerPolicyIntent.namespaceName],
                "policies \(policies)")
        case .brokenRestart:
            expect(workload("catalog")?.state == .failed, "catalog is \(workload("catalog")?.state.rawValue ?? "-")")
            expect(!isAsked("catalog") && !isRolling("catalog"), "catalog is still asked to be meshed")
            expect(workload("catalog")?.restore.isEmpty == true, "a restore record")
            let annotations = cluster.object(.deployments, namespace: "shop", name: "catalog")?.spec[
                path: "template", "metadata", "annotations"]
            expect(annotations?[HeddleAnnotation.restartedAt] == nil, "a restart mark")
            expect(pods("catalog").allSatisfy(DeploymentModel.isReady), "pods that do not start")
            expect(policies.isEmpty, "policies \(policies)")
        case .brokenStrict:
            expect(workload("catalog")?.mtls == .permissive, "catalog is \(workload("catalog")?.mtls?.rawValue ?? "-")")
            expect(!policies.contains("heddle-catalog"), "the policy of catalog")
            expect(!policies.contains(PeerPolicyIntent.namespaceName), "the policy of the namespace")
        case .lowered:
            expect(acted && status?.phase == .observe && status?.state == .complete, "not lowered")
            expect(policies.isEmpty, "policies \(policies)")
        case .gone:
            expect(acted && status?.workloads.map(\.name) == ["cart"], "not gone")
            expect(!policies.contains("heddle-catalog"), "the policy of a Deployment that is gone")
        }
        return left
    }

    /// Runs to the end and some seconds more; a step back that is tried again after its backoff is another story.
    /// - Returns: what was wrong.
    func run() async -> [String] {
        var ticks = 0
        while !leftovers.isEmpty, ticks < 300 {
            await world.tick()
            ticks += 1
        }
        guard leftovers.isEmpty else {
            return world.violations + [
                "no end: \(status?.phase.rawValue ?? "-") \(status?.state.rawValue ?? "-"), \(leftovers), "
                    + "\(status?.message ?? "") \(world.operatorProcess?.lastError ?? "")"
            ]
        }
        for _ in 0..<8 { await world.tick() }
        let isTriedAgain = scenario == .brokenRestart || scenario == .brokenStrict
        return world.violations + (isTriedAgain ? [] : leftovers)
    }
}
