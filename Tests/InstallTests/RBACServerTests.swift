import Foundation
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension OnRealServer {
    /// The recorded calls, sent to a real API server with RBAC on by the account that the manifests make.
    ///
    /// Authorisation comes before anything else that a server does with a request, so kinds that it does not serve, and
    /// objects that are not there, tell as much as others: 403 is a refusal, all else was let through. Writes are dry runs.
    @Suite(
        .enabled(
            if: APIServer.main != nil && Tool.areThere,
            "make test-install runs it on a throwaway API server (HEDDLE_TEST_KUBECONFIG)"))
    struct RBACServerTests {
        private static let namespace = "heddle-system"
        private let admin: APIServer

        init() throws { admin = try APIServer(kubeconfig: APIServer.main ?? "") }

        /// Installs the account and its roles; returns the server as the account sees it.
        private func account() async throws -> APIServer {
            let objects = try objects(inYAML: Tool.kubectl.run("kustomize", "manifests/rbac"))
            let token = try await admin.use { send in
                let space: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "heddle-system"]]
                let made = try await send(.POST, "/api/v1/namespaces", nil, space)
                try #require(made.isSuccess || made.status == 409, "\(made.message)")
                for object in objects {
                    let collection = try #require(Collection.path(of: object))
                    let answer = try await send(
                        .PATCH, "\(collection)/\(object.name)?fieldManager=heddle-test&force=true",
                        "application/apply-patch+yaml", object.json)
                    try #require(answer.isSuccess, "\(object.kind) \(object.name): \(answer.message)")
                }
                let path = "/api/v1/namespaces/\(Self.namespace)/serviceaccounts/heddle-operator/token"
                let request: JSONValue = [
                    "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                    "spec": ["expirationSeconds": 600],
                ]
                let answer = try await send(.POST, path, nil, request)
                return try #require(answer.body[path: "status", "token"]?.string, "\(answer.message)")
            }
            return admin.with(token: token)
        }

        /// Sends a harmless form of a call.
        private func status(
            of call: Permission, _ send: APIServer.Send
        ) async throws -> APIServer.Answer {
            let parts = call.resource.split(separator: "/").map(String.init)
            let resource = parts[0].split(separator: ".", maxSplits: 1).map(String.init)
            let group = resource.count > 1 ? resource[1] : ""
            var path = group.isEmpty ? "/api/v1" : "/apis/\(group)/\(Collection.version(of: group))"
            if call.scope != "cluster" { path += "/namespaces/\(call.scope == "own" ? Self.namespace : "default")" }
            path += "/\(resource[0])"
            let object = "\(path)/\(call.name ?? "heddle-probe")" + (parts.count > 1 ? "/\(parts[1])" : "")
            let selector = call.name.map { "fieldSelector=metadata.name%3D\($0)&" } ?? ""
            switch call.verb {
            case "get": return try await send(.GET, object, nil, nil)
            case "list": return try await send(.GET, "\(path)?\(selector)limit=1", nil, nil)
            case "watch": return try await send(.GET, "\(path)?\(selector)watch=1&timeoutSeconds=1", nil, nil)
            case "create": return try await send(.POST, "\(path)?dryRun=All", nil, [:])
            case "update": return try await send(.PUT, "\(object)?dryRun=All", nil, [:])
            case "patch": return try await send(.PATCH, "\(object)?dryRun=All", "application/merge-patch+json", [:])
            case "delete": return try await send(.DELETE, "\(object)?dryRun=All", nil, nil)
            default: throw UnreadableYAML(what: "verb \(call.verb)")
            }
        }

        @Test func `nothing that the operator calls is forbidden to its account`() async throws {
            let account = try await account()
            let calls = try Permission.recorded(in: "operator-calls.txt") + Permission.recorded(in: "other-calls.txt")
            try await account.use { send in
                // Roles take a moment to reach the authoriser.
                let probe = Permission(verb: "list", resource: "pods", scope: "any", name: nil)
                #expect(try await eventually { try await status(of: probe, send).status == 200 })
                for call in Set(calls).sorted() {
                    let answer = try await status(of: call, send)
                    #expect(answer.status != 403 && answer.status != 401, "\(call): \(answer.status) \(answer.message)")
                }
            }
        }

        /// What shows that the test above can fail.
        @Test(arguments: [
            "get secrets any *", "list secrets own *", "get secrets own heddle-other", "create pods any *",
            "patch pods any *", "delete namespaces cluster *", "update leases.coordination.k8s.io own heddle-other",
            "delete meshes.heddle.dev cluster *", "patch clusterroles.rbac.authorization.k8s.io cluster *",
            "patch mutatingwebhookconfigurations.admissionregistration.k8s.io cluster heddle-other",
            "create serviceaccounts/token own heddle-operator", "patch configmaps any heddle-other",
        ])
        func `all else is forbidden`(line: String) async throws {
            let account = try await account()
            let call = try #require(Permission.read(Substring(line)).first)
            try await account.use { send in
                let answer = try await status(of: call, send)
                #expect(answer.status == 403, "\(call): \(answer.status) \(answer.message)")
            }
        }
    }
}
