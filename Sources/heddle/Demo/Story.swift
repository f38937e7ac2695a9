import Foundation
import HeddleAPI
import KubeCore
import KubeSandbox

/// The demo's story, part by part. Each part ends with what was measured; the closing table holds all promises together.
final class Story {
    enum Part: String, CaseIterable, Comparable, Sendable {
        case setup, observe, strict, resilience, traffic
        static func < (a: Part, b: Part) -> Bool {
            (allCases.firstIndex(of: a) ?? 0) < (allCases.firstIndex(of: b) ?? 0)
        }
    }

    let cluster: DemoCluster
    let narrator: Narrator
    var promises = Promises()
    /// Before anything was meshed but the load generator.
    var baseline: LoadReport?
    /// Certificates that were signed by a replica which has ended since.
    var forgottenCertificates = 0

    init(cluster: DemoCluster, narrator: Narrator) {
        self.cluster = cluster
        self.narrator = narrator
    }

    /// - Returns: whether every promise held.
    func run(until last: Part) async throws -> Bool {
        try await setUp()
        if last >= .observe { try await observe() }
        if last >= .strict { try await strict() }
        if last >= .resilience { try await resilience() }
        if last >= .traffic { try await traffic() }
        try await close(after: last)
        return promises.hold
    }

    // MARK: Waiting

    /// Looks until the answer is there, at most `seconds`.
    func wait<Answer>(
        _ what: String, seconds: Double, every interval: Duration = .milliseconds(400),
        _ look: () async throws -> Answer?
    ) async throws -> Answer {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            if let answer = try await look() { return answer }
            narrator.waiting("\(what) ...")
            try await Task.sleep(for: interval)
        }
        throw DemoFailure("\(what): not within \(Int(seconds)) s")
    }

    func waitForAdoption(_ what: String, seconds: Double, _ holds: (Adoption) -> Bool) async throws -> Adoption {
        var last = ""
        return try await wait(what, seconds: seconds) {
            let adoption = try await cluster.adoption()
            let line =
                "\(adoption.status.phase.rawValue), \(adoption.status.state.rawValue): \(adoption.status.message ?? "")"
            // A line is new when more than its numbers changed.
            let words = line.filter { !$0.isNumber }
            if words != last, adoption.status.phase != .pending {
                last = words
                narrator.step(line)
            }
            return holds(adoption) ? adoption : nil
        }
    }

    /// The load generator's counts over the next seconds.
    func measure(seconds: Double) async throws -> (before: LoadReport, after: LoadReport) {
        let before = try await cluster.loadReport()
        try await Task.sleep(for: .seconds(seconds))
        return (before, try await cluster.loadReport())
    }

    // MARK: Parts

    private func setUp() async throws {
        narrator.heading("A cluster, Prometheus, the operator and the shop")
        narrator.step("the sandbox cluster answers: kubectl --kubeconfig \(cluster.sandbox.kubeconfig)")
        let source = cluster.programs.source
        try await cluster.kubectl("apply", "--server-side", "-k", "\(source)/manifests/overlays/sandbox")
        try await cluster.operators.giveAddresses()
        for replica in OperatorReplicas.all { try cluster.operators.start(replica) }
        try cluster.startPrometheus()
        let leader = try await wait("both replicas of the operator start, and one of them leads", seconds: 60) {
            let states = await cluster.operators.states()
            for replica in OperatorReplicas.all where await !cluster.operators.isReady(replica) { return String?.none }
            return states.first { $0.leads }?.replica.identity
        }
        narrator.step(
            "two replicas of heddle-operator run, processes that know a kubeconfig and nothing of the sandbox; "
                + "\(leader) leads")
        _ = try await wait("the webhooks trust the operator", seconds: 60) {
            let hook = try await cluster.api.get(.mutatingWebhookConfigurations, name: HeddleOperator.injectorWebhook)
            return hook.json["webhooks"]?.array?.allSatisfy { $0[path: "clientConfig", "caBundle"]?.string != nil }
                == true
                ? true : nil
        }
        try await cluster.kubectl("apply", "-f", "\(source)/Examples/shop/mesh/mesh.yaml")
        try await cluster.kubectl(
            "patch", "mesh", "default", "--type", "merge", "-p",
            #"{"spec":{"prometheus":{"address":"\#(DemoCluster.prometheusAddress)"}}}"#)
        try await cluster.kubectl("apply", "-k", "\(source)/Examples/shop")
        try await available(seconds: 120)
        narrator.step(
            "the shop runs: storefront -> catalog, cart, checkout; checkout -> payment, cart; 40 requests a second come in"
        )
        // Counting starts here: the visitors came while the shop still opened.
        let load = try await cluster.podIP(app: "load")
        _ = try await cluster.get("http://\(load):8081/reset")
        let (_, after) = try await measure(seconds: 8)
        guard after.ok > 0, after.failed == 0 else {
            throw DemoFailure(
                "the shop does not serve even without a mesh: \(after.ok) answered, failures \(after.failures)")
        }
        baseline = after
        narrator.good(
            "without a mesh: \(after.ok) requests answered, p50 \(ms(after.latencyMs.p50)), p99 \(ms(after.latencyMs.p99))"
        )
    }

    /// Every Deployment of the shop has its pods ready.
    private func available(seconds: Double) async throws {
        _ = try await wait("the shop's pods become ready", seconds: seconds) {
            let deployments = try await cluster.api.list(.deployments, namespace: "shop").items
            let isReady = deployments.allSatisfy {
                ($0.status["availableReplicas"]?.int ?? 0) >= ($0.spec["replicas"]?.int ?? 1)
                    && ($0.status["updatedReplicas"]?.int ?? 0) >= ($0.spec["replicas"]?.int ?? 1)
                    && ($0.status["observedGeneration"]?.int ?? 0) >= $0.generation
            }
            return isReady ? true : nil
        }
    }

    private func observe() async throws {
        narrator.heading("Observe: sidecars in batches, mutual TLS permissive, metrics and traces")
        let folder = "\(cluster.programs.source)/Examples/shop/mesh"
        try await cluster.kubectl(
            "patch", "mesh", "default", "--type", "merge", "-p",
            #"{"spec":{"tracing":{"provider":"Zipkin","address":"traces.shop.svc.cluster.local:9411","samplingPercent":20}}}"#
        )
        try await cluster.kubectl("apply", "-f", "\(folder)/adoption.yaml")
        try await cluster.kubectl(
            "-n", "shop", "patch", "adoption", "shop", "--type", "merge", "-p",
            #"{"spec":{"approval":"Manual","approvedPhase":"Resilience"}}"#)
        let adoption = try await waitForAdoption("every workload gets its sidecar", seconds: 300) {
            $0.status.phase >= .strict
        }
        let measured = adoption.status.measurements
        narrator.good(
            "\(adoption.status.workloads.count) workloads meshed, one batch after the other; "
                + "\(measured.mutualTLSRequests ?? 0) requests over mutual TLS, \(measured.tracesReceived ?? 0) spans sent"
        )
        let canaries = try await cluster.api.list(.canaries, namespace: "shop").items
        promises.add(
            "Restarts for injection start no release", measured: "\(canaries.count) releases", holds: canaries.isEmpty)
        let (before, after) = try await measure(seconds: 6)
        let received = try await spans()
        promises.add(
            "All workloads meshed, metrics and traces arrive",
            measured: "\(measured.mutualTLSRequests ?? 0) requests, \(received) spans received",
            holds: (measured.mutualTLSRequests ?? 0) > 0 && received > 0)
        narrator.step("success since the start of Observe: \(percent(after.successRatio(since: before)))")
        try await countReplicas()
        promises.note(
            "Mesh latency a hop (p50 / p99)",
            measured: "\(ms(measured.addedLatencyP50Ms)) / \(ms(measured.addedLatencyP99Ms))")
        promises.note(
            "Sidecar memory, the largest", measured: "\((measured.proxyMemoryBytes ?? 0) >> 20) MiB")
    }

    private func spans() async throws -> Int {
        let answer = try await cluster.get("http://\(try await cluster.podIP(app: "traces")):9411/summary")
        return try JSONValue.parse(answer.body)["spans"]?.int ?? 0
    }

    private func strict() async throws {
        narrator.heading("Strict: no plaintext, or no advance")
        let blocked = try await waitForAdoption("plaintext is found", seconds: 90) { adoption in
            adoption.status.blockers.contains { $0.gate == .plaintextClients }
        }
        let blocker = blocked.status.blockers.first { $0.gate == .plaintextClients }
        narrator.good("Heddle refuses to advance: \(blocker?.message ?? "")")
        promises.add(
            "Strict waits and names who speaks plaintext",
            measured:
                "\(blocker?.client ?? "?") -> \(blocker?.workload ?? "?"):\(blocker?.port ?? 0), \(blocker?.count ?? 0) requests",
            holds: blocker?.client == "shop/legacy-batch" && blocker?.workload == "catalog" && blocker?.port == 8080
                && (blocker?.count ?? 0) > 0)
        narrator.step("the client gets an exception with an owner and an end")
        try await cluster.kubectl(
            "-n", "shop", "patch", "adoption", "shop", "--type", "merge", "-p",
            #"{"spec":{"exceptions":[{"client":"legacy-batch","workload":"catalog","port":8080,"owner":"team-data","reason":"moves into the mesh with its rewrite","expires":"2099-03-31"}]}}"#
        )
        _ = try await waitForAdoption("the first workloads become strict", seconds: 90) { adoption in
            adoption.status.phase >= .resilience || adoption.status.workloads.contains { $0.state == .strict }
        }
        narrator.step("the API server is restarted: every connection is cut, and new ones are refused for 2 s")
        let outage = try await cluster.loseAPI(forgettingHistory: false)
        narrator.good("it is back: \(describe(outage))")
        promises.add(
            "API server restarted in Strict: watches resume", measured: describe(outage),
            holds: outage.isHealed && outage.resumed > 0 && outage.expired == 0)
        _ = try await waitForAdoption("workloads become strict, batch by batch", seconds: 180) {
            $0.status.phase >= .resilience
        }
        let plain = try await cluster.call("http://cart.shop.svc.cluster.local/", from: "legacy-batch")
        let meshed = try await cluster.call("http://cart.shop.svc.cluster.local/", from: "load")
        let excepted = try await cluster.call("http://catalog.shop.svc.cluster.local/", from: "legacy-batch")
        narrator.good(
            "plaintext to cart: refused (\(plain.output.split(separator: "\n").first ?? "")); meshed to cart: answered")
        promises.add(
            "Plaintext refused, meshed calls and the exception served",
            measured:
                "\(plain.succeeded ? "served" : "refused"), \(meshed.succeeded ? "served" : "refused"), \(excepted.succeeded ? "served" : "refused")",
            holds: !plain.succeeded && meshed.succeeded && excepted.succeeded)
    }

    private func resilience() async throws {
        narrator.heading("Resilience: a flaky dependency, and what callers do about it")
        try await cluster.kubectl("-n", "shop", "set", "env", "deployment/payment", "SAMPLE_ERROR_PERCENT=20")
        _ = try await cluster.kubectl("-n", "shop", "rollout", "status", "deployment/payment", "--timeout=50s")
        try await Task.sleep(for: .seconds(1))
        let bare = try await measure(seconds: 8)
        let before = bare.after.successRatio(since: bare.before) ?? 0
        narrator.step("payment fails one request in five: \(percent(before)) of the shop's requests succeed")
        try await cluster.kubectl("apply", "-f", "\(cluster.programs.source)/Examples/shop/mesh/servicepolicy.yaml")
        _ = try await wait("the policy is in effect", seconds: 60) {
            let policy = try ServicePolicy(
                try await cluster.api.get(.servicePolicies, namespace: "shop", name: "payment"))
            return policy.status.conditions["Ready"]?.status == .true ? true : nil
        }
        try await Task.sleep(for: .seconds(1))
        let helped = try await measure(seconds: 8)
        let after = helped.after.successRatio(since: helped.before) ?? 0
        narrator.good("with the ServicePolicy (timeout, retries of GET, outlier detection): \(percent(after)) succeed")
        promises.add(
            "A ServicePolicy raises the success ratio", measured: "\(percent(before)) -> \(percent(after))",
            holds: after > before + 0.05)
        try await cluster.kubectl("-n", "shop", "set", "env", "deployment/payment", "SAMPLE_ERROR_PERCENT-")
        _ = try await cluster.kubectl("-n", "shop", "rollout", "status", "deployment/payment", "--timeout=50s")
        try await cluster.kubectl(
            "-n", "shop", "patch", "adoption", "shop", "--type", "merge", "-p", #"{"spec":{"approvedPhase":"Traffic"}}"#
        )
        _ = try await waitForAdoption("Resilience soaks, then Traffic is approved", seconds: 120) {
            $0.status.phase >= .traffic
        }
        promises.add("The namespace reached phase Traffic", measured: "Traffic", holds: true)
    }

    private func close(after last: Part) async throws {
        if last >= .traffic { try await countRenewals() }
        let report = try await cluster.loadReport()
        let unexplained = report.unexplained.sorted { $0.key < $1.key }.map { "\($0.value) x \($0.key)" }
        promises.add(
            "No request failed by what Heddle did",
            measured: unexplained.isEmpty
                ? "0 of \(report.sent) (\(report.failed) by faults that the demo injected)"
                : unexplained.joined(separator: ", "),
            holds: unexplained.isEmpty)
        let causes = report.failures.sorted { $0.key < $1.key }.map { "\($0.value) x \($0.key)" }
        promises.note(
            "Requests, and failures by cause",
            measured: "\(report.sent): " + (causes.isEmpty ? "none failed" : causes.joined(separator: ", ")))
        if let baseline {
            promises.note(
                "Shop latency p50 / p99, before -> over the whole story",
                measured:
                    "\(ms(baseline.latencyMs.p50)) / \(ms(baseline.latencyMs.p99)) -> \(ms(report.latencyMs.p50)) / \(ms(report.latencyMs.p99))"
            )
        }
        narrator.heading("What was promised, what was measured")
        for line in promises.table(narrator) { narrator.say(line) }
        narrator.say("")
        narrator.say(promises.hold ? "Every promise held." : "Not every promise held.")
    }

    // MARK: Wording

    func ms(_ value: Double?) -> String { value.map { String(format: "%.1f ms", $0) } ?? "not measured" }
    func percent(_ ratio: Double?) -> String { ratio.map { String(format: "%.1f %%", $0 * 100) } ?? "not measured" }
}

/// The closing table: what was promised, what was measured, and whether it held.
struct Promises {
    private var rows: [(promise: String, measured: String, holds: Bool?)] = []

    var hold: Bool { rows.allSatisfy { $0.holds != false } }

    mutating func add(_ promise: String, measured: String, holds: Bool) { rows.append((promise, measured, holds)) }
    /// A measurement without a promise.
    mutating func note(_ name: String, measured: String) { rows.append((name, measured, nil)) }

    func table(_ narrator: Narrator) -> [String] {
        let width = rows.map(\.promise.count).max() ?? 0
        return rows.map { row in
            let mark =
                switch row.holds {
                case true?: narrator.paint("32", "held  ")
                case false?: narrator.paint("31", "BROKEN")
                case nil: "      "
                }
            return "  \(mark)  \(row.promise.padding(toLength: width, withPad: " ", startingAt: 0))  \(row.measured)"
        }
    }
}
