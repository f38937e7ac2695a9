import FoundationEssentials
import KubeCore
import Testing

@testable import KubeClient

/// A real API server, where one is at hand: `HEDDLE_TEST_KUBECONFIG` names a kubeconfig whose user may do anything.
enum RealCluster {
    static let environment = ProcessInfo.processInfo.environment
    static let kubeconfig = environment["HEDDLE_TEST_KUBECONFIG"]
    /// Of a server with streaming lists, at least for definitions; the same one when it is not set.
    static let newerKubeconfig = environment["HEDDLE_TEST_NEWER_KUBECONFIG"] ?? kubeconfig
    static var isThere: Bool { kubeconfig != nil }

    static func configuration(_ file: String? = kubeconfig) throws -> ClientConfiguration {
        try ClientConfiguration.load(kubeconfig: file, environment: ["PATH": "/usr/bin:/bin"])
    }

    /// A client and a namespace of its own, which goes at the end.
    static func using(_ body: (KubeClient, _ namespace: String) async throws -> Void) async throws {
        try await withClient(of: try configuration()) { client in
            let name = "heddle-client-\(UInt32.random(in: 0..<UInt32.max))"
            _ = try await client.create(.namespaces, KubeObject(.namespaces, name: name))
            do {
                // Pods are not admitted before it is there.
                try await until { try await client.find(.serviceAccounts, namespace: name, name: "default") != nil }
                try await body(client, name)
            } catch {
                try? await client.delete(.namespaces, name: name)
                throw error
            }
            try await client.delete(.namespaces, name: name)
        }
    }

    static func until(_ condition: () async throws -> Bool) async throws {
        for _ in 0..<600 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("it did not come about in time")
    }

    static func pod(_ namespace: String, _ name: String) -> KubeObject {
        var pod = KubeObject(.pods, namespace: namespace, name: name)
        pod.json["metadata"]?["labels"] = ["app": "web"]
        pod.json["spec"] = [
            "containers": [["name": "web", "image": "web:1"]], "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
        ]
        return pod
    }

    static func configMap(_ namespace: String, _ name: String, _ data: JSONValue) -> KubeObject {
        var map = KubeObject(.configMaps, namespace: namespace, name: name)
        map.json["data"] = data
        return map
    }
}
