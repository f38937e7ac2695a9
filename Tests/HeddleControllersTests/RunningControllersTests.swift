import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import Testing

@testable import HeddleControllers

/// The controllers as the operator runs them: on a runtime that watches the cluster.
struct RunningControllersTests {
    private func run(_ cluster: InMemoryCluster, during body: (InMemoryCluster) async throws -> Void) async throws {
        let runtime = Runtime(api: cluster, logger: quiet)
        let stores = ClusterStores(runtime: runtime)
        let routes = RouteWriter(api: cluster, stores: stores)
        let events = EventRecorder(api: cluster, component: "test", instance: "test", logger: quiet)
        runtime.add(
            Controller(
                name: "canary", sources: CanaryReconciler.sources(stores), logger: quiet,
                reconciler: CanaryReconciler(
                    api: cluster, stores: stores, routes: routes, evidence: EvidenceCollector(), proxies: .none,
                    events: events, prometheus: { nil })))
        runtime.add(
            Controller(
                name: "servicepolicy", sources: ServicePolicyReconciler.sources(stores), logger: quiet,
                reconciler: ServicePolicyReconciler(api: cluster, stores: stores, routes: routes, proxies: .none)))
        runtime.add(
            Controller(
                name: "adoption", sources: AdoptionReconciler.sources(stores), logger: quiet,
                reconciler: AdoptionReconciler(
                    api: cluster, stores: stores, observer: AdoptionObserver(), proxies: .none, events: events,
                    prometheus: { nil })))
        let task = Task { try await runtime.run() }
        defer { task.cancel() }
        try await body(cluster)
    }

    private func seeded() -> InMemoryCluster {
        let cluster = InMemoryCluster(now: Date())
        var service = KubeObject(.services, namespace: "shop", name: "catalog")
        service.spec = ["selector": ["app": "catalog"]]
        cluster.seed(.services, service)
        return cluster
    }

    private func split(_ cluster: InMemoryCluster) {
        for (resource, spec) in [
            (
                GroupVersionResource.virtualServices,
                [
                    "hosts": ["catalog.shop.svc.cluster.local"],
                    "http": [
                        [
                            "route": [
                                [
                                    "destination": ["host": "catalog.shop.svc.cluster.local", "subset": "stable"],
                                    "weight": 90,
                                ],
                                [
                                    "destination": ["host": "catalog.shop.svc.cluster.local", "subset": "canary"],
                                    "weight": 10,
                                ],
                            ]
                        ]
                    ],
                ] as JSONValue
            ),
            (
                .destinationRules,
                [
                    "host": "catalog.shop.svc.cluster.local",
                    "subsets": [
                        ["name": "stable", "labels": ["pod-template-hash": "a"]],
                        ["name": "canary", "labels": ["pod-template-hash": "b"]],
                    ],
                ]
            ),
        ] {
            var object = KubeObject(resource, namespace: "shop", name: "catalog-heddle")
            object.labels = [HeddleLabel.managedBy: "heddle"]
            object.spec = spec
            cluster.seed(resource, object)
        }
    }

    @Test func `a policy is rendered when it comes, put right when it is changed, and gone when it goes`() async throws
    {
        try await run(seeded()) { cluster in
            var spec = ServicePolicySpec(service: "catalog")
            spec.timeout = "3s"
            cluster.seed(
                .servicePolicies,
                ServicePolicy(namespace: "shop", name: "p", spec: spec, status: ServicePolicyStatus()).object)
            func timeout() -> JSONValue? {
                cluster.object(.virtualServices, namespace: "shop", name: "catalog-heddle")?.spec["http"]?[0]?[
                    "timeout"]
            }
            #expect(await eventually(within: .seconds(30)) { timeout() == "3s" })
            var changed = try #require(cluster.object(.virtualServices, namespace: "shop", name: "catalog-heddle"))
            changed.spec["http"] = []
            cluster.seed(.virtualServices, changed)
            #expect(await eventually(within: .seconds(30)) { timeout() == "3s" })
            cluster.remove(.servicePolicies, namespace: "shop", name: "p")
            #expect(await eventually(within: .seconds(30)) { cluster.objects(.virtualServices).isEmpty })
        }
    }

    @Test func `a split whose Canary went while the operator was away is removed at its start`() async throws {
        let cluster = seeded()
        split(cluster)
        try await run(cluster) { cluster in
            #expect(
                await eventually(within: .seconds(30)) {
                    cluster.objects(.virtualServices).isEmpty && cluster.objects(.destinationRules).isEmpty
                })
        }
    }

    @Test func `the caches that a look reads are filled before the first look`() async throws {
        let cluster = seeded()
        var spec = CanarySpec(
            targetRef: TargetRef(name: "catalog"), service: CanaryService(name: "catalog", port: 80),
            steps: [CanaryStep(weight: 10)])
        spec.bake = "1s"
        cluster.seed(.canaries, Canary(namespace: "shop", name: "catalog", spec: spec, status: CanaryStatus()).object)
        var deployment = KubeObject(.deployments, namespace: "shop", name: "catalog")
        deployment.spec = ["replicas": 1, "template": ["spec": ["containers": []]]]
        cluster.seed(.deployments, deployment)
        // The list of services is slow: a look before it would find none, and call that a conflict.
        cluster.injectFaults { request, _ in
            guard request.resource == .services else { return nil }
            return .hold { try? await Task.sleep(for: .milliseconds(300)) }
        }
        try await run(cluster) { cluster in
            var phases: Set<String> = []
            let isSettled = await eventually(within: .seconds(30)) {
                let status = cluster.object(.canaries, namespace: "shop", name: "catalog")?.status
                if let phase = status?["phase"]?.string { phases.insert(phase) }
                return status?[path: "change", "promoted"] != nil
            }
            #expect(isSettled)
            #expect(phases == ["Idle"])
        }
    }
}
