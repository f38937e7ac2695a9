import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import heddle_sample

@Suite struct LoopbackTests {
    private let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()

    private func serve(_ change: (inout ServeSettings) -> Void = { _ in }) async throws -> (SampleServer, WireURL) {
        var settings = ServeSettings()
        settings.host = "127.0.0.1"
        settings.port = 0
        settings.pod = "pod-1"
        settings.drainSeconds = 0.2
        change(&settings)
        let server = SampleServer(settings: settings, loop: loop)
        let port = try await server.start().get()
        return (server, try WireURL("http://127.0.0.1:\(port)/"))
    }

    private func call(_ url: WireURL, path: String? = nil, headers: HTTPHeaders = [:]) async throws -> WireResponse {
        let loop = loop
        let url = try WireURL("http://127.0.0.1:\(url.port)\(path ?? url.path)")
        return try await loop.flatSubmit {
            WireClient(loop: loop).send(
                WireRequest(url: url, headers: headers), reuse: false, deadline: .now() + .seconds(5))
        }.get()
    }

    private func load(_ url: WireURL, rps: Double, seconds: Double, _ change: (inout LoadSettings) -> Void = { _ in })
        async throws -> LoadTally.Report
    {
        var settings = LoadSettings(urls: [url], requestsPerSecond: rps, durationSeconds: seconds)
        change(&settings)
        let generator = LoadGenerator(settings: settings, loop: loop)
        generator.start()
        return try await generator.whenFinished.get()
    }

    @Test func itServesWorkInfoReadinessAndMetrics() async throws {
        let (server, url) = try await serve { $0.version = "v7" }
        let work = try await call(url)
        #expect(work.status == 200)
        #expect(work.head.headers["x-served-by"] == ["pod-1"])
        #expect(work.head.headers["x-served-version"] == ["v7"])
        #expect(try await call(url, path: "/readyz").status == 200)
        #expect(try await call(url, path: "/info").body.contains("\"version\":\"v7\""))
        #expect(try await call(url, path: "/metrics").body.contains("version=\"v7\",code=\"200\"} 1\n"))
        server.stop()
        try await server.whenStopped.get()
    }

    @Test func drainingFailsReadinessServesOnAndAsksClientsToLeave() async throws {
        let (server, url) = try await serve()
        server.drain()
        let readiness = try await call(url, path: "/readyz")
        #expect(readiness.status == 503)
        let work = try await call(url)
        #expect(work.status == 200)
        #expect(work.head.headers["connection"] == ["close"])
        try await server.whenStopped.get()
        await #expect(throws: WireFailure.connectionRefused) { try await call(url) }
    }

    @Test func injectedFaultsKeepTheirMarkThroughCallers() async throws {
        let (leaf, leafURL) = try await serve {
            $0.errorPercent = 100
            $0.name = "leaf"
        }
        let (top, topURL) = try await serve {
            $0.calls = [leafURL]
            $0.name = "top"
        }
        let direct = try await call(leafURL)
        #expect(direct.status == 500 && direct.head.headers["x-sample-fault"] == ["injected"])
        let through = try await call(topURL)
        #expect(through.status == 502 && through.head.headers["x-sample-fault"] == ["injected"])
        #expect(through.head.headers["x-served-chain"] == ["top=v1,leaf=v1"])
        leaf.stop()
        try await leaf.whenStopped.get()
        // The leaf's port is closed now; a new caller keeps no connection to it.
        let (other, otherURL) = try await serve { $0.calls = [leafURL] }
        let broken = try await call(otherURL)
        other.stop()
        #expect(broken.status == 502 && broken.head.headers["x-sample-fault"] == ["downstream"])
        #expect(broken.body.contains("connection refused"))
        top.stop()
        try await top.whenStopped.get()
    }

    @Test(arguments: [false, true]) func traceHeadersReachTheDownstream(concurrently: Bool) async throws {
        let spy = HeaderSpy(loop: loop)
        let channel = try await Listener.http(on: loop, host: "127.0.0.1", port: 0, answerer: spy).get()
        let spyURL = try WireURL("http://127.0.0.1:\(try #require(channel.localAddress?.port))/")
        let (server, url) = try await serve {
            $0.calls = [spyURL, spyURL]
            $0.callsConcurrently = concurrently
        }
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let answer = try await call(url, headers: ["traceparent": trace, "x-b3-sampled": "1", "cookie": "secret"])
        #expect(answer.status == 200)
        let seen = try await loop.submit { spy.seen }.get()
        #expect(seen.count == 2)
        #expect(seen.allSatisfy { $0["traceparent"] == [trace] && $0["x-b3-sampled"] == ["1"] })
        #expect(seen.allSatisfy { $0["cookie"].isEmpty })
        server.stop()
        try await channel.close()
    }

    @Test func loadCountsSuccessesVersionsAndLatency() async throws {
        let (server, url) = try await serve { $0.latencyMS = 5 }
        let report = try await load(url, rps: 200, seconds: 1)
        #expect((195...201).contains(report.sent))
        #expect(report.ok == report.sent && report.failures.isEmpty)
        #expect(report.versions == ["v1": report.ok])
        #expect(report.latencyMs.p50 >= 5 && report.latencyMs.p50 <= report.latencyMs.p99)
        server.stop()
    }

    @Test func loadNamesEachKindOfFailure() async throws {
        let (server, url) = try await serve { $0.errorPercent = 100 }
        let injected = try await load(url, rps: 100, seconds: 0.2)
        #expect(injected.failures == ["500 injected": injected.sent])
        #expect(injected.lastFailures["500 injected"]?.detail.contains("injected fault") == true)
        server.stop()
        try await server.whenStopped.get()
        let refused = try await load(url, rps: 100, seconds: 0.2) { $0.newConnections = true }
        #expect(refused.failures == ["connection refused": refused.sent])
    }

    @Test func aSlowServerCostsTimeoutsAndOverrunsNotAStall() async throws {
        let (server, url) = try await serve { $0.latencyMS = 2000 }
        let report = try await load(url, rps: 100, seconds: 0.3) {
            $0.maxInFlight = 10
            $0.timeout = .milliseconds(400)
        }
        #expect(report.failures == ["timeout": 10])
        #expect(report.overrun >= 15)
        server.stop()
    }

    @Test(arguments: [HTTPMethod.GET, .POST])
    func aKeptConnectionClosedByTheServerIsRetriedOnceForIdempotentMethods(method: HTTPMethod) async throws {
        let server = try await HalfServer.start(on: loop)
        let url = try WireURL("http://127.0.0.1:\(server.port)/")
        let loop = loop
        let client = WireClient(loop: loop)
        let exchange: @Sendable () async throws -> Int = {
            try await loop.flatSubmit {
                client.send(WireRequest(url: url, method: method), deadline: .now() + .seconds(5))
            }.get().status
        }
        #expect(try await exchange() == 200)
        // The second request on the kept connection is met by a close without an answer.
        if method == .GET {
            #expect(try await exchange() == 200)
            #expect(try await loop.submit { client.connectionRetries }.get() == 1)
        } else {
            await #expect(throws: WireFailure.self) { try await exchange() }
            #expect(try await loop.submit { client.connectionRetries }.get() == 0)
        }
        try await server.channel.close()
    }
}

/// Answers 200 and keeps the headers it was sent.
private final class HeaderSpy: Answerer, @unchecked Sendable {
    private let loop: any EventLoop
    var seen: [HTTPHeaders] = []
    var isClosing: Bool { false }

    init(loop: any EventLoop) { self.loop = loop }

    func answer(_ head: HTTPRequestHead) -> EventLoopFuture<Reply> {
        seen.append(head.headers)
        return loop.makeSucceededFuture(.text("ok\n"))
    }
}

/// Answers the first request of each connection, claims keep-alive, and closes at the second.
private struct HalfServer {
    let channel: any Channel
    let port: Int

    static func start(on loop: any EventLoop) async throws -> HalfServer {
        let channel = try await ServerBootstrap(group: loop, childGroup: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Handler()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return HalfServer(channel: channel, port: channel.localAddress?.port ?? 0)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private var requests = 0

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            requests += 1
            guard requests == 1 else { return context.close(promise: nil) }
            let answer = ByteBuffer(string: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        }
    }
}
