import Foundation
import HeddleAPI
import KubeCore
import MeshEvidence
import Testing

@testable import heddle

/// Hand-made resources, as the operator leaves them.
enum Fixtures {
    static let now = Date(timeIntervalSince1970: 1_800_000_000)

    static func ago(_ seconds: Double) -> Timestamp { Timestamp(now.addingTimeInterval(-seconds)) }

    static func mesh() -> Mesh {
        var status = MeshStatus()
        status.proxies.connected = 14
        status.proxies.synced = 13
        status.certificateAuthority.notAfter = ago(-90 * 86400)
        status.conditions = [
            Condition(
                type: "Ready", status: .false, reason: "NotReady", message: "One proxy rejected its configuration.",
                lastTransitionTime: "2027-01-01T00:00:00Z"),
            Condition(
                type: "CertificateAuthorityReady", status: .true, reason: "CertificateAuthorityReady",
                message: "Signs.",
                lastTransitionTime: "2027-01-01T00:00:00Z"),
        ]
        return Mesh(name: "default", spec: MeshSpec(), status: status)
    }

    static func adoption() -> Adoption {
        var spec = AdoptionSpec()
        spec.targetPhase = .traffic
        var status = AdoptionStatus()
        status.phase = .strict
        status.state = .blocked
        status.phaseStartedAt = ago(100)
        status.message = "legacy-batch still speaks plaintext."
        var cart = WorkloadStatus(name: "cart", state: .strict)
        cart.mtls = .strict
        (cart.podsMeshed, cart.podsTotal) = (2, 2)
        var catalog = WorkloadStatus(name: "catalog", state: .meshed)
        catalog.mtls = .permissive
        (catalog.podsMeshed, catalog.podsTotal) = (1, 3)
        catalog.message = "2 of its pods run without a sidecar."
        status.workloads = [cart, catalog]
        status.blockers = [
            Blocker(
                gate: .plaintextClients, workload: "catalog", client: "shop/legacy-batch", port: 8080, count: 12,
                message: "shop/legacy-batch sent 12 requests in plaintext to catalog:8080 within the last 15 s. "
                    + "Give it a sidecar, or an exception with an owner and an end.", since: ago(40))
        ]
        status.measurements.at = ago(3)
        status.measurements.addedLatencyP99Ms = 1.8421
        status.measurements.proxyMemoryBytes = 44_040_192
        status.measurements.plaintextRequests = 12
        return Adoption(namespace: "shop", name: "shop", spec: spec, status: status)
    }

    /// A run at its second step; the success ratio has been tested over real intervals, the latency has no data.
    static func canary() -> Canary {
        var spec = CanarySpec(
            targetRef: TargetRef(name: "catalog"), service: CanaryService(name: "catalog", port: 80),
            steps: [CanaryStep(weight: 5), CanaryStep(weight: 25), CanaryStep(weight: 50)])
        spec.analysis.metrics = [
            CanaryMetric(name: "success-ratio", kind: .successRatio),
            CanaryMetric(name: "latency", kind: .latency, latencyBound: "100ms"),
        ]
        var status = CanaryStatus()
        status.phase = .progressing
        status.step = 1
        status.runId = "0a1b2c3d"
        status.desiredWeightPercent = 25
        status.observedWeightPercent = 24.6
        status.stepTraffic = TrackCounts(canaryRequests: 246, canaryFailures: 3, stableRequests: 754, stableFailures: 1)
        status.stableHash = "7d9f"
        status.canaryHash = "55c8"
        (status.stableReadyPods, status.canaryReadyPods) = (3, 1)
        status.startedAt = ago(70)
        status.stepStartedAt = ago(20)
        status.deadlineAt = ago(-300)
        status.waitingFor = .stepDuration
        status.message = "Step 2 (25 %): 40 s of its duration left."
        var ratio = MetricEvidence(metric: "success-ratio")
        ratio.counts = TrackCounts(canaryRequests: 400, canaryFailures: 40, stableRequests: 1200, stableFailures: 2)
        var test = SequentialTest()
        for _ in 0..<4 {
            if let part = CanaryCounts(canaryRequests: 100, canaryFailures: 10, stableRequests: 300, stableFailures: 0)
            {
                test.observe(part)
            }
        }
        ratio.intervals = test.state.intervals
        ratio.logSums = test.state.logSums
        ratio.restartLogSums = test.state.restartLogSums
        ratio.safeLogSums = [test.state.safeLogSum]
        var latency = MetricEvidence(metric: "latency")
        latency.problem = "Empty: the answer has no series"
        status.evidence = [ratio, latency]
        return Canary(namespace: "shop", name: "catalog", spec: spec, status: status)
    }

    static func decisions() -> [DecisionRecord] {
        [
            DecisionRecord(
                at: ago(10), subject: "step 2 (25 %)", metric: "success-ratio", query: "sum(rate(x[1m]))",
                n: .init(canary: 246, stable: 754), estimate: 0.987805, bound: 0.998674,
                rule: "sequential comparison with stable, alpha 0.005", verdict: .fail, action: "RollBack",
                wouldChange:
                    "3 of 246 canary requests failed; would change it: a canary that fails no more often than stable"),
            DecisionRecord(
                at: ago(70), subject: "phase Idle", metric: "change", rule: "the template differs from the stable one",
                verdict: .pass, action: "Start", wouldChange: "run 0a1b2c3d releases v1:b against v1:a"),
        ]
    }

    /// The API server's form of a resource: with spec, status and a generation.
    static func object<Spec, Status>(_ resource: Resource<Spec, Status>) -> KubeObject {
        resource.objectWithStatus
    }
}
