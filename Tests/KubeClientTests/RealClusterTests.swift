import FoundationEssentials
import KubeCore
import Testing

@testable import KubeClient

@Suite(.enabled(if: RealCluster.isThere), .timeLimit(.minutes(5)))
struct RealClusterTests {
    @Test func `discovery knows the kinds and their subresources`() async throws {
        try await RealCluster.using { client, _ in
            let version = try await client.serverVersion()
            let catalog = try await client.discover()
            print("server \(version): \(catalog.resources.count) resources, failures \(catalog.failures)")
            #expect(version.major == 1 && catalog.serves(.pods) && catalog.serves(.deployments))
            let deployments = try #require(catalog.find("deploy").first { $0.resource.version == "v1" })
            #expect(Set(deployments.subresources) == ["scale", "status"] && deployments.resource.isNamespaced)
            #expect(catalog.find("po").first?.resource.kind == "Pod")
            #expect(catalog.find("pods").first?.subresources.contains("eviction") == true)
        }
    }

    @Test func `a plugin's token, issued by TokenRequest, is that service account's`() async throws {
        try await RealCluster.using { client, namespace in
            let token = try await client.requestToken(
                namespace: namespace, serviceAccount: "default", expirationSeconds: 600)
            #expect((500...700).contains(token.expires.timeIntervalSinceNow))
            let verdict = try await client.review(token: token.token)
            guard case .authenticated(let identity) = verdict else {
                Issue.record("\(verdict)")
                return
            }
            #expect(identity.username == "system:serviceaccount:\(namespace):default")
            #expect(try await client.review(token: token.token, audiences: ["other"]) != verdict)
            #expect(try await client.review(token: "x" + token.token) != verdict)

            let plugin = """
                #!/bin/sh
                echo run >> "$DIR/runs"
                echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
                echo '"status":{"token":"\(token.token)","expirationTimestamp":"\(KubeTime.format(token.expires))"}}'
                """
            try await withFiles(["plugin": plugin]) { directory in
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory + "/plugin")
                var configuration = client.configuration
                configuration.clientCertificate = nil
                configuration.files = .init()
                configuration.credential = .plugin(
                    ExecPlugin(
                        origin: "test", version: .v1, command: directory + "/plugin", arguments: [],
                        environment: ["PATH": "/usr/bin:/bin", "DIR": directory], interactiveMode: .never))
                try await withClient(of: configuration) { account in
                    let question = AccessQuestion.resource(verb: "list", .secrets, namespace: namespace)
                    #expect(try await !account.reviewAccess(question).isAllowed)
                    let error = try await failure { _ = try await account.list(.secrets, namespace: namespace) }
                    #expect(error.isForbidden && error.message.contains("system:serviceaccount:\(namespace):default"))
                }
                let runs = try Data(contentsOf: URL(filePath: directory + "/runs"))
                #expect(runs == Data("run\n".utf8))
            }
            let question = AccessQuestion.resource(verb: "list", .secrets, namespace: namespace)
            #expect(try await client.reviewAccess(question).isAllowed)
            #expect(try await !client.reviewAccess(user: identity.username, question).isAllowed)
        }
    }

    @Test func `one who acts as another is that other`() async throws {
        try await RealCluster.using { client, namespace in
            var configuration = client.configuration
            configuration.impersonation = .init(user: "jane", groups: ["g"], extra: ["example.com/x": ["y"]])
            try await withClient(of: configuration) { jane in
                let error = try await failure { _ = try await jane.list(.pods, namespace: namespace) }
                #expect(error.isForbidden && error.message.contains(#""jane""#))
            }
        }
    }

    @Test func `an eviction is blocked by the budget, and goes through without it`() async throws {
        try await RealCluster.using { client, namespace in
            let isOld = try await client.serverVersion().minor < 22
            let version = isOld ? "v1beta1" : "v1"
            var budgets = GroupVersionResource.podDisruptionBudgets
            budgets.version = version
            func evict(_ pod: String, uid: String? = nil) async throws -> EvictionOutcome {
                try await client.evict(
                    apiVersion: "policy/\(version)", namespace: namespace, pod: pod, uid: uid,
                    gracePeriodSeconds: 0, isDryRun: false)
            }
            var pod = try await client.create(.pods, RealCluster.pod(namespace, "a"))
            var budget = KubeObject(budgets, namespace: namespace, name: "one")
            budget.json["spec"] = ["minAvailable": 1, "selector": ["matchLabels": ["app": "web"]]]
            _ = try await client.create(budgets, budget)
            pod.json["status"] = [
                "phase": "Running", "conditions": [["type": "Ready", "status": "True"]],
            ]
            pod = try await client.patch(
                .pods, namespace: namespace, name: "a", subresource: "status", type: .strategic,
                ["status": pod.json["status"] ?? [:]])
            try await RealCluster.until {
                let status = try await client.get(budgets, namespace: namespace, name: "one").json["status"]
                return status?["currentHealthy"] == 1 && status?["disruptionsAllowed"] == 0
            }
            let outcome = try await evict("a")
            guard case .blocked(let message, _) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            print("blocked: \(message)")
            #expect(message.contains("disruption budget"))
            try await client.delete(budgets, namespace: namespace, name: "one")
            #expect(try await evict("a", uid: "other") == .gone)
            #expect(try await evict("a", uid: pod.json[path: "metadata", "uid"]?.string) == .evicted)
            #expect(try await evict("b") == .gone)
        }
    }

    @Test func `an apply tells the owners of what it wants, and takes it when forced`() async throws {
        try await RealCluster.using { client, namespace in
            _ = try await client.apply(
                .configMaps, RealCluster.configMap(namespace, "a", ["k": "1", "own": "1"]), fieldManager: "first")
            _ = try await client.patch(
                .configMaps, namespace: namespace, name: "a", fieldManager: "patcher", ["data": ["p": "1"]])
            let wanted = RealCluster.configMap(namespace, "a", ["k": "2", "p": "2"])
            let error = try await failure { try await client.apply(.configMaps, wanted, fieldManager: "second") }
            print("conflicts: \(error.fieldConflicts)")
            #expect(error.isConflict && error.fieldConflicts.map(\.field).sorted() == [".data.k", ".data.p"])
            #expect(error.fieldConflicts.first { $0.field == ".data.k" }?.manager == "first")
            #expect(error.fieldConflicts.first { $0.field == ".data.p" }?.manager == "patcher")
            #expect(error.fieldConflicts.first { $0.field == ".data.p" }?.apiVersion == "v1")
            let dry = try await client.apply(
                .configMaps, wanted, fieldManager: "second", force: true, options: WriteOptions(isDryRun: true))
            #expect(dry.json[path: "data", "k"] == "2")
            #expect(try await client.get(.configMaps, namespace: namespace, name: "a").json[path: "data", "k"] == "1")
            let forced = try await client.apply(.configMaps, wanted, fieldManager: "second", force: true)
            #expect(forced.json["data"] == ["k": "2", "p": "2", "own": "1"])
        }
    }

    @Test func `patches, scale and conditional deletes`() async throws {
        try await RealCluster.using { client, namespace in
            var deployment = KubeObject(.deployments, namespace: namespace, name: "web")
            deployment.json["spec"] = [
                "replicas": 1, "selector": ["matchLabels": ["app": "web"]],
                "template": [
                    "metadata": ["labels": ["app": "web"]],
                    "spec": ["containers": [["name": "web", "image": "web:1"]]],
                ],
            ]
            let made = try await client.create(.deployments, deployment)
            let scaled = try await client.setScale(.deployments, namespace: namespace, name: "web", replicas: 2)
            #expect(scaled.desired == 2 && scaled.selector == "app=web")
            let stale = try await failure {
                try await client.setScale(
                    .deployments, namespace: namespace, name: "web", replicas: 3,
                    resourceVersion: made.resourceVersion)
            }
            #expect(stale.isConflict)
            let added: JSONValue = ["op": "add", "path": "/metadata/labels", "value": ["x": "y"]]
            _ = try await client.patch(.deployments, namespace: namespace, name: "web", type: .json, [added])
            let patched = try await client.patch(
                .deployments, namespace: namespace, name: "web", type: .strategic,
                ["spec": ["template": ["spec": ["containers": [["name": "side", "image": "side:1"]]]]]])
            #expect(patched.json[path: "metadata", "labels"] == ["x": "y"])
            #expect(patched.json[path: "spec", "template", "spec", "containers"]?.array?.count == 2)

            let other = try await failure {
                try await client.delete(.deployments, namespace: namespace, name: "web", uid: "other")
            }
            #expect(other.isConflict)
            let old = try await failure {
                try await client.delete(
                    .deployments, namespace: namespace, name: "web", resourceVersion: made.resourceVersion)
            }
            #expect(old.isConflict)
            try await client.delete(
                .deployments, namespace: namespace, name: "web", uid: made.json[path: "metadata", "uid"]?.string,
                propagation: "Foreground")
            try await RealCluster.until {
                try await client.find(.deployments, namespace: namespace, name: "web") == nil
            }
        }
    }

    @Test func `a container without a node has no log, and the server says so`() async throws {
        try await RealCluster.using { client, namespace in
            _ = try await client.create(.pods, RealCluster.pod(namespace, "a"))
            do {
                var lines = try await client.logs(PodLogRequest(namespace: namespace, pod: "a")).makeAsyncIterator()
                #expect(try await lines.next() == nil)
            } catch let error as APIError {
                print("log of a pending pod: \(error)")
                #expect(error.code >= 400)
            }
        }
    }
}
