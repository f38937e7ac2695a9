import Foundation
import HeddleAPI
import KubeCore

/// The leader's death in the middle of a release. It is taken a step further at each look at the release, so that the
/// looks go on: the leader is killed, the other replica serves alone and takes over, the killed one comes back and follows.
final class LeaderLoss {
    private enum Stage { case before, leaderless, led, over }

    private let cluster: DemoCluster
    private let narrator: Narrator
    private var stage = Stage.before
    private var killed = OperatorReplicas.all[0]
    private var survivor = OperatorReplicas.all[1]
    private var killedAt = ContinuousClock.now
    private var proxiesBefore: [OperatorReplicas.Replica: Int] = [:]
    private var loadBefore: LoadReport?
    private var transitions = 0
    private var injectedAfter: Duration?
    private var servedAfter: Duration?
    private var ledAfter: Duration?
    /// Signed by the replica that was killed, which forgot it.
    private(set) var forgottenCertificates = 0
    private(set) var summary = "it did not come to that"

    init(cluster: DemoCluster, narrator: Narrator) {
        self.cluster = cluster
        self.narrator = narrator
    }

    var hasBegun: Bool { stage != .before }
    var isOver: Bool { stage == .over }
    /// A pod was injected, and every proxy was in sync with the replica that was left.
    var servedAll: Bool { injectedAfter != nil && servedAfter != nil }

    var service: String {
        let injected = injectedAfter.map { "a pod injected \(seconds($0)) after the kill" } ?? "no pod injected"
        let count = proxiesBefore.values.reduce(0, +)
        let served = servedAfter.map { "\(count) of \(count) proxies in sync after \(seconds($0))" }
        return "\(injected), \(served ?? "not all of \(count) proxies in sync")"
    }

    func advance() async throws {
        switch stage {
        case .before: try await killLeader()
        case .leaderless, .led: try await observe()
        case .over: break
        }
    }

    /// Waits until it is over.
    /// - Returns: whether the lead went over exactly once, to the survivor.
    func finish() async throws -> Bool {
        guard hasBegun else { return false }
        let end = ContinuousClock.now + .seconds(60)
        while !isOver, ContinuousClock.now < end {
            try await advance()
            try await Task.sleep(for: .milliseconds(200))
        }
        let lease = try await cluster.operators.lease()
        return isOver && lease.holder == survivor.identity && lease.transitions == transitions + 1
    }

    private func killLeader() async throws {
        let states = await cluster.operators.states()
        guard states.count == 2, let leader = states.first(where: \.leads)?.replica,
            let other = states.first(where: { !$0.leads })?.replica
        else { return }
        (killed, survivor) = (leader, other)
        proxiesBefore = Dictionary(uniqueKeysWithValues: states.map { ($0.replica, $0.proxies) })
        forgottenCertificates = states.first { $0.replica == leader }?.certificates ?? 0
        transitions = try await cluster.operators.lease().transitions
        loadBefore = try await cluster.loadReport()
        killedAt = .now
        cluster.operators.kill(leader)
        stage = .leaderless
        narrator.step("\(leader.identity), which leads, is killed (SIGKILL); traffic goes on, \(other.identity) serves")
    }

    private func observe() async throws {
        let states = await cluster.operators.states()
        if injectedAfter == nil, await isInjecting() { injectedAfter = .now - killedAt }
        let serving = states.first { $0.replica == survivor }
        let all = proxiesBefore.values.reduce(0, +)
        if servedAfter == nil, let serving, serving.proxies >= all, serving.synced == serving.proxies {
            servedAfter = .now - killedAt
        }
        if stage == .leaderless, serving?.leads == true {
            ledAfter = .now - killedAt
            stage = .led
            try cluster.operators.start(killed)
            let report = try await cluster.loadReport()
            let failed = report.unexplained.values.reduce(0, +) - (loadBefore?.unexplained.values.reduce(0, +) ?? 0)
            narrator.step(
                "\(survivor.identity) leads after \(seconds(ledAfter ?? .zero)); "
                    + "\(report.ok - (loadBefore?.ok ?? 0)) requests were answered meanwhile, \(failed) failed. "
                    + "\(killed.identity) is started again")
        }
        if stage == .led, let back = states.first(where: { $0.replica == killed }), !back.leads,
            await cluster.operators.isReady(killed)
        {
            stage = .over
            summary =
                "\(killed.identity) -> \(survivor.identity) after \(seconds(ledAfter ?? .zero)); proxies "
                + "\(proxiesBefore[killed] ?? 0) + \(proxiesBefore[survivor] ?? 0) -> 0 + \(serving?.proxies ?? 0)"
            narrator.step("\(killed.identity) is back and follows")
        }
    }

    /// Whether a pod that asks for a sidecar would get one now: a dry run, which admission takes for real.
    private func isInjecting() async -> Bool {
        let pod: JSONValue = [
            "apiVersion": "v1", "kind": "Pod",
            "metadata": ["name": "probe", "namespace": "shop", "labels": [HeddleLabel.inject: "true"]],
            "spec": ["containers": [["name": "app", "image": "heddle-sample:1.0"]]],
        ]
        let request = APIRequest(.create, .pods, namespace: "shop", query: ["dryRun": "All"], body: pod)
        guard let answer = try? await cluster.api.perform(request) else { return false }
        return KubeObject(json: answer).annotations[HeddleAnnotation.status] != nil
    }

    private func seconds(_ duration: Duration) -> String { String(format: "%.1f s", duration / .seconds(1)) }
}
