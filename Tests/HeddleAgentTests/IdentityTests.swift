import EnvoyConfig
import Foundation
import Logging
import MeshIdentity
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import heddle_agent

@Suite struct CertificateFilesTests {
    @Test func aSetIsReplacedAsOneAndTheOldOneGoes() throws {
        let directory = try TemporaryDirectory()
        let paths = SidecarFiles(root: directory.path)
        let files = CertificateFiles(files: paths)
        try files.prepare()
        for round in 1...3 {
            try files.install(key: "key \(round)", chain: "chain \(round)", trustBundle: "root \(round)")
            #expect(try String(contentsOfFile: paths.privateKey, encoding: .utf8) == "key \(round)")
            #expect(try String(contentsOfFile: paths.certificateChain, encoding: .utf8) == "chain \(round)")
            #expect(try String(contentsOfFile: paths.trustBundle, encoding: .utf8) == "root \(round)")
        }
        let entries = try FileManager.default.contentsOfDirectory(atPath: paths.certificates)
        #expect(entries.count == 5, "three links, ..data and one generation: \(entries)")
    }

    @Test func theKeyIsForItsOwnerOnly() throws {
        let directory = try TemporaryDirectory()
        let paths = SidecarFiles(root: directory.path)
        let files = CertificateFiles(files: paths)
        try files.prepare()
        try files.install(key: "k", chain: "c", trustBundle: "r")
        let real = URL(fileURLWithPath: paths.privateKey).resolvingSymlinksInPath().path
        let attributes = try FileManager.default.attributesOfItem(atPath: real)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
}

@Suite struct IdentityServiceTests {
    /// Signs with a real authority, or fails where told to.
    final class TestSigner: CertificateSigner {
        let authority: CertificateAuthority
        let failing: Set<Int>
        let calls = Mutex(0)

        init(failing: Set<Int> = []) throws {
            authority = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
            self.failing = failing
        }

        func sign(csrPEM: String, ttl: Duration) async throws -> SignedCertificate {
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            if failing.contains(call) { throw OperatorSigner.Failure(description: "not now") }
            let identity = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart")
            let issued = try authority.sign(csrPEM: csrPEM, identity: identity, ttl: ttl, now: Date())
            return SignedCertificate(
                chain: issued.chainPEM, trustBundle: try authority.trustBundle.pem, notAfter: issued.notAfter)
        }
    }

    struct Trace: Sendable {
        var keys: [String] = []
        var sleeps: [Duration] = []
    }

    /// Runs the service until it has slept `rounds` times; sleeping takes no time.
    private func run(_ signer: TestSigner, rounds: Int) async throws -> Trace {
        let directory = try TemporaryDirectory()
        let paths = SidecarFiles(root: directory.path)
        let trace = Mutex(Trace())
        let service = IdentityService(
            identity: try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart"),
            signer: signer, files: CertificateFiles(files: paths), ttl: .seconds(3600),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), random: { 1 },
            sleep: { duration in
                let count = trace.withLock { trace in
                    trace.sleeps.append(duration)
                    return trace.sleeps.count
                }
                if count >= rounds { throw CancellationError() }
            },
            onInstalled: { _ in
                let key = try? String(contentsOfFile: paths.privateKey, encoding: .utf8)
                trace.withLock { $0.keys.append(key ?? "") }
            })
        try await service.run()
        return trace.withLock { $0 }
    }

    @Test func eachRenewalHasAKeyOfItsOwn() async throws {
        let trace = try await run(try TestSigner(), rounds: 3)
        #expect(trace.keys.count == 3)
        #expect(Set(trace.keys).count == 3)
        #expect(trace.keys.allSatisfy { $0.contains("PRIVATE KEY") })
        #expect(
            trace.sleeps.allSatisfy { $0 > .seconds(2800) && $0 < .seconds(2900) }, "80 % of an hour: \(trace.sleeps)")
    }

    @Test func untilTheFirstCertificateItAsksOften() async throws {
        let trace = try await run(try TestSigner(failing: [1, 2, 3, 4, 5, 6, 7]), rounds: 8)
        #expect(trace.keys.count == 1)
        #expect(trace.sleeps.dropLast().allSatisfy { $0 <= .seconds(5) })
    }

    @Test func aFailedRenewalKeepsTheLastCertificateAndIsRetried() async throws {
        let trace = try await run(try TestSigner(failing: [2, 3]), rounds: 4)
        #expect(trace.keys.count == 2)
        #expect(trace.sleeps[1] == .seconds(1) && trace.sleeps[2] == .seconds(2), "\(trace.sleeps)")
    }
}

@Suite struct OperatorSignerTests {
    private static let name = "heddle-operator.heddle-system.svc"

    @Test func itGetsACertificateOverVerifiedTLS() async throws {
        let world = try await SigningServer.start(name: Self.name)
        let directory = try TemporaryDirectory()
        let signer = try world.signer(in: directory, host: Self.name)
        let request = try CertificateRequest(
            identity: try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart"))
        let signed = try await signer.sign(csrPEM: request.csrPEM, ttl: .seconds(600))
        let trustBundle = try world.authority.trustBundle.pem
        #expect(signed.chain.contains("BEGIN CERTIFICATE"))
        #expect(signed.trustBundle == trustBundle)
        #expect(abs(signed.notAfter.timeIntervalSinceNow - 600) < 30)
        try await world.channel.close()
    }

    @Test func anotherNameOrAnotherRootIsNotTrusted() async throws {
        let world = try await SigningServer.start(name: "somebody-else.svc")
        let directory = try TemporaryDirectory()
        let wrongName = try world.signer(in: directory, host: Self.name)
        await #expect(throws: (any Error).self) { try await wrongName.sign(csrPEM: "csr", ttl: .seconds(60)) }
        let stranger = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
        let wrongRoot = try world.signer(in: directory, host: "somebody-else.svc", root: stranger.trustBundle.pem)
        await #expect(throws: (any Error).self) { try await wrongRoot.sign(csrPEM: "csr", ttl: .seconds(60)) }
        try await world.channel.close()
    }

    @Test func aRefusalSaysWhy() async throws {
        let world = try await SigningServer.start(name: Self.name)
        let directory = try TemporaryDirectory()
        var signer = try world.signer(in: directory, host: Self.name)
        signer.tokenFile = directory.path + "/other"
        try "wrong".write(toFile: signer.tokenFile, atomically: true, encoding: .utf8)
        let error = await #expect(throws: OperatorSigner.Failure.self) {
            try await signer.sign(csrPEM: "csr", ttl: .seconds(60))
        }
        #expect(error?.description.contains("401: the token is refused") == true)
        signer.tokenFile = directory.path + "/absent"
        let absent = await #expect(throws: OperatorSigner.Failure.self) {
            try await signer.sign(csrPEM: "csr", ttl: .seconds(60))
        }
        #expect(absent?.description.contains("/absent") == true)
        try await world.channel.close()
    }
}

/// An authority behind HTTPS on 127.0.0.1, as the operator serves it; it knows one token.
private struct SigningServer {
    let authority: CertificateAuthority
    let channel: any Channel
    let port: Int

    static func start(name: String) async throws -> SigningServer {
        let authority = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
        let server = try authority.serverCertificate(dnsNames: [name], now: Date())
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(server.chainPEM.utf8)).map {
            NIOSSLCertificateSource.certificate($0)
        }
        let key = try NIOSSLPrivateKey(bytes: Array(server.keyPEM.utf8), format: .pem)
        let context = try NIOSSLContext(
            configuration: .makeServerConfiguration(certificateChain: chain, privateKey: .privateKey(key)))
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(authority: authority))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return SigningServer(authority: authority, channel: channel, port: channel.localAddress?.port ?? 0)
    }

    func signer(in directory: TemporaryDirectory, host: String, root: String? = nil) throws -> OperatorSigner {
        let token = directory.path + "/token"
        let rootFile = directory.path + "/root-\(UUID().uuidString).pem"
        try "secret-token\n".write(toFile: token, atomically: true, encoding: .utf8)
        try (root ?? authority.trustBundle.pem).write(toFile: rootFile, atomically: true, encoding: .utf8)
        return OperatorSigner(
            host: host, port: port, tokenFile: token, rootFile: rootFile, dnsOverride: [host: "127.0.0.1"],
            timeout: .seconds(5))
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let authority: CertificateAuthority
        private var head: HTTPRequestHead?
        private var body = ByteBuffer()

        init(authority: CertificateAuthority) { self.authority = authority }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(var part): body.writeBuffer(&part)
            case .end:
                let (status, text) = (try? answer()) ?? (.badRequest, "bad request")
                let head = HTTPResponseHead(
                    version: .http1_1, status: status, headers: ["content-length": "\(text.utf8.count)"])
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }

        private func answer() throws -> (HTTPResponseStatus, String) {
            guard head?.uri == "/v1/certificates", head?.method == .POST else { return (.notFound, "") }
            guard head?.headers.first(name: "authorization") == "Bearer secret-token" else {
                return (.unauthorized, "the token is refused")
            }
            struct Asked: Decodable {
                let csr: String
                let ttlSeconds: Int
            }
            let asked = try JSONDecoder().decode(Asked.self, from: Data(body.readableBytesView))
            let issued = try authority.sign(
                csrPEM: asked.csr,
                identity: try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart"),
                ttl: .seconds(asked.ttlSeconds), now: Date())
            let answer = [
                "certificateChain": issued.chainPEM, "trustBundle": try authority.trustBundle.pem,
                "notAfter": issued.notAfter.formatted(.iso8601),
            ]
            return (.ok, String(decoding: try JSONEncoder().encode(answer), as: UTF8.self))
        }
    }
}
