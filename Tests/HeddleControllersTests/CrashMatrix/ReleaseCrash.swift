import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeTesting
import MeshDialects
import MeshEvidence
import MeshModel
import MeshPlan

@testable import HeddleControllers

/// Plays one scenario in a world, and knows what must hold in it.
final class ReleaseCrash {
    let world: CrashWorld
    let scenario: ReleaseScenario
    private(set) var weights: [Int?] = [nil]
    /// When each decision was made, by run.
    private var decisions: [String: Timestamp] = [:]
    private var known: Set<String> = []
    private var decidedVersion = ""
    private var counters: [[String: String]: Double] = [:]
    private var acted = false
    private let isLate: Bool
    /// A deadline may end the run at the stable version.
    var mayEndEarly = false
    private static let decisive: Set<String> = [
        "Adopt", "Start", "Advance", "Promote", "Resume", "Bake", "Succeed", "RollBack", "RolledBack", "Withdraw",
        "Ended",
        "Accept", "Fail",
    ]

    init(_ scenario: ReleaseScenario, _ interleaving: Interleaving) {
        self.scenario = scenario
        isLate = interleaving.staleness.events > 0
        world = CrashWorld(interleaving)
        seed()
        world.check = { [unowned self] _ in checkTraffic() }
        world.second = { [unowned self] _ in
            act()
            serve()
        }
        for _ in 0..<2 { world.model.tick() }
        world.changed()
        if scenario != .policy { return }
        setPolicy(timeout: "3s")
    }

    private var cluster: InMemoryCluster { world.cluster }
    private func find(_ resource: GroupVersionResource, _ name: String) -> KubeObject? {
        cluster.object(resource, namespace: "shop", name: name)
    }
    var canary: KubeObject? { find(.canaries, "catalog") }
    /// Read once a version.
    var status: CanaryStatus? {
        guard let object = canary else { return nil }
        if lastRead?.version != object.resourceVersion {
            lastRead = (object.resourceVersion, try? CanaryStatus.read(object.status, at: "status"))
        }
        return lastRead?.status
    }
    private var lastRead: (version: String, status: CanaryStatus?)?
    private var deployment: KubeObject? { find(.deployments, "catalog") }

    private func seed() {
        var spec = CanarySpec(
            targetRef: TargetRef(name: "catalog"), service: CanaryService(name: "catalog", port: 80),
            steps: [
                CanaryStep(weight: 10, duration: "1s", minSamples: 5),
                CanaryStep(weight: 50, duration: "1s", minSamples: 5),
            ])
        spec.analysis.interval = "1s"
        spec.analysis.metrics[0].thresholdRange = .init(min: 0.9)
        spec.bake = "2s"
        spec.progressDeadline = "60s"
        spec.stepDeadline = "60s"
        cluster.seed(.canaries, Canary(namespace: "shop", name: "catalog", spec: spec, status: CanaryStatus()).object)
        var service = KubeObject(.services, namespace: "shop", name: "catalog")
        service.spec = ["selector": ["app": "catalog"]]
        cluster.seed(.services, service)
        var deployment = KubeObject(.deployments, namespace: "shop", name: "catalog")
        deployment.labels = ["app": "catalog"]
        deployment.spec = [
            "replicas": 2, "selector": ["matchLabels": ["app": "catalog"]],
            "template": [
                "metadata": ["labels": ["app": "catalog", HeddleLabel.inject: "true"]],
                "spec": ["containers": [["name": "app", "image": "app:1"]]],
            ],
        ]
        cluster.seed(.deployments, deployment)
    }

    private func setPolicy(timeout: GoDuration) {
        var spec = ServicePolicySpec(service: "catalog")
        spec.timeout = timeout
        var object = ServicePolicy(namespace: "shop", name: "catalog", spec: spec, status: ServicePolicyStatus()).object
        if let old = find(.servicePolicies, "catalog") {
            object.status = old.status
            object.json[path: "metadata", "generation"] = .int(old.generation + 1)
        }
        cluster.seed(.servicePolicies, object)
        world.changed()
    }

    // MARK: What people do

    private func apply(_ image: String, webhook: Bool = true) {
        guard let old = deployment else { return }
        var new = old
        new.spec[path: "template", "spec", "containers"] = [["name": "app", "image": .string(image)]]
        new.json[path: "metadata", "generation"] = .int(old.generation + 1)
        if webhook, let canary = canary.flatMap({ try? Canary($0) }),
            case .pause(let change) = ReleaseAdmission.decide(old: old, new: new, canary: canary)
        {
            new.spec["paused"] = true
            new.annotations[HeddleAnnotation.heldChange] = change
        }
        cluster.seed(.deployments, new)
    }

    private func act() {
        guard status?.change.promoted != nil || canary == nil else { return }
        if Self.image(deployment) == "app:1", !acted {
            acted = true
            apply("app:2", webhook: scenario != .missed)
            // The Deployment controller is quicker than the operator.
            if scenario == .missed { world.model.tick() }
            return
        }
        switch scenario {
        case .superseded where weight == 10 && Self.image(deployment) == "app:2": apply("app:3")
        case .deleted where weight == 10: delete()
        case .deletedLate where status?.phase == .promoting && deployment?.spec["paused"] != true: delete()
        case .deletedRejected where status?.phase == .rolledBack: delete()
        case .policy where weight == 50 && find(.servicePolicies, "catalog")?.spec["timeout"] == "3s":
            setPolicy(timeout: "5s")
        default: break
        }
    }

    /// `kubectl delete canary catalog`: what has a finalizer is marked first.
    private func delete() {
        guard var object = canary, !object.isBeingDeleted else { return }
        guard !object.finalizers.isEmpty else { return cluster.remove(.canaries, namespace: "shop", name: "catalog") }
        object.json[path: "metadata", "deletionTimestamp"] = .string(KubeTime.format(world.now))
        cluster.seed(.canaries, object)
    }

    // MARK: The callers

    private func fails(_ image: String) -> Double {
        switch scenario {
        case .bad, .deletedRejected: image == "app:2" ? 0.6 : 0
        case .late: image == "app:2" && status?.phase == .baking ? 0.6 : 0
        default: 0
        }
    }

    private func serve() {
        let share = weight ?? 0
        let (stable, canary) = hashes
        let plain = Self.image(deployment)
        count("stable", weight == nil ? plain : image(stable), 100 - share, isSplit: weight != nil)
        count("canary", image(canary), share, isSplit: true)
        let query = NativeMeshQueries().requests(to: ServiceID(namespace: "shop", name: "catalog"))
        world.prometheus.set(
            query, counters.map { PrometheusAnswer.Sample(labels: $0.key, time: 0, value: $0.value) }, at: world.now)
    }

    private func count(_ subset: String, _ image: String, _ requests: Int, isSplit: Bool) {
        guard requests > 0 else { return }
        let failed = Int((Double(requests) * fails(image)).rounded())
        for (code, number) in [("200", requests - failed), ("503", failed)] where number > 0 {
            let labels = [
                "pod": "load-1", "destination_subset": isSplit ? subset : "-", "response_code": code,
                "response_flags": "",
            ]
            counters[labels, default: 0] += Double(number)
        }
    }

    private func image(_ hash: String) -> String {
        Self.image(cluster.objects(.replicaSets).first { $0.labels["pod-template-hash"] == hash })
    }

    static func image(_ object: KubeObject?) -> String {
        object?.spec[path: "template", "spec", "containers"]?[0]?["image"]?.string ?? ""
    }

    // MARK: What must hold

    private var route: KubeObject? { find(.virtualServices, "catalog-heddle") }
    private var rule: KubeObject? { find(.destinationRules, "catalog-heddle") }

    var weight: Int? {
        route.flatMap { IstioVirtualService.read($0).value }.flatMap(ServiceRouting.Split.canaryWeight(in:))
    }

    private var hashes: (stable: String, canary: String) {
        func hash(_ name: String) -> String {
            let subset = rule?.spec["subsets"]?.array?.first { $0["name"]?.string == name }
            return subset?[path: "labels", "pod-template-hash"]?.string ?? ""
        }
        return (hash("stable"), hash("canary"))
    }

    private func ready(_ hash: String) -> Int {
        cluster.objects(.pods).count { $0.labels["pod-template-hash"] == hash && DeploymentModel.isReady($0) }
    }

    private func checkTraffic() {
        let weight = weight
        if weights.last.flatMap({ $0 }) != weight { weights.append(weight) }
        if let weight {
            if ![0, 10, 50, 100].contains(weight) { world.violate("\(weight) % is none of the steps") }
            let (stable, canary) = hashes
            if weight > 0, ready(canary) == 0 {
                world.violate("\(weight) % on canary pods that are not there (\(canary))")
            }
            if weight < 100, ready(stable) == 0 { world.violate("\(100 - weight) % on stable pods that are not there") }
            if stable.isEmpty { world.violate("a route to subsets that are not there") }
        }
        if !cluster.objects(.pods).contains(where: DeploymentModel.isReady) { world.violate("nobody serves") }
        if find(.deployments, "catalog-canary") != nil, weight == nil,
            status?.phase == .starting || status?.phase == .progressing
        {
            world.violate("canary pods without a split get a share that nobody decided")
        }
        takeDecisions()
    }

    /// Each decision of a run is made once: a record that comes again with a later time was decided twice.
    private func takeDecisions() {
        guard let object = canary, object.resourceVersion != decidedVersion, let status else { return }
        decidedVersion = object.resourceVersion
        for record in status.decisions where Self.decisive.contains(record.action) {
            let what = "\(record.subject) \(record.metric) \(record.action)"
            guard known.insert("\(what) \(record.at)").inserted else { continue }
            let key = "\(status.runId ?? "") \(what)"
            if let before = decisions.updateValue(record.at, forKey: key) {
                world.violate("decided twice: \(key) at \(before) and \(record.at)")
            }
        }
    }

    // MARK: The end

    var isDone: Bool {
        guard acted else { return false }
        if scenario == .superseded, Self.image(deployment) != "app:3" { return false }
        let isOver = scenario.phase == nil ? canary == nil : status?.phase == scenario.phase || isShipped
        return isOver && leftovers.isEmpty
    }

    /// The operator saw the change too late: it is on all pods already, and is said to be.
    private var isShipped: Bool {
        scenario == .missed && status?.phase == .idle && status?.decisions.contains { $0.action == "Accept" } == true
    }

    /// What is still there that must not be at the end.
    var leftovers: [String] {
        var left: [String] = []
        if find(.deployments, "catalog-canary") != nil { left.append("canary Deployment") }
        if weight != nil { left.append("split") }
        if rule?.spec["subsets"]?.array?.isEmpty == false { left.append("subsets") }
        if scenario != .policy, route != nil || rule != nil { left.append("routes") }
        if scenario == .policy, route?.spec["http"]?[0]?["timeout"] != "5s" { left.append("an old policy") }
        if (deployment?.spec["paused"]?.bool ?? false) != scenario.isHeld { left.append("paused Deployment") }
        let isHeld = deployment?.annotations[HeddleAnnotation.heldChange] != nil
        if isHeld != scenario.isHeld { left.append("hold") }
        if (canary?.finalizers.isEmpty ?? true) == scenario.isHeld { left.append("finalizer") }
        let images = Set(cluster.objects(.pods).map(Self.image))
        if images != [scenario.image] { left.append("pods of \(images.sorted())") }
        if cluster.objects(.pods).contains(where: { !DeploymentModel.isReady($0) }) { left.append("pods that start") }
        return left
    }

    private func mayBe(_ weights: [Int?]) -> Bool {
        if isShipped, weights == [nil] { return true }
        // An operator that hears late of the newer template, or of a deletion, goes on until it does.
        let late: [ReleaseScenario: [Int?]] = [
            .superseded: [nil, 0, 10, 50, 0, nil, 0, 10, 50, 100, nil], .deleted: [nil, 0, 10, 50, 0, nil],
        ]
        return weights == scenario.weights || (isLate && weights == late[scenario])
    }

    private var hasEndedEarly: Bool {
        mayEndEarly && status?.phase == .rolledBack && weight == nil && find(.deployments, "catalog-canary") == nil
    }

    /// Runs to the end and some seconds more.
    /// - Returns: what was wrong.
    func run() async -> [String] {
        var ticks = 0
        while !isDone, !hasEndedEarly, ticks < 400 {
            await world.tick()
            ticks += 1
        }
        if hasEndedEarly { return world.violations }
        guard isDone else {
            return world.violations + [
                "no end: phase \(status?.phase.rawValue ?? "-"), left \(leftovers), weights \(weights), "
                    + "\(status?.message ?? "") \(world.operatorProcess?.lastError ?? "")"
            ]
        }
        for _ in 0..<20 { await world.tick() }
        let writes = world.writes
        for _ in 0..<12 { await world.tick() }
        var wrong = world.violations
        if world.writes != writes { wrong.append("\(world.writes - writes) writes at rest") }
        if !isDone { wrong.append("did not stay at its end: \(status?.phase.rawValue ?? "-") \(leftovers)") }
        if !mayBe(weights) {
            wrong.append("weights \(weights.map { $0.map(String.init) ?? "-" })")
        }
        return wrong
    }
}
