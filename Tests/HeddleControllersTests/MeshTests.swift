import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import MeshModel
import MeshPlan
import Testing

@testable import HeddleControllers

struct MeshTests {
    private let bench = Bench()

    private func seed(_ name: String, _ change: (inout MeshSpec) -> Void = { _ in }) {
        var spec = MeshSpec()
        change(&spec)
        bench.cluster.seed(.meshes, Mesh(name: name, spec: spec, status: MeshStatus()).object)
    }

    private func reconcile(_ name: String) async throws -> MeshStatus {
        bench.sync()
        let end = bench.now.addingTimeInterval(1000)
        let proxies = ProxyView(
            isSynced: { true }, syncedPods: { [] }, rejection: { _ in nil }, problems: { _ in [] }, counts: { (5, 4) })
        let reconciler = MeshReconciler(
            api: bench.cluster, stores: bench.stores, proxies: proxies, authorityNotAfter: { end }, now: { bench.now })
        _ = try await reconciler.reconcile(ObjectKey(namespace: "", name: name))
        let object = try #require(bench.cluster.object(.meshes, name: name))
        return try Mesh(object).status
    }

    @Test func `the Mesh says how its proxies and its authority are`() async throws {
        seed("default")
        let status = try await reconcile("default")
        #expect(status.proxies.connected == 5)
        #expect(status.proxies.synced == 4)
        #expect(status.certificateAuthority.notAfter?.date == bench.now.addingTimeInterval(1000))
        #expect(status.conditions["Ready"]?.status == .true)
        bench.cluster.clearLog()
        _ = try await reconcile("default")
        #expect(bench.cluster.writes.isEmpty)
    }

    @Test func `of two meshes one holds and the other says so`() async throws {
        seed("another")
        seed("default")
        #expect(try await reconcile("default").conditions["Ready"]?.status == .true)
        let other = try await reconcile("another")
        #expect(other.conditions["Ready"]?.reason == "SeveralMeshes")
        #expect(other.conditions["Ready"]?.message.contains("default") == true)
    }

    @Test func `a provider that cannot be driven is no quiet success`() async throws {
        seed("default") { $0.provider = .linkerd }
        #expect(try await reconcile("default").conditions["Ready"]?.status == .false)
    }

    @Test func `the Mesh's sampling is a Telemetry of the root namespace, for as long as it traces`() async throws {
        func telemetry() -> KubeObject? {
            bench.cluster.object(.telemetries, namespace: "heddle-system", name: "heddle-tracing")
        }
        seed("default") { $0.tracing = HeddleAPI.TracingBackend(address: "otel:4318", samplingPercent: 20) }
        _ = try await reconcile("default")
        #expect(telemetry()?.spec["tracing"]?[0]?["randomSamplingPercentage"]?.double == 20)
        bench.cluster.clearLog()
        _ = try await reconcile("default")
        #expect(bench.cluster.writes.isEmpty)

        seed("default") { $0.tracing = HeddleAPI.TracingBackend(address: "otel:4318", samplingPercent: 5) }
        _ = try await reconcile("default")
        #expect(telemetry()?.spec["tracing"]?[0]?["randomSamplingPercentage"]?.double == 5)
        seed("default")
        _ = try await reconcile("default")
        #expect(telemetry() == nil)
    }

    @Test func `the choice of the Mesh decides what injected pods get`() throws {
        seed("zebra") { $0.trustDomain = "zebra.example" }
        bench.advance(5)
        seed("aardvark") { $0.trustDomain = "aardvark.example" }
        let objects = bench.cluster.objects(.meshes)
        #expect(MeshChoice(objects).spec.trustDomain == "zebra.example", "the oldest holds")
        #expect(MeshChoice([]).spec == MeshSpec())
        let injection = MeshChoice(objects).injection(image: "agent:9")
        #expect(injection.image == "agent:9")
        #expect(injection.trustDomain == "zebra.example")
    }

    @Test func `tracing addresses become a host and a port`() {
        var spec = MeshSpec()
        spec.tracing = HeddleAPI.TracingBackend(
            provider: .zipkin, address: "zipkin.monitoring:9411", samplingPercent: 20)
        let mesh = Mesh(name: "default", spec: spec, status: MeshStatus()).object
        let tracing = MeshChoice([mesh]).settings.tracing
        #expect(tracing?.host == "zipkin.monitoring")
        #expect(tracing?.port == 9411)
        #expect(tracing?.path == "/api/v2/spans")
        #expect(tracing?.samplingPercent == 20)
    }

    @Test(arguments: ["heddle-injector", "somebody-else"])
    func `the webhooks' bundle is filled in at every entry, and only in Heddle's objects`(name: String) async throws {
        let resource = GroupVersionResource.mutatingWebhookConfigurations
        var configuration = KubeObject(resource, name: name)
        configuration.json["webhooks"] = [
            ["name": "a.heddle.dev", "clientConfig": ["service": ["name": "heddle-operator"]]],
            ["name": "b.heddle.dev", "clientConfig": ["service": ["name": "heddle-operator"], "caBundle": "b2xk"]],
            ["name": "c.heddle.dev", "clientConfig": ["service": ["name": "heddle-operator"], "caBundle": "bmV3"]],
        ]
        bench.cluster.seed(resource, configuration)
        let store = Store(scope: StoreScope(resource))
        let trust = WebhookTrust(api: bench.cluster, store: store, resource: resource, bundle: { "bmV3" })
        for _ in 0..<3 {
            store.replace(with: bench.cluster.objects(resource))
            _ = try await trust.reconcile(ObjectKey(namespace: "", name: name))
        }
        let webhooks = try #require(bench.cluster.object(resource, name: name)?.json["webhooks"]?.array)
        let bundles = webhooks.map { $0[path: "clientConfig", "caBundle"]?.string }
        let isOurs = name == "heddle-injector"
        #expect(bundles == (isOurs ? ["bmV3", "bmV3", "bmV3"] : [nil, "b2xk", "bmV3"]))
        #expect(webhooks.allSatisfy { $0[path: "clientConfig", "service", "name"] == "heddle-operator" })
        #expect(bench.cluster.writes.count == (isOurs ? 1 : 0))
    }
}
