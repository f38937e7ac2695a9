import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Testing

@testable import heddle_agent

@Suite struct AppProbeTests {
    @Test func theInjectorsShapesAreRead() throws {
        let probes = try AppProbe.parse(
            """
            {"/app-health/web/readyz": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTPS",
                "headers": [{"name": "X-Probe", "value": "1"}]}, "timeoutSeconds": 3},
             "/app-health/web/livez": {"tcpSocket": {"port": 3306}},
             "/app-health/web/startupz": {"grpc": {"port": 9000, "service": "shop.Cart"}, "timeoutSeconds": 0}}
            """)
        #expect(
            probes["/app-health/web/readyz"]
                == AppProbe(
                    check: .http(
                        path: "/ready", port: 8080, isTLS: true, headers: [.init(name: "X-Probe", value: "1")]),
                    timeout: .seconds(3)))
        #expect(probes["/app-health/web/livez"] == AppProbe(check: .tcp(port: 3306)))
        #expect(probes["/app-health/web/startupz"] == AppProbe(check: .grpc(port: 9000, service: "shop.Cart")))
    }

    @Test func noProbesAreFine() throws {
        #expect(try AppProbe.parse("").isEmpty)
        #expect(try AppProbe.parse("{}").isEmpty)
    }

    @Test(arguments: [#"{"/x": {}}"#, #"{"/x": {"httpGet": {}}}"#, #"{"/x": {"tcpSocket": {"port": "http"}}}"#, "[]"])
    func whatIsNoProbeIsRefused(json: String) {
        #expect(throws: (any Error).self) { try AppProbe.parse(json) }
    }
}

@Suite struct AppProberTests {
    private func prober(_ check: AppProbe.Check, podIP: String = "127.0.0.1") -> AppProber {
        AppProber(probes: ["/p": AppProbe(check: check, timeout: .milliseconds(500))], podIP: podIP)
    }

    @Test func theApplicationsStatusPassesThrough() async throws {
        try await TestApp.run { app in
            for (path, status) in [("/ok", 200), ("/broken", 500), ("/absent", 404), ("/elsewhere", 200)] {
                let verdict = await prober(.http(path: path, port: app, isTLS: false, headers: [])).answer(
                    path: "/p", userAgent: nil)
                #expect(verdict?.status == status, "\(path)")
            }
        }
    }

    @Test func headersAndUserAgentReachTheApplication() async throws {
        try await TestApp.run { app in
            let headers = [AppProbe.Header(name: "Host", value: "shop.example")]
            let verdict = await prober(.http(path: "/echo", port: app, isTLS: false, headers: headers)).answer(
                path: "/p", userAgent: "kube-probe/1.33")
            #expect(verdict?.body == "host=shop.example agent=kube-probe/1.33")
        }
    }

    @Test func tcpProbesConnect() async throws {
        try await TestApp.run { app in
            #expect(await prober(.tcp(port: app)).answer(path: "/p", userAgent: nil)?.status == 200)
        }
    }

    @Test func anApplicationThatIsNotThereFailsItsProbe() async throws {
        for check in [
            AppProbe.Check.tcp(port: 1), .http(path: "/", port: 1, isTLS: false, headers: []),
            .grpc(port: 1, service: ""),
        ] {
            #expect(await prober(check).answer(path: "/p", userAgent: nil)?.status == 503)
        }
        #expect(await prober(.tcp(port: 1)).answer(path: "/unknown", userAgent: nil) == nil)
    }

    @Test func anApplicationThatHangsFailsInTime() async throws {
        try await TestApp.run { app in
            let begun = ContinuousClock.now
            let verdict = await prober(.http(path: "/hang", port: app, isTLS: false, headers: [])).answer(
                path: "/p", userAgent: nil)
            #expect(verdict?.status == 503)
            #expect(ContinuousClock.now - begun < .seconds(3))
        }
    }

    /// The kubelet's probes reach the pod's address only; so do ours, and an application elsewhere is not ready.
    @Test func anApplicationOnAnotherAddressIsNotReached() async throws {
        try await TestApp.run { app in
            let verdict = await prober(.tcp(port: app), podIP: "127.0.0.9").answer(path: "/p", userAgent: nil)
            #expect(verdict?.status == 503)
        }
    }
}

/// A small application on 127.0.0.1, while the body runs.
enum TestApp {
    static func run(_ body: @escaping @Sendable (Int) async throws -> Void) async throws {
        let (ports, bound) = AsyncStream.makeStream(of: Int.self)
        let server = AgentHTTPServer(
            name: "app", host: "127.0.0.1", port: 0,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            onBound: { bound.yield($0) }, handler: answer)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            var iterator = ports.makeAsyncIterator()
            if let port = await iterator.next() { try await body(port) }
            group.cancelAll()
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
    }

    private static func answer(_ head: HTTPRequestHead) async -> AgentHTTPServer.Answer {
        switch head.uri {
        case "/ok": return .init(status: 200, body: "ok")
        case "/broken": return .init(status: 500, body: "broken")
        // What a gRPC health service answers: one message, status SERVING.
        case "/grpc.health.v1.Health/Check": return .init(status: 200, body: "\0\0\0\0\u{2}\u{8}\u{1}")
        case "/elsewhere": return .init(status: 302, body: "")
        case "/hang":
            try? await Task.sleep(for: .seconds(20))
            return .init(status: 200, body: "late")
        case "/echo":
            let host = head.headers.first(name: "host") ?? ""
            let agent = head.headers.first(name: "user-agent") ?? ""
            return .init(status: 200, body: "host=\(host) agent=\(agent)")
        default: return .init(status: 404, body: "")
        }
    }
}

@Suite struct GRPCHealthConversationTests {
    private static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]
    private static let headers: [UInt8] = [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88]
    private static func data(_ message: [UInt8], flags: UInt8 = 0) -> [UInt8] {
        [0, 0, UInt8(message.count), 0, flags, 0, 0, 0, 1] + message
    }

    static let answers: [([UInt8], GRPCHealthConversation.Step)] = [
        (data([0, 0, 0, 0, 2, 8, 1]), .healthy),
        (data([4, 0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0], flags: 8), .healthy),
        (data([0, 0, 0, 0, 2, 8, 2]), .unhealthy("NOT_SERVING")),
        (data([0, 0, 0, 0, 0]), .unhealthy("UNKNOWN")),
        ([0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88], .unhealthy("the call failed without an answer")),
        ([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2], .unhealthy("the server reset the call")),
        (Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), .unhealthy("the server does not speak HTTP/2")),
    ]

    @Test(arguments: answers) func eachAnswerHasOneMeaning(bytes: [UInt8], step: GRPCHealthConversation.Step) {
        var conversation = GRPCHealthConversation()
        #expect(conversation.receive(bytes) == [step])
    }

    @Test func anAnswerInSingleBytesIsUnderstood() {
        var conversation = GRPCHealthConversation()
        var steps: [GRPCHealthConversation.Step] = []
        for byte in Self.settings + Self.headers + Self.data([0, 0, 0, 0, 2, 8, 1]) {
            steps += conversation.receive([byte])
        }
        #expect(steps == [.send([0, 0, 0, 4, 1, 0, 0, 0, 0]), .healthy])
    }
}
