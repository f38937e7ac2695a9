import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import Logging
import MeshEvidence
import Synchronization

@testable import HeddleControllers

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A cluster in memory with caches that are filled on demand, and a clock that a test moves.
final class Bench: Sendable {
    let cluster = InMemoryCluster()
    let stores: ClusterStores
    let events: EventRecorder
    let prometheus = FakePrometheus()
    private let time = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
    private let runtime: Runtime

    init() {
        runtime = Runtime(api: cluster, logger: quiet)
        stores = ClusterStores(runtime: runtime)
        events = EventRecorder(api: cluster, component: "test", instance: "test", logger: quiet)
    }

    var now: Date { time.withLock { $0 } }

    func advance(_ seconds: Double) {
        time.withLock { $0.addTimeInterval(seconds) }
        cluster.advanceClock(by: seconds)
    }

    /// Fills the caches with what the cluster has.
    func sync() {
        let all: [(Store, GroupVersionResource)] = [
            (stores.namespaces, .namespaces), (stores.pods, .pods), (stores.services, .services),
            (stores.deployments, .deployments), (stores.replicaSets, .replicaSets), (stores.meshes, .meshes),
            (stores.adoptions, .adoptions), (stores.canaries, .canaries), (stores.servicePolicies, .servicePolicies),
            (stores.metricTemplates, .metricTemplates), (stores.virtualServices, .virtualServices),
            (stores.destinationRules, .destinationRules), (stores.peerAuthentications, .peerAuthentications),
            (stores.telemetries, .telemetries),
        ]
        for (store, resource) in all { store.replace(with: cluster.objects(resource)) }
    }

    func addService(_ name: String, selecting app: String? = nil) {
        var service = KubeObject(.services, namespace: "shop", name: name)
        service.spec = ["selector": ["app": .string(app ?? name)], "ports": [["name": "http", "port": 80]]]
        cluster.seed(.services, service)
    }

    /// A Deployment as a user has it, with a healthy status.
    @discardableResult
    func addDeployment(_ name: String, replicas: Int = 2, ports: [Int] = [8080]) -> KubeObject {
        var deployment = KubeObject(.deployments, namespace: "shop", name: name)
        deployment.labels = ["app": name]
        deployment.spec = [
            "replicas": .int(replicas), "selector": ["matchLabels": ["app": .string(name)]],
            "template": [
                "metadata": ["labels": ["app": .string(name)]],
                "spec": [
                    "containers": [
                        [
                            "name": "app", "image": "app:1",
                            "ports": .array(ports.map { ["containerPort": .int($0)] }),
                        ]
                    ]
                ],
            ],
        ]
        return cluster.seed(.deployments, deployment)
    }

    func canary(_ name: String = "catalog") throws -> Canary {
        try Canary(cluster.get("Canary", .canaries, name))
    }
}

extension InMemoryCluster {
    func get(_ what: String, _ resource: GroupVersionResource, _ name: String) throws -> KubeObject {
        guard let object = object(resource, namespace: "shop", name: name) else {
            throw Missing(description: "\(what) shop/\(name)")
        }
        return object
    }
}

struct Missing: Error, CustomStringConvertible { var description: String }

/// Prometheus as a table: what each query answers, with what it answered before.
final class FakePrometheus: PrometheusQuerying {
    private struct State {
        var isAway = false
        /// By query, in the order of time.
        var history: [String: [(at: Date, samples: [PrometheusAnswer.Sample])]] = [:]
        /// For queries that no entry is for: by a part of their text.
        var rules: [(part: String, samples: [PrometheusAnswer.Sample])] = []
    }
    private let state = Mutex(State())

    var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }

    func set(_ query: String, _ samples: [PrometheusAnswer.Sample], at time: Date) {
        state.withLock { $0.history[query, default: []].append((time, samples)) }
    }

    /// Queries that have the part in their text answer this.
    func answer(_ part: String, _ samples: [([String: String], Double)]) {
        let samples = samples.map { PrometheusAnswer.Sample(labels: $0.0, time: 0, value: $0.1) }
        state.withLock { state in
            state.rules.removeAll { $0.part == part }
            state.rules.append((part, samples))
        }
    }

    func instant(_ query: String, at: Date?) async throws(QueryError) -> PrometheusAnswer {
        let found = state.withLock { state -> [PrometheusAnswer.Sample]? in
            if state.isAway { return nil }
            if let entries = state.history[query] {
                return entries.last { entry in at.map { entry.at <= $0 } ?? true }?.samples ?? []
            }
            return state.rules.first { query.contains($0.part) }?.samples ?? []
        }
        guard let found else { throw QueryError(.unreachable, "connection refused") }
        return PrometheusAnswer(data: .vector(found))
    }

    func range(_ query: String, from: Date, to: Date, stepSeconds: Double) async throws(QueryError) -> PrometheusAnswer
    {
        throw QueryError(.badQuery, "not part of these tests")
    }
}
