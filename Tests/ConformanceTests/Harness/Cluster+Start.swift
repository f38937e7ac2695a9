import AsyncHTTPClient
import Foundation
import KubeClient
import KubeCore
import KubeTesting
import Logging
import NIOHTTP1

extension Cluster {
    /// Starts or connects to the server, prepares what all tests share, and takes it away at the end.
    static func withCluster(_ body: @Sendable (Cluster) async throws -> Void) async throws {
        let environment = ProcessInfo.processInfo.environment
        if let kubeconfig = environment["HEDDLE_CONFORMANCE_KUBECONFIG"], !kubeconfig.isEmpty {
            let etcd = environment["HEDDLE_CONFORMANCE_ETCD"].flatMap { $0.isEmpty ? nil : $0 }
            var forget: (@Sendable (String) async throws -> Void)?
            if let etcd { forget = { version in try await EtcdCompaction(url: etcd).compact(upTo: version) } }
            try await connect(.real, kubeconfig: kubeconfig, forget: forget, body)
        } else {
            try await SandboxServer.run { kubeconfig, forget in
                try await connect(.sandbox, kubeconfig: kubeconfig, forget: forget, body)
            }
        }
    }

    private static func connect(
        _ kind: Kind, kubeconfig: String, forget: (@Sendable (String) async throws -> Void)?,
        _ body: @Sendable (Cluster) async throws -> Void
    ) async throws {
        let run = String(UInt32.random(in: .min ... .max), radix: 36)
        let configuration = try ClientConfiguration.load(kubeconfig: kubeconfig, environment: [:])
        let client = try Self.client(configuration)
        let administrator = Administrator(client: client, run: run)
        let token = try await administrator.makeToken()
        let http = try RawHTTP(server: configuration.server, authority: try authority(configuration), token: token)
        let version = try await http(path: "/version")
        let definitions = try await Definitions.make(run: run, client: client, http: http)
        let cluster = Cluster(
            kind: kind, client: client, http: http, kubeconfig: kubeconfig,
            minor: Self.minor(of: version),
            gitVersion: version["gitVersion"]?.string ?? "?", ledger: Ledger(), run: run, definitions: definitions,
            hasControllers: ProcessInfo.processInfo.environment["HEDDLE_CONFORMANCE_CONTROLLERS"] != "no",
            past: try await administrator.makePast(), forget: forget)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(cluster))
        } catch {
            outcome = .failure(error)
        }
        try? await definitions.remove()
        await administrator.cleanUp()
        print(cluster.ledger.report(on: kind == .sandbox ? "the sandbox" : cluster.gitVersion))
        await client.shutdown()
        try? await http.client.shutdown()
        try outcome.get()
    }

    /// A client that says soon what the server answered.
    static func client(_ configuration: ClientConfiguration) throws -> KubeClient {
        var limits = KubeClient.Limits()
        // One more when a kept connection turns out to be closed.
        limits.attempts = 2
        limits.requestsPerSecond = nil
        limits.requestTimeout = .seconds(60)
        var logger = Logger(label: "conformance")
        logger.logLevel = .error
        return try KubeClient(
            configuration: configuration, program: "heddle-conformance", limits: limits, logger: logger)
    }

    /// The minor version that a server's `/version` says.
    static func minor(of version: JSONValue) -> Int {
        Int((version["minor"]?.string ?? "").prefix(while: \.isNumber)) ?? 0
    }

    static func authority(_ configuration: ClientConfiguration) throws -> Data? {
        if let file = configuration.files.authority { return try Data(contentsOf: URL(filePath: file)) }
        return configuration.certificateAuthority
    }
}

extension RawHTTP {
    fileprivate func callAsFunction(path: String) async throws -> JSONValue { try await self(.GET, path).json }
}

/// What the suite needs outside of the tests' namespaces.
private struct Administrator: Sendable {
    static let namespace = GroupVersionResource.namespaces
    let client: KubeClient
    let run: String

    var home: String { "heddle-conformance-\(run)" }
    private var binding: GroupVersionResource {
        GroupVersionResource(
            group: "rbac.authorization.k8s.io", resource: "clusterrolebindings", kind: "ClusterRoleBinding",
            isNamespaced: false)
    }

    /// A token with all rights, for requests that go past `KubeClient`.
    func makeToken() async throws -> String {
        var namespace = KubeObject(.namespaces, name: home)
        namespace.labels = ["heddle.dev/conformance": run]
        _ = try await client.create(.namespaces, namespace)
        _ = try await client.create(
            .serviceAccounts, KubeObject(.serviceAccounts, namespace: home, name: "administrator"))
        var binding = KubeObject(self.binding, name: home)
        binding.json["roleRef"] = [
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin",
        ]
        binding.json["subjects"] = [
            ["kind": "ServiceAccount", "name": "administrator", "namespace": .string(home)]
        ]
        _ = try await client.create(self.binding, binding)
        return try await client.requestToken(namespace: home, serviceAccount: "administrator").token
    }

    func makePast() async throws -> Past {
        for name in ["a", "b", "c"] {
            _ = try await client.create(.configMaps, KubeObject(.configMaps, namespace: home, name: name))
        }
        let page = try await client.perform(
            APIRequest(.list, .configMaps, namespace: home, query: ["limit": "1"]))
        let later = try await client.create(.configMaps, KubeObject(.configMaps, namespace: home, name: "d"))
        return Past(
            namespace: home, continueToken: page[path: "metadata", "continue"]?.string ?? "",
            version: later.resourceVersion)
    }

    func cleanUp() async {
        try? await client.delete(binding, name: home)
        let left = try? await client.list(
            .namespaces, labels: LabelSelector(matchLabels: ["heddle.dev/conformance": run])
        ).items
        for namespace in left ?? [] where !namespace.isBeingDeleted {
            try? await client.delete(.namespaces, name: namespace.name)
        }
    }
}
