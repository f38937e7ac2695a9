import Foundation
import HeddleAPI
import KubeCore
import NIOHTTP1
import Testing

extension OnRealServer {
    /// Every object of every overlay, and every sample, as a server-side dry run: what the API server says of it before it would
    /// store it.
    @Suite(
        .enabled(
            if: APIServer.main != nil && Tool.areThere,
            "make test-install runs it on a throwaway API server (HEDDLE_TEST_KUBECONFIG)"))
    struct DryRunTests {
        /// Groups that are somebody else's and need not be there.
        private static let optional: Set<String> = ["monitoring.coreos.com", "cert-manager.io"]

        @Test func `a real API server takes every object of the manifests`() async throws {
            let main = try APIServer(kubeconfig: APIServer.main ?? "")
            var unserved: Set<String> = []
            var taken = 0
            let folders = ["base", "overlays/hardened", "overlays/monitoring", "overlays/cert-manager"]
            try await main.use { send in
                let space: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "heddle-system"]]
                let made = try await send(.POST, "/api/v1/namespaces", nil, space)
                try #require(made.isSuccess || made.status == 409, "\(made.message)")
                for folder in folders {
                    for object in try objects(inYAML: Tool.kubectl.run("kustomize", "manifests/\(folder)")) {
                        // Definitions and our own kinds: DefinitionServerTests.
                        if object.kind == "CustomResourceDefinition" { continue }
                        let path = try #require(Collection.path(of: object), "\(object.kind)")
                        let answer = try await send(
                            .POST, path + "?dryRun=All&fieldValidation=Strict", nil, object.json)
                        let name = "\(object.kind) \(object.name)"
                        switch answer.status {
                        case 201, 409: taken += 1
                        case 404 where try await !isServed(object, send):
                            unserved.insert("\(object.apiVersion) \(object.kind)")
                        default: Issue.record("\(folder): \(name): \(answer.status) \(answer.message)")
                        }
                    }
                }
            }
            #expect(taken >= 12)
            let needed = unserved.filter { kind in !Self.optional.contains { kind.hasPrefix($0) } }
            // An old server does not know policy/v1; a supported one (1.29) does.
            #expect(needed.isSubset(of: ["policy/v1 PodDisruptionBudget"]), "not served: \(needed)")
        }

        private func isServed(
            _ object: KubeObject, _ send: APIServer.Send
        ) async throws -> Bool {
            guard object.apiVersion.contains("/") else { return true }
            let group = try await send(.GET, "/apis/\(object.apiVersion)", nil, nil)
            return (group.body["resources"]?.array ?? []).contains { $0["kind"]?.string == object.kind }
        }

        @Test func `a real API server takes every sample`() async throws {
            let server = try APIServer(kubeconfig: APIServer.definitions ?? "")
            try await server.use { send in
                for definition in CustomResourceDefinition.heddle {
                    let path = GroupVersionResource.customResourceDefinitions.path(
                        name: definition.resource.description)
                    let answer = try await send(
                        .PATCH, path + "?fieldManager=heddle-test&force=true", "application/apply-patch+yaml",
                        definition.json)
                    try #require(answer.isSuccess, "\(definition.resource.kind): \(answer.message)")
                }
                var kinds: Set<String> = []
                for var object in try objects(inYAML: Tool.kubectl.run("kustomize", "manifests/samples")) {
                    if !object.namespace.isEmpty { object.json[path: "metadata", "namespace"] = "default" }
                    let path = try #require(Collection.path(of: object), "\(object.kind)")
                    let answer = try await send(.POST, path + "?dryRun=All&fieldValidation=Strict", nil, object.json)
                    #expect(answer.status == 201, "\(object.kind) \(object.name): \(answer.message)")
                    kinds.insert(object.kind)
                }
                #expect(kinds.count == 5, "one sample of each kind")
            }
        }
    }
}
