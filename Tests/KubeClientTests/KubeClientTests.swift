import FoundationEssentials
import KubeCore
import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import Testing
import X509

@testable import KubeClient

@Suite(.timeLimit(.minutes(1)))
struct KubeClientTests {
    // MARK: Requests

    @Test func `a request says who asks and for what`() async throws {
        try await withClient(credential: .token("abc")) { _, _ in
            .ok(#"{"metadata":{"name":"a"}}"#)
        } during: { client, server in
            let object = try await client.get(.deployments, namespace: "shop", name: "a")
            #expect(object.name == "a")
            let seen = try #require(server.seen.first)
            #expect(seen.line == "GET /apis/apps/v1/namespaces/shop/deployments/a")
            #expect(
                seen.headers["user-agent"] == ["heddle-operator/1.2"] && seen.headers["authorization"] == ["Bearer abc"]
            )
        }
    }

    @Test func `queries are encoded and an applied object is JSON under the type of apply`() async throws {
        try await withClient { _, _ in
            .ok()
        } during: { client, server in
            _ = try await client.apply(
                .pods, KubeObject(.pods, namespace: "shop", name: "a"), fieldManager: "heddle canary")
            let seen = try #require(server.seen.first)
            #expect(seen.line == "PATCH /api/v1/namespaces/shop/pods/a?fieldManager=heddle%20canary&force=false")
            #expect(seen.headers["content-type"] == ["application/apply-patch+yaml"])
            #expect(try JSONValue.parse(seen.body)["kind"] == "Pod")
        }
    }

    @Test func `a list follows its pages and gives items their kind`() async throws {
        try await withClient { request, _ in
            request.uri.contains("continue=next")
                ? .ok(#"{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"b"}}]}"#)
                : .ok(#"{"metadata":{"resourceVersion":"7","continue":"next"},"items":[{"metadata":{"name":"a"}}]}"#)
        } during: { client, server in
            let list = try await client.list(
                .pods, namespace: "shop", labels: LabelSelector(matchLabels: ["app": "web"]))
            #expect(list.items.map(\.name) == ["a", "b"] && list.items.allSatisfy { $0.kind == "Pod" })
            #expect(list.resourceVersion == "7" && server.seen.count == 2)
            #expect(server.seen.allSatisfy { $0.uri.contains("labelSelector=app%3Dweb") })
        }
    }

    @Test func `a refusal carries the server's reason and causes`() async throws {
        let body = #"""
            {"kind":"Status","code":422,"reason":"Invalid","message":"bad",
             "details":{"causes":[{"field":"spec.replicas","message":"must be positive"}]}}
            """#
        try await withClient { _, _ in
            .json(422, body)
        } during: { client, _ in
            await #expect(
                throws: APIError(
                    code: 422, reason: "Invalid", message: "bad",
                    causes: [FieldError(path: "spec.replicas", message: "must be positive")])
            ) { try await client.create(.pods, KubeObject(.pods, namespace: "shop", name: "a")) }
        }
    }

    @Test func `an answer that is not Kubernetes' is still an error of one line`() async throws {
        try await withClient { _, _ in
            .json(403, "<html>no</html>")
        } during: { client, _ in
            await #expect { _ = try await client.get(.pods, namespace: "shop", name: "a") } throws: { error in
                (error as? APIError)?.code == 403 && "\(error)".contains("get /api/v1/namespaces/shop/pods/a: <html>")
            }
        }
    }

    // MARK: Retries

    @Test(arguments: [Answer.drop, .status(503, "ServiceUnavailable"), .status(500, "InternalError")])
    func `a read goes through after faults`(_ fault: Answer) async throws {
        try await withClient { _, number in
            number < 3 ? fault : .ok()
        } during: { client, server in
            _ = try await client.get(.pods, namespace: "shop", name: "a")
            #expect(server.seen.count == 3)
        }
    }

    @Test(arguments: [Answer.drop, .status(503, "ServiceUnavailable")])
    func `a create is sent once`(_ fault: Answer) async throws {
        try await withClient { _, _ in
            fault
        } during: { client, server in
            await #expect {
                _ = try await client.create(.pods, KubeObject(.pods, namespace: "shop", name: "a"))
            } throws: {
                ($0 as? APIError)?.isRetryable == true
            }
            #expect(server.seen.count == 1)
        }
    }

    @Test func `attempts are bounded`() async throws {
        try await withClient { _, _ in
            .status(500, "InternalError")
        } during: { client, server in
            await #expect { _ = try await client.get(.pods, name: "a") } throws: { ($0 as? APIError)?.code == 500 }
            #expect(server.seen.count == 4)
        }
    }

    @Test func `too many requests waits as told, also for a create`() async throws {
        try await withClient { _, number in
            number == 1 ? .status(429, "TooManyRequests", headers: ["retry-after": "1"]) : .ok()
        } during: { client, server in
            let start = ContinuousClock.now
            _ = try await client.create(.pods, KubeObject(.pods, namespace: "shop", name: "a"))
            #expect(ContinuousClock.now - start >= .seconds(1) && server.seen.count == 2)
        }
    }

    @Test func `a wait beyond the deadline, and an eviction that a budget forbids, are the caller's`() async throws {
        try await withClient { _, _ in
            .status(429, "TooManyRequests", headers: ["retry-after": "60"])
        } during: { client, server in
            await #expect { _ = try await client.get(.pods, name: "a") } throws: {
                ($0 as? APIError)?.retryAfterSeconds == 60
            }
            #expect(server.seen.count == 1)
        }
        try await withClient { _, _ in
            .status(429, "TooManyRequests")
        } during: { client, server in
            let eviction = APIRequest(.create, .pods, namespace: "shop", name: "a", subresource: "eviction", body: [:])
            await #expect { _ = try await client.perform(eviction) } throws: { ($0 as? APIError)?.code == 429 }
            #expect(server.seen.count == 1)
        }
    }

    @Test func `no answer within the deadline is an error of code 0`() async throws {
        var limits = KubeClient.Limits.forTests
        limits.requestTimeout = .milliseconds(200)
        try await withClient(limits: limits) { _, _ in
            .silence
        } during: { client, _ in
            await #expect { _ = try await client.get(.pods, name: "a") } throws: {
                ($0 as? APIError)?.reason == "Timeout"
            }
        }
    }

    @Test func `a server that is not there is an error of code 0, soon`() async throws {
        let client = try KubeClient(
            configuration: ClientConfiguration(server: "http://127.0.0.1:1"), limits: .forTests, logger: .quiet)
        await #expect { _ = try await client.get(.pods, name: "a") } throws: {
            ($0 as? APIError)?.reason == "Unreachable"
        }
        await client.shutdown()
    }

    @Test func `cancelling ends a request at once`() async throws {
        try await withClient { _, _ in
            .silence
        } during: { client, server in
            let request = Task { try await client.get(.pods, name: "a") }
            while server.seen.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            request.cancel()
            await #expect { _ = try await request.value } throws: { ($0 as? APIError)?.reason == "Cancelled" }
        }
    }

    // MARK: Credentials

    @Test func `a token file is read again when the server refuses the token`() async throws {
        try await withFiles(["token": "old\n"]) { directory in
            try await withClient(
                credential: .tokenFile(directory + "/token")
            ) { request, _ in
                request.headers["authorization"] == ["Bearer new"] ? .ok() : .status(401, "Unauthorized")
            } during: { client, server in
                await #expect { _ = try await client.get(.pods, name: "a") } throws: { ($0 as? APIError)?.code == 401 }
                #expect(server.seen.count == 2)
                try Data("new".utf8).write(to: URL(filePath: directory + "/token"))
                _ = try await client.get(.pods, name: "a")
                #expect(server.seen.last?.headers["authorization"] == ["Bearer new"])
            }
        }
    }

    @Test func `a token file that is gone for a moment costs nothing, an empty one neither`() async throws {
        try await withFiles(["token": "one"]) { directory in
            let source = IdentitySource(.tokenFile(directory + "/token"), fileLifetime: .zero)
            #expect(try await source.current().authorization == "Bearer one")
            try FileManager.default.removeItem(atPath: directory + "/token")
            #expect(try await source.current().authorization == "Bearer one")
            try Data("\n".utf8).write(to: URL(filePath: directory + "/token"))
            #expect(try await source.current().authorization == "Bearer one")
            try Data("two\n".utf8).write(to: URL(filePath: directory + "/token"))
            let second = try await source.current()
            #expect(second.authorization == "Bearer two")
            // Once refused, it is not shown again.
            #expect(source.refuse(second))
            try FileManager.default.removeItem(atPath: directory + "/token")
            await #expect(throws: APIError.self) { _ = try await source.current() }
        }
    }

    @Test func `whom one acts as goes along with every request`() async throws {
        let impersonation = ClientConfiguration.Impersonation(
            user: "jane", uid: "7", groups: ["a", "b"], extra: ["example.com/Scopes": ["view", "edit"]])
        try await withClient(impersonation: impersonation) { _, _ in
            .ok()
        } during: { client, server in
            _ = try await client.get(.pods, name: "a")
            let headers = try #require(server.seen.first?.headers)
            #expect(headers["impersonate-user"] == ["jane"] && headers["impersonate-uid"] == ["7"])
            #expect(headers["impersonate-group"] == ["a", "b"])
            #expect(headers["impersonate-extra-example.com%2Fscopes"] == ["view", "edit"])
        }
    }
}
