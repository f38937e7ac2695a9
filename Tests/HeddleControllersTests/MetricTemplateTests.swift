import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeRuntime
import KubeTesting
import Testing

@testable import HeddleControllers

struct MetricTemplateTests {
    private let bench = Bench()

    private func conditions(_ query: String) async throws -> [Condition] {
        var object = KubeObject(.metricTemplates, namespace: "shop", name: "latency")
        object.spec = ["query": .string(query)]
        bench.cluster.seed(.metricTemplates, object)
        let reconciler = MetricTemplateReconciler(api: bench.cluster, stores: bench.stores, now: { bench.now })
        for _ in 0..<2 {
            bench.sync()
            let result = try await reconciler.reconcile(ObjectKey(namespace: "shop", name: "latency"))
            #expect(result == .done)
        }
        #expect(bench.cluster.writes.count <= 1, "the second look writes nothing")
        let status = try bench.cluster.get("MetricTemplate", .metricTemplates, "latency").status
        return try (status["conditions"]?.array ?? []).map { try $0.decode(Condition.self) }
    }

    @Test func `a query that can be asked is accepted`() async throws {
        let found = try await conditions(#"sum(rate(jobs{hash="{{ track }}"}[{{ interval }}])) # per second ("#)
        #expect(found["Ready"]?.status == .true)
        #expect(found["Ready"]?.message.contains("track") == false)
    }

    @Test func `a query that takes all pods together says so`() async throws {
        let found = try await conditions("sum(rate(jobs[1m]))")
        #expect(found["Ready"]?.status == .true)
        #expect(found["Ready"]?.message.contains("{{ track }}") == true)
    }

    @Test(arguments: [
        ("sum(rate(jobs[1m])", "'(' is never closed"), ("sum(x))", "')' closes nothing"),
        (#"x{a="b}"#, "does not end"), ("x{a=(b)}", "cannot stand between"), ("x{{ nobody }}", "nobody"),
        ("rate(x[5m)]", "closes nothing"),
    ])
    func `a query that no Prometheus takes is refused with the reason`(query: String, says: String) async throws {
        let found = try await conditions(query)
        #expect(found["Ready"]?.reason == "InvalidSpec")
        #expect(found["Accepted"]?.message.contains(says) == true, "\(found["Accepted"]?.message ?? "-")")
        #expect(found["Accepted"]?.message.contains("spec.query") == true)
    }
}
