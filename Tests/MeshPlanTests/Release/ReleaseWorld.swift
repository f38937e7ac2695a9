import HeddleAPI
import KubeCore
import KubeTesting
import MeshEvidence
import Testing

@testable import MeshPlan

/// A cluster in miniature for one Deployment: applies a release's actions and lets Kubernetes' part happen, one second
/// a tick.
struct ReleaseWorld {
    struct Version {
        var change: String
        var failureRatio = 0.0
        /// Its pods become ready.
        var starts = true
    }

    var spec: CanarySpec
    var status = CanaryStatus()
    var now = Timestamp(seconds: 1_700_000_000)
    var versions: [String: Version] = ["a": Version(change: "v1:a")]
    var template = "a"
    var replicas = 4
    var paused = false
    var held: String?
    /// Pods of the Deployment's ReplicaSets by version.
    var pods: [String: Int] = ["a": 4]
    var broken: Set<String> = []
    var canary: (version: String, desired: Int, ready: Int)?
    var split: ServiceRouting.Split?
    var requestsPerSecond = 100
    var prometheusIsAway = false
    /// Share that proxies really deliver, when not the desired one.
    var deliveredPercent: Int?
    var approval: String?
    var abort: String?
    var adoptionHold: String?
    var isStale = false
    var events: [String] = []
    var phases: [CanaryPhase] = []
    var weights: [Int] = []
    var servedBy: [String: Int] = [:]
    var random = SeededRandom(seed: 1)

    init(steps: [CanaryStep]) {
        spec = CanarySpec(
            targetRef: TargetRef(name: "catalog"), service: CanaryService(name: "catalog", port: 80), steps: steps)
        spec.analysis.interval = "1s"
        spec.bake = "5s"
        spec.progressDeadline = "60s"
        spec.stepDeadline = "60s"
    }

    /// As the webhook would admit a new template.
    mutating func apply(_ version: String, failureRatio: Double = 0, starts: Bool = true, webhook: Bool = true) {
        versions[version] = Version(change: "v1:\(version)", failureRatio: failureRatio, starts: starts)
        template = version
        if webhook, "v1:\(version)" != status.change.promoted {
            paused = true
            held = "v1:\(version)"
        }
    }

    func hash(_ version: String) -> String { "hash-\(version)" }
    func ready(_ version: String) -> Int { broken.contains(version) ? 0 : pods[version] ?? 0 }

    var canaryFacts: CanaryDeploymentFacts? {
        canary.map {
            CanaryDeploymentFacts(
                hash: hash($0.version), change: "v1:\($0.version)", desired: $0.desired,
                ready: broken.contains($0.version) ? 0 : $0.ready)
        }
    }

    mutating func input() -> ReleaseInput {
        let tracks = pods.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map {
            TrackFacts(hash: hash($0.key), change: "v1:\($0.key)", desired: $0.value, ready: ready($0.key))
        }
        var deployment = DeploymentFacts(changeHash: "v1:\(template)", desiredReplicas: replicas, tracks: tracks)
        deployment.isPaused = paused
        deployment.heldChange = held
        deployment.isObserved = !isStale
        deployment.isRolloutComplete =
            pods.filter { $0.value > 0 } == [template: replicas] && ready(template) == replicas
        var input = ReleaseInput(now: now, deployment: deployment)
        input.canary = canaryFacts
        input.route = RouteFacts(split: split)
        input.approval = approval
        input.abort = abort
        input.adoptionHold = adoptionHold
        let reading = traffic()
        if prometheusIsAway {
            for metric in spec.analysis.metrics {
                input.metrics[metric.name] = .problem(
                    MetricProblem(.sourceError, "Prometheus does not answer: refused"), query: "q")
            }
        } else {
            input.traffic = reading
            for metric in spec.analysis.metrics where metric.kind != .query {
                input.metrics[metric.name] = .counts(reading, query: "q")
            }
        }
        return input
    }

    private mutating func traffic() -> TrackReading {
        var reading = TrackReading(from: now.seconds - 1, to: now.seconds)
        func counts(_ version: String?, _ requests: Int, _ random: inout SeededRandom) -> TrackReading.Counts {
            let ratio = version.flatMap { versions[$0]?.failureRatio } ?? 0
            return .init(requests: requests, failures: random.binomial(requests, ratio))
        }
        guard let split else {
            reading.unsplit = counts(pods.max { $0.value < $1.value }?.key, requestsPerSecond, &random)
            return reading
        }
        let toCanary = random.binomial(requestsPerSecond, Double(deliveredPercent ?? split.canaryWeightPercent) / 100)
        reading.canary = counts(canary?.version ?? template, toCanary, &random)
        reading.stable = counts(
            versions.keys.first { hash($0) == split.stableHash }, requestsPerSecond - toCanary, &random)
        return reading
    }

    /// One look of the operator, then a second of the world.
    @discardableResult
    mutating func tick(writesStatus: Bool = true, appliesActions: Bool = true) -> ReleaseDecision {
        let decision = ReleaseMachine.decide(spec: spec, status: status, input: input())
        if appliesActions { for action in decision.actions { perform(action) } }
        // Through JSON, as through the API server.
        if writesStatus { status = (try? CanaryStatus.read(decision.status.json, at: "status")) ?? decision.status }
        if phases.last != status.phase { phases.append(status.phase) }
        if weights.last != status.desiredWeightPercent { weights.append(status.desiredWeightPercent) }
        advance()
        return decision
    }

    /// Ticks until `done`; an issue when it does not come about.
    mutating func mustRun(
        _ comment: Comment? = nil, limit: Int = 1000, sourceLocation: SourceLocation = #_sourceLocation,
        until done: (ReleaseWorld) -> Bool
    ) {
        for _ in 0..<limit {
            tick()
            if done(self) { return }
        }
        Issue.record(comment ?? "never came about: \(status.message ?? "")", sourceLocation: sourceLocation)
    }

    private mutating func perform(_ action: ReleaseAction) {
        switch action {
        case .pauseDeployment(let change):
            paused = true
            held = change
        case .unpauseDeployment:
            paused = false
            held = nil
        case .restoreStableTemplate(let stableHash):
            template = versions.keys.first { hash($0) == stableHash } ?? template
            paused = false
            held = nil
        case .createCanary(let replicas): canary = (template, replicas, 0)
        case .scaleCanary(let replicas): canary?.desired = replicas
        case .deleteCanary: canary = nil
        case .setSplit(let wanted): split = wanted
        case .removeSplit: split = nil
        case .event(let reason, _, _): events.append(reason.rawValue)
        }
    }

    private mutating func advance() {
        now = Timestamp(seconds: now.seconds + 1)
        if var current = canary {
            if versions[current.version]?.starts == true { current.ready = min(current.desired, current.ready + 1) }
            canary = current
        }
        guard !paused else { return }
        // A native rolling update, one pod a second, surge first.
        if pods[template, default: 0] < replicas, versions[template]?.starts == true { pods[template, default: 0] += 1 }
        for version in pods.keys.sorted() where version != template && pods.values.reduce(0, +) > replicas {
            pods[version, default: 0] -= 1
            if pods[version] == 0 { pods[version] = nil }
            break
        }
    }
}
