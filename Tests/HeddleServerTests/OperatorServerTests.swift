import AsyncHTTPClient
import FoundationEssentials
import HeddleAPI
import Hummingbird
import KubeCore
import KubeTesting
import Logging
import MeshIdentity
import NIOCore
import NIOHTTP1
import NIOSSL
import ServiceLifecycle
import Testing

@testable import HeddleServer

/// The operator's doors over real sockets on 127.0.0.1.
@Suite(.timeLimit(.minutes(1))) struct OperatorServerTests {
    private let authority: CertificateAuthority
    private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    init() throws {
        authority = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
    }

    /// A server and the port that it will listen on.
    private struct Door {
        var port: Int
        var application: any ApplicationProtocol
    }

    /// Runs a server during `body`, which gets its port.
    private func serve(_ door: Door, during body: (Int) async throws -> Void) async throws {
        let port = door.port
        let group = ServiceGroup(services: [door.application], logger: quiet)
        let task = Task { try await group.run() }
        do {
            let isUp = await eventually { FreePort.isOpen(port) }
            #expect(isUp, "the server did not come up")
            try await body(port)
        } catch {
            await group.triggerGracefulShutdown()
            _ = try? await task.value
            throw error
        }
        await group.triggerGracefulShutdown()
        try await task.value
    }

    private func secure(canary: KubeObject? = nil) throws -> Door {
        let port = try FreePort.find()
        let serving = try authority.serverCertificate(dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"], now: Date())
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(serving.chainPEM.utf8)).map {
            NIOSSLCertificateSource.certificate($0)
        }
        let key = try NIOSSLPrivateKey(bytes: Array(serving.keyPEM.utf8), format: .pem)
        let application = try OperatorServer.secure(
            webhooks: .testing(canary: canary),
            signing: CertificateSigning(api: TokenCluster(), authority: { [authority] in authority }),
            address: "127.0.0.1",
            port: port, tls: .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key)),
            logger: quiet)
        return Door(port: port, application: application)
    }

    private func client<Result>(_ body: (HTTPClient) async throws -> Result) async throws -> Result {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(authority.trustBundle.pem.utf8)))
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
        do {
            let result = try await body(client)
            try await client.shutdown()
            return result
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    private func post(
        _ client: HTTPClient, _ port: Int, _ path: String, _ body: [UInt8], token: String? = nil,
        scheme: String = "Bearer"
    ) async throws -> (status: Int, body: JSONValue) {
        var request = HTTPClientRequest(url: "https://127.0.0.1:\(port)\(path)")
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/json")
        if let token { request.headers.add(name: "authorization", value: "\(scheme) \(token)") }
        request.body = .bytes(ByteBuffer(bytes: body))
        let answer = try await client.execute(request, timeout: .seconds(10))
        let buffer = try await answer.body.collect(upTo: 1 << 20)
        return (Int(answer.status.code), try JSONValue.parse(buffer.readableBytesView))
    }

    private func get(_ client: HTTPClient, _ port: Int, _ path: String) async throws -> (status: Int, body: String) {
        let answer = try await client.execute(
            HTTPClientRequest(url: "http://127.0.0.1:\(port)\(path)"), timeout: .seconds(10))
        let body = try await answer.body.collect(upTo: 1 << 16)
        return (Int(answer.status.code), String(buffer: body))
    }

    @Test func `a pod is injected over HTTPS`() async throws {
        try await serve(secure()) { port in
            try await client { client in
                let pod = samplePod()
                let (status, answer) = try await post(client, port, "/inject", review(pod).serializedBytes())
                #expect(status == 200)
                #expect(answer[path: "response", "uid"] == "u-1")
                let after = try patched(pod, by: answer)
                #expect(after.labels[HeddleLabel.injected] == "true")
                #expect(after.spec["initContainers"]?.array?.count == 3)
            }
        }
    }

    @Test func `a release is held and a wrong object is refused over HTTPS`() async throws {
        try await serve(secure(canary: catalogCanary())) { port in
            try await client { client in
                let (old, new) = (deployment(image: "app:1"), deployment(image: "app:2"))
                let update = review(new, old: old, operation: "UPDATE").serializedBytes()
                let (_, held) = try await post(client, port, "/release", update)
                #expect(try patched(new, by: held).spec["paused"] == true)

                var wrong = catalogCanary()
                wrong.spec["steps"] = []
                let (_, refused) = try await post(client, port, "/validate", review(wrong).serializedBytes())
                #expect(refused[path: "response", "allowed"] == false)
                #expect(refused[path: "response", "status", "message"]?.string?.contains("spec.steps") == true)
            }
        }
    }

    @Test func `a pod gets its certificate over HTTPS, and only with its token`() async throws {
        try await serve(secure()) { port in
            try await client { client in
                let identity = try SPIFFEIdentity(
                    trustDomain: "cluster.local", namespace: "shop", serviceAccount: "admin")
                let body = (["csr": .string(try CertificateRequest(identity: identity).csrPEM)] as JSONValue)
                    .serializedBytes()
                let (status, answer) = try await post(client, port, "/v1/certificates", body, token: "catalog-token")
                #expect(status == 200)
                let chain = try #require(answer["certificateChain"]?.string)
                let proven = try await authority.trustBundle.verify(chainPEM: chain, at: Date())
                #expect(proven.serviceAccount == "catalog")

                let (without, refusal) = try await post(client, port, "/v1/certificates", body)
                #expect(without == 401)
                #expect(refusal["error"]?.string?.contains("no bearer token") == true)
                let (digest, _) = try await post(
                    client, port, "/v1/certificates", body, token: "catalog-token", scheme: "Digest")
                #expect(digest == 401)
                let (forged, _) = try await post(client, port, "/v1/certificates", body, token: "forged")
                #expect(forged == 401)
            }
        }
    }

    @Test func `a body that cannot be read is answered, not dropped`() async throws {
        try await serve(secure()) { port in
            try await client { client in
                for path in ["/inject", "/release", "/validate", "/v1/certificates"] {
                    let (status, answer) = try await post(client, port, path, Array("{".utf8), token: "catalog-token")
                    #expect(status == 400, "\(path)")
                    #expect(answer["error"]?.string?.isEmpty == false)
                }
            }
        }
    }

    @Test(arguments: [true, false])
    func `the plain door tells health, readiness and metrics`(isReady: Bool) async throws {
        let port = try FreePort.find()
        let plain = OperatorServer.plain(
            address: "127.0.0.1", port: port, isReady: { isReady }, metrics: { "heddle_up 1\n" },
            targets: { [["targets": ["10.1.0.2:15090"]]] }, proxies: { "[]" }, logger: quiet)
        try await serve(Door(port: port, application: plain)) { port in
            try await client { client in
                let healthz = try await get(client, port, "/healthz")
                let readyz = try await get(client, port, "/readyz")
                let metrics = try await get(client, port, "/metrics")
                let proxies = try await get(client, port, "/debug/proxies")
                let targets = try await get(client, port, "/prometheus/targets")
                #expect(healthz.status == 200)
                #expect(readyz.status == (isReady ? 200 : 503))
                #expect(metrics.body == "heddle_up 1\n")
                #expect(proxies.body == "[]")
                #expect(targets.body == #"[{"targets":["10.1.0.2:15090"]}]"#)
            }
        }
    }
}
