import Foundation
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension OnRealServer {
    /// Installed without a running operator, and removed again, on a real API server with its controllers: nothing of Heddle's
    /// may touch workloads that asked for nothing, and nothing may stay in their way.
    @Suite(
        .enabled(
            if: APIServer.main != nil && Tool.areThere,
            "make test-install runs it on a throwaway API server (HEDDLE_TEST_KUBECONFIG)"))
    struct UninstallServerTests {
        private static let namespace = "heddle-uninstall-test"
        private static let deployment = "/apis/apps/v1/namespaces/heddle-uninstall-test/deployments/web"
        private let server: APIServer

        init() throws { server = try APIServer(kubeconfig: APIServer.main ?? "") }

        private func ensure(_ send: APIServer.Send, _ path: String, _ object: JSONValue) async throws {
            let answer = try await send(.POST, path, nil, object)
            try #require(answer.isSuccess || answer.status == 409, "\(path): \(answer.message)")
        }

        /// The workload's objects as they are, without what controllers note on them by themselves.
        private func workload(_ send: APIServer.Send) async throws -> [String: JSONValue] {
            var found: [String: JSONValue] = [:]
            for collection in [
                "/apis/apps/v1/namespaces/\(Self.namespace)/deployments",
                "/apis/apps/v1/namespaces/\(Self.namespace)/replicasets", "/api/v1/namespaces/\(Self.namespace)/pods",
            ] {
                for item in try await send(.GET, collection, nil, nil).body["items"]?.array ?? [] {
                    let object = KubeObject(json: item)
                    found[object.uid] = [
                        "collection": .string(collection),
                        "name": .string(object.name), "spec": object.spec, "generation": .int(object.generation),
                        "labels": item[path: "metadata", "labels"] ?? [:],
                    ]
                }
            }
            return found
        }

        private func scale(_ send: APIServer.Send, to replicas: Int) async throws -> Bool {
            let answer = try await send(
                .PATCH, Self.deployment + "/scale", "application/merge-patch+json",
                ["spec": ["replicas": .int(replicas)]])
            try #require(answer.isSuccess, "\(answer.message)")
            return try await eventually {
                try await send(.GET, Self.deployment, nil, nil).body[path: "status", "replicas"]?.int == replicas
            }
        }

        @Test func `workloads are left as they are by installing, by a dead operator and by removing`() async throws {
            let manifests = try objects(inYAML: Tool.kubectl.run("kustomize", "manifests/base")).filter {
                // The definitions stay (DefinitionServerTests has them); the Deployment would have nothing to run.
                $0.kind != "CustomResourceDefinition" && $0.kind != "Deployment"
            }
            try await server.use { send in
                for name in [Self.namespace, "heddle-system"] {
                    try await ensure(
                        send, "/api/v1/namespaces",
                        ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(name)]])
                }
                let accounts = "/api/v1/namespaces/\(Self.namespace)/serviceaccounts/default"
                #expect(try await eventually { try await send(.GET, accounts, nil, nil).isSuccess })
                try await ensure(
                    send, "/apis/apps/v1/namespaces/\(Self.namespace)/deployments",
                    [
                        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": ["name": "web"],
                        "spec": [
                            "replicas": 2, "selector": ["matchLabels": ["app": "web"]],
                            "template": [
                                "metadata": ["labels": ["app": "web"]],
                                "spec": ["containers": [["name": "web", "image": "web:1"]]],
                            ],
                        ],
                    ])
                #expect(try await scale(send, to: 2))
                let before = try await workload(send)
                #expect(before.count >= 4, "a Deployment, its ReplicaSet, two pods")

                for object in manifests where object.kind != "Namespace" {
                    let path = try #require(Collection.path(of: object))
                    let answer = try await send(.POST, path, nil, object.json)
                    let isUnserved = answer.status == 404 && object.kind == "PodDisruptionBudget"
                    #expect(answer.isSuccess || answer.status == 409 || isUnserved, "\(object.kind): \(answer.message)")
                }
                #expect(try await workload(send) == before, "installing changes no workload")
                // No operator answers: who asked for nothing is not held up, who asks for a sidecar gets none unnoticed.
                #expect(try await scale(send, to: 3), "a dead operator holds up nobody who asked for nothing")
                let refused = try await send(
                    .POST, "/api/v1/namespaces/\(Self.namespace)/pods", nil,
                    [
                        "apiVersion": "v1", "kind": "Pod",
                        "metadata": ["name": "asks", "labels": ["heddle.dev/inject": "true"]],
                        "spec": ["containers": [["name": "web", "image": "web:1"]]],
                    ])
                #expect(refused.status == 500 && refused.message.contains("injector.heddle.dev"), "\(refused.message)")
                #expect(try await scale(send, to: 2))

                for object in manifests.reversed() where object.kind != "Namespace" {
                    let path = try #require(Collection.path(of: object))
                    let answer = try await send(.DELETE, "\(path)/\(object.name)", nil, nil)
                    #expect(answer.isSuccess || answer.status == 404, "\(object.kind): \(answer.message)")
                }
                let after = try await workload(send)
                // Scaling took some pods and made others; Deployment and ReplicaSet are the ones that were there.
                for (uid, object) in before where object["collection"]?.string?.hasSuffix("/pods") == false {
                    #expect(after[uid]?["labels"] == object["labels"], "\(object["name"]?.string ?? "")")
                    #expect(after[uid]?[path: "spec", "template"] == object[path: "spec", "template"])
                }
                #expect(try await scale(send, to: 4), "nothing is left in the way of new pods")
                _ = try await send(.DELETE, "/api/v1/namespaces/\(Self.namespace)", nil, nil)
            }
        }
    }
}
