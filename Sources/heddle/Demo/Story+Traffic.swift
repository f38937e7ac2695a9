import Foundation
import HeddleAPI
import KubeCore

extension Story {
    /// Two releases of catalog: a good one and a bad one.
    func traffic() async throws {
        narrator.heading("Traffic: two releases of catalog, 5 % -> 25 % -> 50 % -> all")
        try await cluster.kubectl("apply", "-f", "\(cluster.programs.source)/Examples/shop/mesh/canary.yaml")
        _ = try await wait("the Canary takes in what runs", seconds: 60) {
            try await cluster.canary().status.change.promoted == nil ? nil : true
        }
        let (audit, api) = (ReleaseAudit(), cluster.api)
        async let following: Void = audit.follow(api, namespace: "shop", name: "catalog")
        try await goodRelease()
        try await badRelease()
        let repeated = audit.runs.flatMap(audit.repeated)
        let runs = audit.runs.map { audit.weights(of: $0).map(String.init).joined(separator: " ") + " %" }
        promises.add(
            "No decision is lost or repeated",
            measured: (repeated.isEmpty ? "each state entered once: " : "\(repeated.count) repeated: ")
                + runs.joined(separator: "; "),
            holds: repeated.isEmpty && audit.runs.count == 2)
    }

    private func goodRelease() async throws {
        narrator.step("release one (v2, good) is pushed: kubectl apply, as ever")
        let before = try await cluster.loadReport()
        try await release(version: "v2", environment: [])
        // What the visitors really got at each weight, from the moment at which the proxies had it.
        var first: [Int: LoadReport] = [:]
        var delivered: [Int: Double] = [:]
        let loss = LeaderLoss(cluster: cluster, narrator: narrator)
        var outage: Task<DemoCluster.Outage, any Error>?
        let done = try await follow(seconds: 240) { status in
            let weight = status.desiredWeightPercent
            if status.phase == .progressing, weight > 0, status.stepStartedAt != nil {
                let report = try await cluster.loadReport()
                if let start = first[weight] {
                    let new = report.answered(by: "catalog=v2") - start.answered(by: "catalog=v2")
                    let old = report.answered(by: "catalog=v1") - start.answered(by: "catalog=v1")
                    if new + old > 0 { delivered[weight] = 100 * Double(new) / Double(new + old) }
                } else {
                    first[weight] = report
                }
            }
            if loss.hasBegun || (status.phase == .progressing && weight == 25) { try await loss.advance() }
            if outage == nil, loss.isOver, status.phase.isRunning, weight >= 50 {
                narrator.step("the API server is restarted, and forgets past changes: no watch can go on as it was")
                outage = Task { [cluster] in try await cluster.loseAPI(forgettingHistory: true) }
            }
            return status.phase == .succeeded || status.phase == .rolledBack || status.phase == .failed
        }
        let after = try await cluster.loadReport()
        narrator.good(
            "release one: \(done.status.phase.rawValue). v2 answered \(after.answered(by: "catalog=v2")) requests, "
                + "success \(percent(after.successRatio(since: before)))")
        promises.add(
            "The good release is promoted", measured: done.status.phase.rawValue, holds: done.status.phase == .succeeded
        )
        let shares = delivered.sorted { $0.key < $1.key }
        promises.add(
            "Envoy delivers the weights that are asked for",
            measured: shares.map { String(format: "%d %% -> %.1f %%", $0.key, $0.value) }.joined(separator: ", "),
            holds: Set([5, 25, 50]).isSubset(of: delivered.keys)
                && shares.allSatisfy { abs($0.value - Double($0.key)) < 8 })
        let isReplaced = try await loss.finish()
        forgottenCertificates = loss.forgottenCertificates
        promises.add(
            "The leader killed at 25 %: the other goes on", measured: loss.summary,
            holds: isReplaced && done.status.phase == .succeeded)
        promises.add(
            "Meanwhile the survivor injects and serves all proxies", measured: loss.service, holds: loss.servedAll)
        let forgotten = try await outage?.value
        promises.add(
            "API server restarted at 50 %, history gone: listed anew",
            measured: forgotten.map(describe) ?? "it did not come to that",
            holds: forgotten.map { $0.isHealed && $0.expired > 0 } ?? false)
        let running = try await wait("the canary's pods go", seconds: 60) {
            let count = try await cluster.pods(app: "catalog").count
            return count == 2 ? count : nil
        }
        promises.add("No canary pod is left over", measured: "\(running) pods of catalog", holds: running == 2)
    }

    private func badRelease() async throws {
        narrator.step("release two (v3: 10 % errors, 30 % slow) is pushed")
        try await release(
            version: "v3", environment: ["SAMPLE_ERROR_PERCENT=10", "SAMPLE_SLOW_PERCENT=30", "SAMPLE_SLOW_MS=300"])
        var zeroAt: Date?
        var started = false
        let done = try await follow(seconds: 240) { status in
            if status.desiredWeightPercent > 0 { started = true }
            if started, status.desiredWeightPercent == 0, zeroAt == nil { zeroAt = Date() }
            return started && (status.phase == .succeeded || status.phase == .rolledBack || status.phase == .failed)
        }
        let report = try await cluster.loadReport()
        let firstBad = report.hops["catalog=v3"]?.firstFailureAt
        let reaction = firstBad.flatMap { first in zeroAt.map { $0.timeIntervalSince(first) } }
        let metrics = Set(done.spec.analysis.metrics.map(\.name))
        let deciding = done.status.decisions.last { $0.verdict == .fail && metrics.contains($0.metric) }
        narrator.good(
            "release two: \(done.status.phase.rawValue). \(deciding.map { "\($0.metric): \($0.rule)" } ?? "")")
        promises.add(
            "The bad release is rolled back by evidence",
            measured: "\(done.status.phase.rawValue) on \(deciding?.metric ?? "no metric")",
            holds: done.status.phase == .rolledBack && deciding != nil)
        promises.note(
            "First failed response to 0 %",
            measured: reaction.map { String(format: "%.1f s", max(0, $0)) }
                ?? "decided before a request failed (by latency)")
        let deployment = try await cluster.api.get(.deployments, namespace: "shop", name: "catalog")
        let versions = try await measure(seconds: 4)
        let leaked = versions.after.answered(by: "catalog=v3") - versions.before.answered(by: "catalog=v3")
        promises.add(
            "Afterwards the stable pods serve, and the Deployment waits",
            measured: "paused: \(deployment.spec["paused"]?.bool ?? false), v3 answers since: \(leaked)",
            holds: deployment.spec["paused"]?.bool == true && leaked == 0)
        narrator.step("heddle explain canary/catalog has the decision:")
        for line in ExplainView(deciding.map { [$0] } ?? []).lines(colour: false) { narrator.say("    " + line) }
    }

    /// A user's change of the Deployment: another version, in its arguments and environment.
    private func release(version: String, environment: [String]) async throws {
        let deployment = try await cluster.api.get(.deployments, namespace: "shop", name: "catalog")
        var arguments =
            deployment.spec[path: "template", "spec", "containers"]?[0]?["args"]?.array?.compactMap(\.string) ?? []
        guard let index = arguments.firstIndex(of: "--version") else {
            throw DemoFailure("catalog has no --version argument")
        }
        arguments[index + 1] = version
        var container: JSONValue = ["name": "catalog", "args": JSONValue(arguments)]
        container["env"] = .array(
            environment.map { pair in
                let parts = pair.split(separator: "=").map(String.init)
                return ["name": .string(parts[0]), "value": .string(parts[1])]
            })
        let patch: JSONValue = ["spec": ["template": ["spec": ["containers": [container]]]]]
        try await cluster.kubectl(
            "-n", "shop", "patch", "deployment", "catalog", "--type", "strategic", "-p", patch.serialized())
    }

    /// Prints the run as it goes, until it is over.
    private func follow(seconds: Double, _ isOver: (CanaryStatus) async throws -> Bool) async throws -> Canary {
        var last = ""
        var hasRun = false
        return try await wait("the release runs", seconds: seconds, every: .milliseconds(200)) {
            let canary = try await cluster.canary()
            let status = canary.status
            if status.phase.isRunning { hasRun = true }
            let observed = status.observedWeightPercent.map { String(format: ", measured %.1f %%", $0) } ?? ""
            let line = "\(status.phase.rawValue) at \(status.desiredWeightPercent) %"
            if line != last, status.phase.isRunning {
                last = line
                narrator.step("\(line)\(observed)  \(status.message ?? "")")
            }
            let ends = try await isOver(status)
            return hasRun && ends ? canary : nil
        }
    }
}
