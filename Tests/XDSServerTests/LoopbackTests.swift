import EnvoyAPI
import Foundation
import GRPCCore
import MeshIdentity
import Testing

@testable import XDSServer

/// A real gRPC client over mutual TLS on 127.0.0.1.
@Suite(.timeLimit(.minutes(1))) struct LoopbackTests {
    static let shop = ResourceSet([
        resource(.cluster, "a"), resource(.endpoints, "a"), resource(.listener, "l"),
    ])

    private func proxy(_ server: LoopbackServer, _ port: Int, _ account: String = "cart") -> TestProxy {
        TestProxy(port: port, authority: server.authority, trusted: server.authority.trustBundle, account: account)
    }

    /// Asks until the answer is yes; the time limit of the suite bounds it.
    private func eventually(_ condition: @Sendable () -> Bool) async throws {
        for _ in 0..<4000 where !condition() { try await Task.sleep(for: .milliseconds(5)) }
        #expect(condition())
    }

    @Test func aProxyGetsItsResourcesInOrderAndIsReportedInSync() async throws {
        let server = try LoopbackServer(resources: Self.shop)
        try await server.serving { port in
            let seen = Mutexed<[String]>([])
            try await proxy(server, port).run { response in
                seen.withLock { $0.append(TypeURL(rawValue: response.typeURL).shortName) }
                guard response.typeURL == TypeURL.listener.rawValue else { return false }
                try await eventually { server.hub.isSynced() }
                return true
            }
            #expect(seen.value == ["Cluster", "ClusterLoadAssignment", "Listener"])
            #expect(server.source.lastAsked?.spiffeID == "spiffe://cluster.local/ns/shop/sa/cart")
            try await eventually { server.hub.proxies().isEmpty }
        }
    }

    @Test func aChangeReachesAConnectedProxyAndItsGenerationIsKnownToBeTaken() async throws {
        let server = try LoopbackServer(resources: Self.shop)
        let generation = Mutexed<UInt64>(0)
        try await server.serving { port in
            try await proxy(server, port).run { response in
                guard response.typeURL == TypeURL.listener.rawValue else { return false }
                if response.resources.map(\.name) == ["l"] {
                    var next = Self.shop
                    next.insert(resource(.listener, "m"))
                    server.source.replace(next)
                    let number = server.hub.changed()
                    generation.withLock { $0 = number }
                    #expect(!server.hub.isSynced(generation: number))
                    return false
                }
                #expect(response.resources.map(\.name) == ["m"])
                #expect(server.hub.revision > 0)
                try await eventually { server.hub.isSynced(generation: generation.value) { $0.podName == "cart-1" } }
                return true
            }
            #expect(generation.value > 0)
            // The proxy has gone, and that is told too; at rest nothing is.
            try await eventually { server.hub.proxies().isEmpty }
            let revision = server.hub.revision
            server.hub.changed()
            #expect(server.hub.revision == revision)
        }
    }

    @Test func aRefusalIsReportedWithItsCauseAndTheProxyIsOutOfSync() async throws {
        let server = try LoopbackServer(resources: Self.shop)
        try await server.serving { port in
            var proxy = proxy(server, port)
            proxy.refuses = ["l"]
            try await proxy.run { response in
                guard response.typeURL == TypeURL.listener.rawValue else { return false }
                try await eventually { !server.rejections.value.isEmpty }
                #expect(server.rejections.value.map(\.resourceNames) == [["l"]])
                #expect(server.rejections.value.map(\.message) == ["cannot use l"])
                #expect(!server.hub.isSynced())
                try await eventually { server.hub.debugJSON().contains("\"lastError\" : \"cannot use l\"") }
                #expect(server.hub.debugJSON().contains("\"podName\" : \"cart-1\""))
                return true
            }
        }
    }

    @Test func aProxyWithACertificateOfAnotherAuthorityIsRefused() async throws {
        let server = try LoopbackServer(resources: Self.shop)
        let stranger = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
        try await server.serving { port in
            let proxy = TestProxy(
                port: port, authority: stranger, trusted: server.authority.trustBundle, account: "cart")
            await #expect(throws: RPCError.self) {
                try await proxy.run { _ in
                    Issue.record("a stranger was served")
                    return true
                }
            }
            #expect(server.source.lastAsked == nil)
        }
    }

    @Test func aRootThatIsAddedWhileTheServerRunsIsTrustedAtOnce() async throws {
        let server = try LoopbackServer(resources: Self.shop)
        let next = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
        let both = server.authority.trustBundle.merging(next.trustBundle)
        try await server.serving { port in
            try server.certificates.update(rootsPEM: both.pem)
            let own = try next.serverCertificate(dnsNames: ["heddle-operator.heddle-system.svc"], now: Date())
            try server.certificates.update(chainPEM: own.chainPEM, keyPEM: own.keyPEM)
            let proxy = TestProxy(port: port, authority: next, trusted: next.trustBundle, account: "cart")
            try await proxy.run { _ in true }
            #expect(server.source.lastAsked != nil)
        }
    }

    @Test func aProxyThatClaimsAnotherNamespaceIsDenied() async throws {
        let server = try LoopbackServer(resources: Self.shop)
        try await server.serving { port in
            var proxy = proxy(server, port)
            proxy.claimedNamespace = "bank"
            let error = await #expect(throws: RPCError.self) { try await proxy.run { _ in true } }
            #expect(error?.code == .permissionDenied)
            #expect(error?.message.contains("claims NAMESPACE \"bank\"") == true)
            #expect(server.source.lastAsked == nil)
        }
    }

    @Test func aServerThatStopsEndsItsStreamsAtOnce() async throws {
        let server = try LoopbackServer(resources: Self.shop)
        let clock = ContinuousClock()
        let stopped = Mutexed(clock.now)
        try await server.serving { port in
            try? await proxy(server, port).run { response in
                if response.typeURL == TypeURL.listener.rawValue {
                    stopped.withLock { $0 = clock.now }
                    server.server.beginGracefulShutdown()
                }
                return false
            }
        }
        #expect(stopped.value.duration(to: clock.now) < .seconds(3))
        #expect(server.hub.proxies().isEmpty)
    }
}
