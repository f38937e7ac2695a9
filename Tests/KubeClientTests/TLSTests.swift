import FoundationEssentials
import KubeCore
import Logging
import NIOSSL
import SwiftASN1
import Testing
import X509

@testable import KubeClient

@Suite(.timeLimit(.minutes(1)))
struct TLSTests {
    func ask(_ configuration: ClientConfiguration) async throws {
        var limits = KubeClient.Limits.forTests
        limits.attempts = 1
        let client = try KubeClient(
            configuration: configuration, limits: limits,
            logger: .quiet)
        do {
            _ = try await client.get(.pods, name: "a")
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    func refuses(_ configuration: ClientConfiguration) async {
        await #expect { try await ask(configuration) } throws: { ($0 as? APIError)?.code == 0 }
    }

    let loopback = GeneralName.ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1]))

    @Test func `only the given authority is trusted, and verification can be skipped`() async throws {
        let authority = try TestAuthority()
        let pem = Data(try authority.pem.utf8)
        try await LocalServer.serving(tls: try authority.serverContext(names: [loopback])) { _, _ in
            .ok()
        } during: {
            _, port in
            var configuration = ClientConfiguration(server: "https://127.0.0.1:\(port)", certificateAuthority: pem)
            try await ask(configuration)
            configuration.certificateAuthority = Data(try TestAuthority().pem.utf8)
            await refuses(configuration)
            configuration.certificateAuthority = nil
            await refuses(configuration)
            configuration.skipsTLSVerification = true
            try await ask(configuration)
        }
    }

    @Test func `the server's name is checked, or the one that stands for it`() async throws {
        let authority = try TestAuthority()
        let pem = Data(try authority.pem.utf8)
        let context = try authority.serverContext(names: [.dnsName("kubernetes.default.svc")])
        try await LocalServer.serving(tls: context) { _, _ in
            .ok()
        } during: { _, port in
            var configuration = ClientConfiguration(server: "https://127.0.0.1:\(port)", certificateAuthority: pem)
            await refuses(configuration)
            configuration.tlsServerName = "kubernetes.default.svc"
            try await ask(configuration)
            configuration.tlsServerName = "other.default.svc"
            await refuses(configuration)
        }
    }

    @Test func `a client certificate identifies`() async throws {
        let authority = try TestAuthority()
        let pem = Data(try authority.pem.utf8)
        let context = try authority.serverContext(names: [loopback], clients: true)
        try await LocalServer.serving(tls: context) { _, _ in
            .ok()
        } during: { _, port in
            var configuration = ClientConfiguration(server: "https://127.0.0.1:\(port)", certificateAuthority: pem)
            await refuses(configuration)
            let (certificate, key) = try authority.issue("me", names: [.dnsName("me")])
            configuration.clientCertificate = .init(chain: Data(certificate.utf8), key: Data(key.utf8))
            try await ask(configuration)
        }
    }

    @Test func `what is not PEM is refused before any request`() {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        #expect(throws: ConfigurationError.self) {
            try KubeClient(
                configuration: ClientConfiguration(server: "https://x", certificateAuthority: Data("no".utf8)),
                logger: logger)
        }
    }

    @Test(arguments: [
        ("https://10.0.0.1:6443", "https://api:6443", "10.0.0.1"),
        ("https://[::1]:6443/k8s", "https://api:6443/k8s", "::1"),
        ("https://[::1]", "https://api", "::1"), ("https://host/prefix", "https://api/prefix", "host"),
    ])
    func `the address leads to the host under the other name`(_ server: String, _ address: String, _ host: String) {
        var overrides: [String: String] = [:]
        #expect(ClientConfiguration(server: server, tlsServerName: "api").address(overriding: &overrides) == address)
        #expect(overrides == ["api": host])
    }

    @Test func `an authority that is replaced in its file is trusted from then on`() async throws {
        let (old, new) = (try TestAuthority(), try TestAuthority())
        let context = try new.serverContext(names: [loopback])
        try await withFiles(["ca.crt": try old.pem]) { directory in
            try await LocalServer.serving(tls: context) { _, _ in
                .ok()
            } during: { server, port in
                let configuration = ClientConfiguration(
                    server: "https://127.0.0.1:\(port)", certificateAuthority: Data(try old.pem.utf8),
                    files: .init(authority: directory + "/ca.crt"))
                let lines = LogCollector.Lines()
                try await withClient(of: configuration, logger: Logger(label: "t") { _ in LogCollector(lines) }) {
                    client in
                    let error = try await failure { _ = try await client.get(.pods, name: "a") }
                    #expect(error.reason == "Untrusted" && server.seen.isEmpty)
                    // A file that is just being written changes nothing.
                    try Data("half".utf8).write(to: URL(filePath: directory + "/ca.crt"))
                    _ = try await failure { _ = try await client.get(.pods, name: "a") }
                    try Data(try new.pem.utf8).write(to: URL(filePath: directory + "/ca.crt"))
                    // Even a create: no connection came about, so it had no effect.
                    _ = try await client.create(.pods, KubeObject(.pods, namespace: "shop", name: "a"))
                    #expect(server.seen.count == 1)
                }
                #expect(lines.all.contains { $0.hasPrefix("warning certificates cannot be read again") })
                #expect(lines.all.contains { $0.hasPrefix("info certificates have changed") })
            }
        }
    }

    @Test func `a client certificate that is renewed in its files is shown from then on`() async throws {
        let authority = try TestAuthority()
        let context = try authority.serverContext(names: [loopback], clients: true)
        let (bad, badKey) = try TestAuthority().issue("me", names: [.dnsName("me")])
        try await withFiles(["crt": bad, "key": badKey, "ca": try authority.pem]) { directory in
            try await LocalServer.serving(tls: context) { _, _ in
                .ok()
            } during: { _, port in
                let text = """
                    current-context: a
                    clusters: [{name: c, cluster: {server: "https://127.0.0.1:\(port)", certificate-authority: ca}}]
                    contexts: [{name: a, context: {cluster: c, user: u}}]
                    users: [{name: u, user: {client-certificate: crt, client-key: key}}]
                    """
                try Data(text.utf8).write(to: URL(filePath: directory + "/config"))
                var limits = KubeClient.Limits.forTests
                limits.credentialFileLifetime = .zero
                let configuration = try ClientConfiguration.load(kubeconfig: directory + "/config", environment: [:])
                try await withClient(of: configuration, limits: limits) { client in
                    _ = try await failure { _ = try await client.get(.pods, name: "a") }
                    let (certificate, key) = try authority.issue("me", names: [.dnsName("me")])
                    try Data(certificate.utf8).write(to: URL(filePath: directory + "/crt"))
                    try Data(key.utf8).write(to: URL(filePath: directory + "/key"))
                    _ = try await client.get(.pods, name: "a")
                }
            }
        }
    }
}
