import AsyncHTTPClient
import Foundation
import KubeCore
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL
import Testing

@testable import KubeSandbox

/// The API server goes away and comes back, as its clients see it.
struct FrontEndTests {
    @Test(.timeLimit(.minutes(1)))
    func `a restart cuts watches, refuses connections, and keeps everything that is stored`() async throws {
        let api = APIServer()
        let identity = try ServingIdentity.make()
        var configuration = APIServerHTTP.Configuration(identity: identity, adminToken: "admin")
        configuration.port = 0
        let (isAway, comesBack) = (Latch(), Latch())
        let front = FrontEnd(
            server: api, configuration: configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            pause: { _ in
                isAway.open()
                await comesBack.wait()
            })
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(identity.authority.utf8)))
        var settings = HTTPClient.Configuration(tlsConfiguration: tls)
        settings.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        let serving = Task { try await front.run() }
        let port = await front.http.port()
        func get(_ path: String) async throws -> HTTPClientResponse {
            var request = HTTPClientRequest(url: "https://127.0.0.1:\(port)\(path)")
            request.headers.add(name: "Authorization", value: "Bearer admin")
            return try await client.execute(request, timeout: .seconds(20))
        }

        let old = try await api.create(.configMaps, configMap("a")).resourceVersion
        _ = try await api.create(.configMaps, configMap("b"))
        let maps = "/api/v1/namespaces/default/configmaps"
        let watch = try await get("\(maps)?watch=true&resourceVersion=\(old)")
        #expect(watch.status == .ok && api.watches.open == 1)

        let restart = Task { await front.restart(after: .seconds(2), forgettingHistory: true) }
        await isAway.wait()
        // In good order or not: the watch is over.
        _ = try? await watch.body.collect(upTo: 1 << 20)
        #expect(api.watches.open == 0)
        await #expect(throws: (any Error).self) { try await get("/healthz") }
        comesBack.open()
        await restart.value
        #expect(await front.http.port() == port)
        let list = try JSONValue.parse(try await get(maps).body.collect(upTo: 1 << 20).readableBytesView)
        #expect(list["items"]?.array?.count == 2)
        let late = try await get("\(maps)?watch=true&resourceVersion=\(old)")
        let event = try JSONValue.parse(try await late.body.collect(upTo: 1 << 20).readableBytesView)
        #expect(event["type"] == "ERROR" && event[path: "object", "code"]?.int == 410)
        serving.cancel()
        _ = try? await serving.value
        try await client.shutdown()
    }
}
