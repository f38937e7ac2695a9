import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import MeshEvidence
import Synchronization
import Testing

@testable import HeddleControllers

/// At rest nothing is asked of the API server, however many objects there are and however long it lasts.
struct AtRestTests {
    /// Counts looks.
    private struct Counting: Reconciler {
        let inner: any Reconciler
        let looks: Counter
        func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
            looks.add()
            return try await inner.reconcile(key)
        }
    }

    private final class Counter: Sendable {
        private let state = Mutex(0)
        var count: Int { state.withLock { $0 } }
        func add() { state.withLock { $0 += 1 } }
    }

    private static let namespaces = 100

    /// Canaries with what each of them watches: a Deployment that is rolled out, its ReplicaSet, its Service.
    /// - Parameter settled: the status that a look leaves; nil: as just made.
    private func seed(_ cluster: InMemoryCluster, canaries count: Int, settled: JSONValue? = nil) {
        let template: JSONValue = [
            "metadata": ["labels": ["app": "a", HeddleLabel.inject: "true"]],
            "spec": ["containers": [["name": "app", "image": "app:1"]]],
        ]
        let steps = [CanaryStep(weight: 10), CanaryStep(weight: 50)]
        for index in 0..<count {
            let (namespace, name) = ("team-\(index % Self.namespaces)", "app-\(index)")
            let spec = CanarySpec(
                targetRef: TargetRef(name: name), service: CanaryService(name: name, port: 80), steps: steps)
            var canary = Canary(namespace: namespace, name: name, spec: spec, status: CanaryStatus()).object
            if var settled {
                settled["stableHash"] = .string("h\(index)")
                canary.status = settled
            }
            cluster.seed(.canaries, canary)
            var service = KubeObject(.services, namespace: namespace, name: name)
            service.spec = ["selector": ["app": .string(name)]]
            cluster.seed(.services, service)
            var deployment = KubeObject(.deployments, namespace: namespace, name: name)
            deployment.spec = ["replicas": 1, "template": template]
            deployment.status = [
                "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
                "readyReplicas": 1,
            ]
            let owner = cluster.seed(.deployments, deployment)
            var set = KubeObject(.replicaSets, namespace: namespace, name: "\(name)-1")
            set.labels = [HeddleLabel.podTemplateHash: "h\(index)"]
            set.ownerReferences = [owner.asController]
            set.spec = ["replicas": 1, "template": template]
            set.status = ["replicas": 1, "readyReplicas": 1]
            cluster.seed(.replicaSets, set)
        }
    }

    /// The status of a Canary that has been looked at until nothing changes.
    private func settledStatus() async throws -> JSONValue {
        let cluster = InMemoryCluster()
        seed(cluster, canaries: 1)
        let (clock, looks) = (ManualClock(), Counter())
        try await run(cluster, clock, looks) {
            #expect(
                await eventually(within: .seconds(60)) {
                    cluster.objects(.canaries)[0].status["message"]?.string?.hasPrefix("No change") == true
                })
            try await settle(looks)
        }
        return cluster.objects(.canaries)[0].status
    }

    @Test func `ten thousand idle Canaries are looked at once, and then ask for nothing in a day`() async throws {
        let cluster = InMemoryCluster()
        seed(cluster, canaries: 10_000, settled: try await settledStatus())
        for index in 0..<Self.namespaces {
            var spec = ServicePolicySpec(service: "app-\(index)")
            spec.timeout = "3s"
            spec.retryBudget = RetryBudget()
            cluster.seed(
                .servicePolicies,
                ServicePolicy(
                    namespace: "team-\(index)", name: "policy", spec: spec, status: ServicePolicyStatus()
                ).object)
        }
        cluster.seed(.meshes, Mesh(name: "default", spec: MeshSpec(), status: MeshStatus()).object)
        cluster.seed(
            .metricTemplates,
            MetricTemplate(
                namespace: "team-0", name: "latency", spec: MetricTemplateSpec(query: "sum(x{hash=\"{{ track }}\"})"),
                status: MetricTemplateStatus()
            ).object)
        let (clock, looks) = (ManualClock(), Counter())
        try await run(cluster, clock, looks) {
            func isReady(_ resource: GroupVersionResource) -> Bool {
                cluster.objects(resource).allSatisfy { $0.status["observedGeneration"] != nil }
            }
            #expect(
                await eventually(within: .seconds(300)) {
                    looks.count >= 10_000 && isReady(.servicePolicies) && isReady(.meshes) && isReady(.metricTemplates)
                })
            try await settle(looks)
            #expect(!cluster.writes.contains { $0.request.resource == .canaries }, "nothing has changed for them")
            #expect(cluster.objects(.destinationRules).count == Self.namespaces)
            cluster.clearLog()
            let before = looks.count
            for _ in 0..<24 {
                clock.advance(by: .seconds(3600))
                cluster.advanceClock(by: 3600)
                try await settle(looks)
            }
            #expect(cluster.requests.allSatisfy { $0.verb == .watch }, "a day at rest: only watches are renewed")
            #expect(looks.count == before, "nobody looks at rest")
        }
    }

    /// Returns when no look has begun for a while of yields: what the clock woke has run.
    private func settle(_ looks: Counter) async throws {
        var (quiet, last) = (0, -1)
        while quiet < 200 {
            await Task.yield()
            quiet = looks.count == last ? quiet + 1 : 0
            last = looks.count
        }
    }

    private func run(
        _ cluster: InMemoryCluster, _ clock: ManualClock, _ looks: Counter, during body: () async throws -> Void
    ) async throws {
        let runtime = Runtime(api: cluster, logger: quiet, clock: AnyClock(clock))
        let stores = ClusterStores(runtime: runtime)
        let routes = RouteWriter(api: cluster, stores: stores)
        let events = EventRecorder(api: cluster, component: "test", instance: "test", logger: quiet)
        func add(_ name: String, _ sources: [Controller.Source], _ reconciler: any Reconciler) -> Controller {
            let controller = Controller(
                name: name, sources: sources, clock: AnyClock(clock), logger: quiet,
                reconciler: Counting(inner: reconciler, looks: looks))
            runtime.add(controller)
            return controller
        }
        _ = add(
            "canary", CanaryReconciler.sources(stores),
            CanaryReconciler(
                api: cluster, stores: stores, routes: routes, evidence: EvidenceCollector(), proxies: .none,
                events: events, prometheus: { nil }))
        let policies = add(
            "servicepolicy", ServicePolicyReconciler.sources(stores),
            ServicePolicyReconciler(api: cluster, stores: stores, routes: routes, proxies: .none))
        let end = Date(timeIntervalSince1970: 2_000_000_000)
        let meshes = add(
            "mesh", MeshReconciler.sources(stores),
            MeshReconciler(api: cluster, stores: stores, proxies: .none, authorityNotAfter: { end }))
        _ = add(
            "metrictemplate", MetricTemplateReconciler.sources(stores),
            MetricTemplateReconciler(api: cluster, stores: stores))
        runtime.addLeaderWork("proxies") {
            try await ProxyWatch(.none, clock: AnyClock(clock)) {
                for mesh in stores.meshes.list() { meshes.enqueue(mesh.key) }
                for policy in stores.servicePolicies.list() { policies.enqueue(policy.key) }
            }.run()
        }
        let task = Task { try await runtime.run() }
        defer { task.cancel() }
        try await body()
    }

    @Test func `a change of the proxies wakes whom it concerns, once`() async throws {
        let clock = ManualClock()
        let revision = Mutex(UInt64(0))
        let wakes = Counter()
        var proxies = ProxyView.none
        proxies.revision = { revision.withLock { $0 } }
        let watch = ProxyWatch(proxies, clock: AnyClock(clock)) { wakes.add() }
        let task = Task { try await watch.run() }
        defer { task.cancel() }
        func second() async {
            #expect(await eventually { clock.sleeperCount == 1 })
            clock.advance(by: .seconds(1))
            #expect(await eventually { clock.sleeperCount == 1 })
        }
        await second()
        #expect(wakes.count == 0)
        revision.withLock { $0 = 7 }
        await second()
        await second()
        #expect(wakes.count == 1)
    }
}
