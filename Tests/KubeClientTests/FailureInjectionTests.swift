import FoundationEssentials
import KubeCore
import Logging
import MetricsTestKit
import NIOCore
import NIOPosix
import Testing

@testable import KubeClient

@Suite(.timeLimit(.minutes(1)))
struct FailureInjectionTests {
    let pod = KubeObject(.pods, namespace: "shop", name: "a")

    @Test func `an answer that breaks off is asked for again when that is harmless`() async throws {
        try await withClient { _, number in
            number < 3 ? .cut(#"{"metadata":"#, promisedBytes: 100) : .ok(#"{"metadata":{"name":"a"}}"#)
        } during: { client, server in
            let pod = try await client.get(.pods, namespace: "shop", name: "a")
            #expect(pod.name == "a" && server.seen.count == 3)
        }
    }

    @Test(arguments: [Answer.cut("{", promisedBytes: 100), .drop])
    func `a create whose answer is lost is not sent again, and does not claim to be without effect`(_ fault: Answer)
        async throws
    {
        try await withClient { _, _ in
            fault
        } during: { client, server in
            let error = try await failure { _ = try await client.create(.pods, pod) }
            #expect(error.code == 0 && !error.isUnprocessed && server.seen.count == 1)
        }
    }

    @Test func `a body cut at a place where its JSON is whole is still a broken answer`() async throws {
        var limits = KubeClient.Limits.forTests
        limits.attempts = 1
        try await withClient(limits: limits) { _, _ in
            .cut("{}", promisedBytes: 3)
        } during: { client, _ in
            let error = try await failure { _ = try await client.get(.pods, namespace: "shop", name: "a") }
            #expect(error.reason == "Interrupted")
        }
    }

    @Test func `a create that reached no server is tried again, as it had no effect`() async throws {
        let metrics = TestMetrics()
        // A port that was just free, so nobody listens.
        let socket = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(socket.localAddress?.port)
        try await socket.close()
        let configuration = ClientConfiguration(server: "http://127.0.0.1:\(port)")
        try await withClient(of: configuration, metrics: metrics) { client in
            let error = try await failure { _ = try await client.create(.pods, pod) }
            #expect(error.reason == "Unreachable" && error.isUnprocessed)
        }
        let labels = [("verb", "create"), ("resource", "pods")]
        #expect(metrics.counterTotal(label: "heddle_kube_request_retries_total", dimensions: labels) == 3)
        #expect(
            metrics.counterTotal(
                label: "heddle_kube_requests_total", dimensions: labels + [("code", "error")]) == 4)
    }

    @Test func `a storm of 429 ends after some attempts, each after the time that the server asked for`() async throws {
        try await withClient { _, _ in
            .status(429, "TooManyRequests", headers: ["retry-after": "1"])
        } during: { client, server in
            let start = ContinuousClock.now
            let error = try await failure { _ = try await client.create(.pods, pod) }
            #expect(error.code == 429 && error.retryAfterSeconds == 1 && error.isUnprocessed)
            #expect(server.seen.count == 4 && ContinuousClock.now - start >= .seconds(3))
        }
    }

    @Test func `503 with Retry-After is a refusal at the door, so a create comes again`() async throws {
        try await withClient { _, number in
            number == 1 ? .status(503, "ServiceUnavailable", headers: ["retry-after": "0"]) : .json(201, "{}")
        } during: { client, server in
            _ = try await client.create(.pods, pod)
            #expect(server.seen.count == 2)
        }
    }

    @Test func `a body that never ends meets the deadline, the client's or the request's own`() async throws {
        var limits = KubeClient.Limits.forTests
        limits.requestTimeout = .seconds(1)
        let (body, chunks) = AsyncStream<String>.makeStream()
        chunks.yield("{")
        defer { chunks.finish() }
        try await withClient(limits: limits) { _, _ in
            .stream(body)
        } during: { client, server in
            let error = try await failure { _ = try await client.get(.pods, namespace: "shop", name: "a") }
            #expect(error.reason == "Timeout" && server.seen.count <= 1)
        }
        try await withClient { _, _ in
            .silence
        } during: { client, _ in
            let request = APIRequest(.get, .leases, namespace: "shop", name: "a", timeout: .milliseconds(100))
            let error = try await failure { _ = try await client.perform(request) }
            #expect(error.reason == "Timeout")
        }
    }

    @Test func `a watch that breaks off fails, it does not end`() async throws {
        let event = #"{"type":"ADDED","object":{"metadata":{"name":"a"}}}"# + "\n"
        try await withClient { _, _ in
            .cut(event, promisedBytes: 10_000)
        } during: { client, _ in
            var events = try await client.watch(APIRequest(.watch, .pods)).makeAsyncIterator()
            #expect(try await events.next()?.object.name == "a")
            await #expect { _ = try await events.next() } throws: {
                ($0 as? APIError)?.reason == "Interrupted"
            }
        }
    }

    @Test func `an answer that is too large, or not JSON, is final`() async throws {
        var limits = KubeClient.Limits.forTests
        limits.maximumBodyBytes = 100
        try await withClient(limits: limits) { request, _ in
            .ok(request.uri.hasSuffix("large") ? #"{"a":"\#(String(repeating: "x", count: 200))"}"# : "{]")
        } during: { client, server in
            for name in ["large", "bad"] {
                let error = try await failure { _ = try await client.get(.pods, namespace: "shop", name: name) }
                #expect(error.reason == "InvalidAnswer" && error.message.contains("/pods/\(name)"))
            }
            #expect(server.seen.count == 2)
        }
    }

    @Test func `a lease goes through while every connection for requests is taken`() async throws {
        var limits = KubeClient.Limits.forTests
        limits.connections = 1
        try await withClient(limits: limits) { request, _ in
            request.uri.contains("/leases/") ? .ok() : .silence
        } during: { client, server in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for name in ["a", "b", "c"] { tasks.addTask { _ = try await client.get(.pods, name: name) } }
                while server.seen.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
                _ = try await client.get(.leases, namespace: "shop", name: "leader")
                tasks.cancelAll()
                while await tasks.nextResult() != nil {}
            }
        }
    }

    @Test func `requests are counted by verb, resource and code, and timed`() async throws {
        let metrics = TestMetrics()
        try await withClient(metrics: metrics) { request, number in
            number == 1 ? .status(500, "InternalError") : request.method == "GET" ? .ok() : .status(409, "Conflict")
        } during: { client, _ in
            _ = try await client.get(.deployments, namespace: "shop", name: "a")
            _ = try await failure {
                _ = try await client.apply(
                    .deployments, KubeObject(.deployments, namespace: "shop", name: "a"), fieldManager: "x",
                    subresource: "status")
            }
        }
        func total(_ verb: String, _ resource: String, _ code: String) -> Int64 {
            metrics.counterTotal(
                label: "heddle_kube_requests_total",
                dimensions: [("verb", verb), ("resource", resource), ("code", code)])
        }
        #expect(total("get", "deployments.apps", "500") == 1 && total("get", "deployments.apps", "200") == 1)
        #expect(total("patch", "deployments.apps/status", "409") == 1)
        let recorder = try metrics.expectRecorder(
            "heddle_kube_request_duration_seconds", [("verb", "get"), ("resource", "deployments.apps")])
        #expect(recorder.values.count == 2 && recorder.values.allSatisfy { $0 > 0 && $0 < 60 })
    }

    @Test func `what the server warns of is logged once`() async throws {
        let lines = LogCollector.Lines()
        let logger = Logger(label: "test") { _ in LogCollector(lines) }
        try await withClient(logger: logger) { _, _ in
            .json(200, "{}", headers: ["warning": #"299 - "unknown field \"spec.x\"""#])
        } during: { client, _ in
            for _ in 0..<3 { _ = try await client.get(.pods, name: "a") }
        }
        #expect(lines.all.filter { $0.contains(#"unknown field "spec.x""#) }.count == 1)
    }
}

struct ServerWarningsTests {
    @Test(arguments: [
        (#"299 - "a""#, ["a"]), (#"299 - "a", 299 k "b, \"c\" \\""#, ["a", #"b, "c" \"#]),
        (#"199 - "misc", 299 - "a""#, ["a"]), (#"299 - "a" "Sat, 25 Aug 2012 23:34:45 GMT", 299 - "b""#, ["a", "b"]),
        ("299 - unquoted", []), (#"299 - "no end"#, []),
    ])
    func `texts of code 299 are read`(_ header: String, _ texts: [String]) {
        #expect(ServerWarnings.texts(in: header) == texts)
    }
}
