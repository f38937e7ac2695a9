import Foundation
import KubeCore
import Logging
import ServiceLifecycle

@testable import KubeSandbox

/// The sandbox's API server over HTTPS on the loopback, with its controllers and without a node.
enum SandboxServer {
    static func run(
        _ body:
            @Sendable (_ kubeconfig: String, _ forget: @escaping @Sendable (String) async throws -> Void)
            async throws -> Void
    ) async throws {
        var logger = Logger(label: "conformance.sandbox")
        logger.logLevel = .critical
        var settings = APIServer.Configuration()
        settings.authorization = .rbac
        let api = APIServer(configuration: settings, logger: logger)
        let identity = try ServingIdentity.make()
        var configuration = APIServerHTTP.Configuration(identity: identity)
        configuration.port = 0
        let front = APIServerHTTP(server: api, configuration: configuration, logger: logger)
        let services = ServiceGroup(configuration: .init(services: [.init(service: front)], logger: logger))
        let cache = ClusterCache(api: api, resources: ControllerSet.resources)
        let controllers = ControllerSet(
            api: api, cache: cache, nodeName: "node", rootCertificate: identity.authority, logger: logger)
        let directory = FileManager.default.temporaryDirectory.appending(
            path: "heddle-conformance-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }

        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            group.addTask { await cache.run() }
            group.addTask { await controllers.run() }
            let kubeconfig = directory.appending(path: "kubeconfig")
            try Data(await front.kubeconfig().utf8).write(to: kubeconfig)
            await cache.synced(ControllerSet.resources)
            let outcome: Result<Void, any Error>
            do {
                outcome = .success(try await body(kubeconfig.path) { version in api.forget(upTo: Int(version) ?? 0) })
            } catch {
                outcome = .failure(error)
            }
            await services.triggerGracefulShutdown()
            group.cancelAll()
            try outcome.get()
        }
    }
}
