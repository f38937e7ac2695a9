import AsyncHTTPClient
import Foundation
import HeddleAPI
import KubeCore
import KubeSandbox
import KubeTesting
import Logging
import ServiceLifecycle
import Testing

/// Two operators as processes of their own over one API server.
@Suite(.serialized)
struct TwoReplicasTests {
    static var isBuilt: Bool { FileManager.default.isExecutableFile(atPath: OperatorProcess.executable.path) }

    private static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func withCluster(_ body: (APIServer, _ directory: URL, _ kubeconfig: String) async throws -> Void)
        async throws
    {
        let directory = FileManager.default.temporaryDirectory.appending(path: "heddle-operators-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let server = APIServer(logger: Self.quiet)
        let definitions = GroupVersionResource(
            group: "apiextensions.k8s.io", resource: "customresourcedefinitions", kind: "CustomResourceDefinition",
            isNamespaced: false)
        for definition in CustomResourceDefinition.heddle {
            _ = try await server.create(definitions, KubeObject(json: definition.json))
        }
        _ = try await server.create(.namespaces, KubeObject(.namespaces, name: "heddle-system"))
        var configuration = APIServerHTTP.Configuration(identity: try .make(), adminToken: "admin")
        configuration.port = 0
        let front = APIServerHTTP(server: server, configuration: configuration, logger: Self.quiet)
        let services = ServiceGroup(services: [front], logger: Self.quiet)
        let serving = Task { try await services.run() }
        let kubeconfig = directory.appending(path: "kubeconfig")
        try Data(await front.kubeconfig().utf8).write(to: kubeconfig)
        do {
            try await body(server, directory, kubeconfig.path)
        } catch {
            serving.cancel()
            _ = await serving.result
            throw error
        }
        serving.cancel()
        _ = await serving.result
    }

    private func holder(_ server: APIServer) async -> String? {
        try? await server.find(.leases, namespace: "heddle-system", name: "heddle-operator")?.spec["holderIdentity"]?
            .string
    }

    @Test(.enabled(if: isBuilt, "needs the built operator"), .timeLimit(.minutes(3)))
    func `a stopped leader is replaced, finds out at once when it goes on, and the lead is handed over at the end`()
        async throws
    {
        let client = HTTPClient(eventLoopGroupProvider: .singleton)
        try await withCluster { server, directory, kubeconfig in
            let first = try OperatorProcess("a", kubeconfig: kubeconfig, directory: directory)
            defer { first.end() }
            try #require(
                await eventually(within: .seconds(40)) { await first.isLeading(client) == true }, "\(first.logText)")
            let second = try OperatorProcess("b", kubeconfig: kubeconfig, directory: directory)
            defer { second.end() }
            try #require(
                await eventually(within: .seconds(40)) { await second.isReady(client) }, "\(second.logText)")
            #expect(await second.isLeading(client) == false, "it serves, and does not lead")
            #expect(await holder(server) == "a")

            // What the runtime counts is on the page.
            let page = await first.page("/metrics", client)?.text ?? ""
            for metric in [
                "heddle_reconcile_total{controller=\"canary\",result=\"error\"} 0",
                "heddle_leader_renewals_total{lease=\"heddle-operator\",result=\"done\"}",
                "heddle_store_lists_total{store=\"pods\"} 1", "heddle_workqueue_depth{controller=\"canary\"} 0",
                "heddle_kube_requests_total{code=\"200\",resource=\"pods\",verb=\"watch\"} 1",
            ] {
                #expect(page.contains(metric), "\(metric) is not in:\n\(page)")
            }

            first.stop()
            try #require(
                await eventually(within: .seconds(60)) { await holder(server) == "b" }, "\(second.logText)")
            #expect(await eventually { await second.isLeading(client) == true })
            first.goOn()
            // Its first word after the pause is that it does not lead.
            var word: Bool?
            _ = await eventually(within: .seconds(20)) {
                word = await first.isLeading(client)
                return word != nil
            }
            #expect(word == false)
            #expect(await eventually { first.logText.contains("leadership lost") }, "\(first.logText)")
            #expect(await second.isLeading(client) == true)

            // On SIGTERM the leader hands over and the other one goes on.
            second.terminate()
            try #require(await eventually(within: .seconds(20)) { !second.isRunning }, "\(second.logText)")
            #expect(
                second.exitStatus == 0 && second.logText.contains("leadership handed over"), "\(second.logText)")
            #expect(await eventually(within: .seconds(5)) { await first.isLeading(client) == true }, "\(first.logText)")
            #expect(await holder(server) == "a")
            first.terminate()
            #expect(await eventually(within: .seconds(20)) { !first.isRunning })
            #expect(await holder(server) == "")
        }
        try await client.shutdown()
    }
}
