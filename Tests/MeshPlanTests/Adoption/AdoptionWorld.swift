import HeddleAPI
import KubeCore
import MeshModel
import Testing

@testable import MeshPlan

/// A namespace in miniature: applies an adoption's actions and lets Kubernetes' part happen, one second a tick.
struct AdoptionWorld {
    struct Workload {
        var replicas = 2
        var meshed = 0
        var old: Int
        var isInjected = false
        /// Pods with a sidecar become ready.
        var startsMeshed = true
        var restartProblem: String?
        var restartMark: String?

        init(replicas: Int = 2) {
            self.replicas = replicas
            old = replicas
        }
    }

    var spec = AdoptionSpec()
    var status = AdoptionStatus()
    var now = Timestamp(seconds: 1_700_000_000)
    var generation = 1
    var workloads: [String: Workload]
    var policies: [String: PeerPolicyIntent] = [:]
    /// Client, workload and port that speak plaintext.
    var plaintext: [PlaintextObservation] = []
    var metricsAreAway = false
    var addedLatencyP99Ms = 2.0
    /// Workloads whose connections fail once they are strict.
    var breaksWhenStrict: Set<String> = []
    var errorRatio = 0.001
    var retryAmplification = 1.05
    var calls: [CallEdge] = []
    var phases: [AdoptionPhase] = []
    var strictOrder: [String] = []
    var restartOrder: [String] = []
    /// Fewest ready pods that any workload ever had, as a share of its replicas.
    var lowestReady = 1.0

    init(_ names: [String]) {
        workloads = Dictionary(uniqueKeysWithValues: names.map { ($0, Workload()) })
        spec.targetPhase = .traffic
        spec.batch.pause = "2s"
        spec.batch.workloadDeadline = "30s"
        spec.observe.soak = "3s"
        spec.strict.window = "10s"
        spec.strict.soak = "3s"
        spec.resilience.soak = "3s"
    }

    func input() -> AdoptionInput {
        var input = AdoptionInput(
            now: now, generation: generation,
            workloads: workloads.map { name, workload in
                let total = workload.meshed + workload.old
                let ready = workload.old + (workload.startsMeshed ? workload.meshed : 0)
                return WorkloadFacts(
                    name: name, selector: ["app": name], ports: [8080], desired: workload.replicas, podsTotal: total,
                    podsMeshed: workload.meshed, podsReady: ready,
                    isRolloutComplete: workload.isInjected
                        ? workload.old == 0 && workload.startsMeshed : workload.meshed == 0,
                    isInjectionRequested: workload.isInjected, areProxiesSynced: workload.meshed > 0,
                    certificateNotAfter: now.adding("24h"), restartProblem: workload.restartProblem,
                    restartMark: workload.restartMark)
            })
        input.calls = calls
        input.policies = policies.values.sorted { $0.name < $1.name }
        if metricsAreAway {
            input.metricsProblem = "Prometheus does not answer: refused"
            return input
        }
        input.plaintext = plaintext
        input.requests = RequestTotals(mutualTLS: 1000, plaintext: plaintext.reduce(0) { $0 + $1.count })
        input.tracesReceived = 10
        input.addedLatencyP50Ms = 0.5
        input.addedLatencyP99Ms = addedLatencyP99Ms
        input.proxyMemoryBytes = 40 << 20
        input.connectionFailures = workloads.mapValues { _ in 0 }
        for name in breaksWhenStrict where isStrict(name) { input.connectionFailures?[name] = 7 }
        input.errorRatio = errorRatio
        input.latencyP99Ms = 20
        input.retryAmplification = retryAmplification
        return input
    }

    func isStrict(_ name: String) -> Bool {
        policies["heddle-\(name)"]?.mode == .strict || policies[PeerPolicyIntent.namespaceName] != nil
    }

    @discardableResult
    mutating func tick(writesStatus: Bool = true, appliesActions: Bool = true) -> AdoptionDecision {
        let decision = AdoptionMachine.decide(spec: spec, status: status, input: input())
        if writesStatus { status = (try? AdoptionStatus.read(decision.status.json, at: "status")) ?? decision.status }
        if appliesActions { for action in decision.actions { perform(action) } }
        if phases.last != status.phase { phases.append(status.phase) }
        advance()
        return decision
    }

    /// Ticks until `done`; an issue when it does not come about.
    mutating func mustRun(
        _ comment: Comment? = nil, limit: Int = 1000, sourceLocation: SourceLocation = #_sourceLocation,
        until done: (AdoptionWorld) -> Bool
    ) {
        for _ in 0..<limit {
            tick()
            if done(self) { return }
        }
        Issue.record(comment ?? "never came about: \(status.message ?? "")", sourceLocation: sourceLocation)
    }

    private mutating func perform(_ action: AdoptionAction) {
        switch action {
        case .restartWorkload(let name, let at):
            workloads[name]?.restartMark = at.description
            if workloads[name]?.isInjected == false { restartOrder.append(name) }
            workloads[name]?.isInjected = true
        case .restoreWorkload(let name):
            workloads[name]?.isInjected = false
            workloads[name]?.restartMark = nil
        case .setPeerPolicy(let intent):
            if intent.mode == .strict, policies[intent.name] == nil { strictOrder.append(intent.name) }
            policies[intent.name] = intent
        case .removePeerPolicy(let name): policies[name] = nil
        case .event: break
        }
    }

    private mutating func advance() {
        now = now.adding("1s")
        for (name, var workload) in workloads {
            if workload.isInjected, workload.old > 0 || workload.meshed < workload.replicas {
                // Surge one; an old pod goes only when the new one is ready.
                let ready = workload.startsMeshed ? workload.meshed : 0
                if workload.meshed + workload.old <= workload.replicas { workload.meshed += 1 }
                if ready + workload.old > workload.replicas, workload.old > 0 { workload.old -= 1 }
            } else if !workload.isInjected, workload.meshed > 0 {
                if workload.old < workload.replicas { workload.old += 1 } else { workload.meshed -= 1 }
            }
            let ready = workload.old + (workload.startsMeshed ? workload.meshed : 0)
            if workload.replicas > 0 { lowestReady = min(lowestReady, Double(ready) / Double(workload.replicas)) }
            workloads[name] = workload
        }
    }
}
