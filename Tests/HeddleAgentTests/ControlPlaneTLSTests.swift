import EnvoyConfig
import Foundation
import MeshIdentity
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

@testable import heddle_agent

/// What the bootstrap and the certificate files make a real Envoy do towards its control plane.
@Suite(.enabled(if: RealEnvoy.isAvailable)) struct ControlPlaneTLSTests {
    @Test func envoyShowsTheWorkloadsCertificateAndTheNextOneAfterARotation() async throws {
        let server = try await ControlPlane.start(name: "heddle-operator.heddle-system.svc")
        try await withEnvoy(dialling: server) { rotate in
            #expect(await eventually { server.seen.withLock { $0.count } == 1 }, "the first certificate is shown")
            try rotate()
            #expect(await eventually { server.seen.withLock { $0.count } == 2 }, "the new certificate is shown")
        }
    }

    @Test func envoyRefusesAControlPlaneOfAnotherName() async throws {
        let server = try await ControlPlane.start(name: "impostor.heddle-system.svc")
        try await withEnvoy(dialling: server) { _ in
            #expect(await eventually { server.connections.withLock { $0 } >= 2 }, "it does try")
            #expect(server.seen.withLock { $0.isEmpty })
        }
    }

    private func withEnvoy(
        dialling server: ControlPlane, _ body: (_ rotate: () throws -> Void) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        let bootstrap = SidecarBootstrap(
            namespace: "shop", podName: "cart-1", podIP: "127.0.0.1", nodeName: "n", serviceAccount: "cart",
            labels: [:],
            discovery: .init(host: "127.0.0.1", port: server.port),
            discoveryServerName: "heddle-operator.heddle-system.svc", files: SidecarFiles(root: directory.path),
            adminPort: try FreePort.any(), statsPort: try FreePort.any())
        let files = CertificateFiles(files: bootstrap.files)
        let rotate = {
            let identity = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart")
            let request = try CertificateRequest(identity: identity)
            let issued = try server.authority.sign(csrPEM: request.csrPEM, identity: identity, now: Date())
            try files.install(
                key: request.privateKey.pem, chain: issued.chainPEM, trustBundle: try server.authority.trustBundle.pem)
        }
        try files.prepare()
        try rotate()
        try files.replace(bootstrap.files.bootstrap, with: bootstrap.json)
        let envoy = try ChildProcess.spawn(
            try #require(RealEnvoy.path),
            ["-c", bootstrap.files.bootstrap, "--concurrency", "1", "--disable-hot-restart", "-l", "error"])
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(rotate))
        } catch {
            outcome = .failure(error)
        }
        envoy.send(SIGTERM)
        _ = await envoy.wait()
        try await server.channel.close()
        try outcome.get()
    }
}

/// A TLS server that wants a client certificate, notes it when the client speaks, and hangs up.
private final class ControlPlane: Sendable {
    let authority: CertificateAuthority
    let channel: any Channel
    let port: Int
    let seen: Seen
    let connections: Connections

    typealias Seen = Box<Set<[UInt8]>>
    typealias Connections = Box<Int>

    final class Box<Value: Sendable>: Sendable {
        private let mutex: Mutex<Value>
        init(_ value: sending Value) { mutex = Mutex(value) }
        func withLock<T: Sendable>(_ body: (inout sending Value) -> sending T) -> T { mutex.withLock(body) }
    }

    private init(authority: CertificateAuthority, channel: any Channel, seen: Seen, connections: Connections) {
        self.authority = authority
        self.channel = channel
        self.port = channel.localAddress?.port ?? 0
        self.seen = seen
        self.connections = connections
    }

    static func start(name: String) async throws -> ControlPlane {
        let authority = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
        let server = try authority.serverCertificate(dnsNames: [name], now: Date())
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(server.chainPEM.utf8)).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(server.keyPEM.utf8), format: .pem)))
        tls.applicationProtocols = ["h2"]
        tls.certificateVerification = .noHostnameVerification
        tls.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(try authority.trustBundle.pem.utf8)))
        let context = try NIOSSLContext(configuration: tls)
        let seen = Seen([])
        let connections = Connections(0)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    connections.withLock { $0 += 1 }
                    try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
                    try channel.pipeline.syncOperations.addHandler(Listener(seen: seen))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return ControlPlane(authority: authority, channel: channel, seen: seen, connections: connections)
    }

    private final class Listener: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let seen: Seen

        init(seen: Seen) { self.seen = seen }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if let certificate = try? context.channel.pipeline.syncOperations.nioSSL_peerCertificate() {
                let serial = certificate.serialNumber
                seen.withLock { _ = $0.insert(serial) }
            }
            context.close(promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
