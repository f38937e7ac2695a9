import EnvoyAPI
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import Logging
import MeshIdentity
import SwiftProtobuf
import Synchronization

@testable import XDSServer

/// A source whose answer a test sets.
final class FixedSource: ProxyConfigurationSource {
    private let set: Mutex<ResourceSet>
    private let asked = Mutex<[ProxyIdentity]>([])
    private let wanted = Mutex<Set<String>>([])
    /// The clusters that a proxy gets unasked; nil for all.
    let unasked: Set<String>?

    init(_ resources: ResourceSet = ResourceSet(), unasked: Set<String>? = nil) {
        set = Mutex(resources)
        self.unasked = unasked
    }

    func resources(for proxy: ProxyIdentity, requested: Set<String>) -> ResourceSet {
        asked.withLock { $0.append(proxy) }
        wanted.withLock { $0 = requested }
        let resources = set.withLock { $0 }
        guard let unasked else { return resources }
        return ResourceSet(
            resources.types.flatMap { resources[$0].values }.filter { resource in
                (resource.type != .cluster && resource.type != .endpoints)
                    || unasked.union(requested).contains(resource.name)
            })
    }

    func replace(_ resources: ResourceSet) { set.withLock { $0 = resources } }
    var lastRequested: Set<String> { wanted.withLock { $0 } }
    var lastAsked: ProxyIdentity? { asked.withLock { $0.last } }
}

/// A discovery server on 127.0.0.1, its authority and its source.
struct LoopbackServer: Sendable {
    let authority: CertificateAuthority
    let certificates: ServerCertificates
    let source: FixedSource
    let hub: SnapshotHub
    let loads = LoadReportHub()
    let server: AggregatedDiscoveryServer
    let rejections: Mutexed<[Rejection]>

    init(
        resources: ResourceSet, authority given: CertificateAuthority? = nil, port: Int = 0,
        unasked: Set<String>? = nil,
        options: AggregatedDiscoveryServer.Options = .init(trustDomain: "cluster.local")
    ) throws {
        authority = try given ?? CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
        let own = try authority.serverCertificate(
            dnsNames: ["heddle-operator.heddle-system.svc"], ipAddresses: ["127.0.0.1"], now: Date())
        certificates = try ServerCertificates(
            chainPEM: own.chainPEM, keyPEM: own.keyPEM, rootsPEM: authority.trustBundle.pem)
        source = FixedSource(resources, unasked: unasked)
        let rejections = Mutexed<[Rejection]>([])
        self.rejections = rejections
        hub = SnapshotHub(source: source) { _, rejection in rejections.withLock { $0.append(rejection) } }
        var logger = Logger(label: "xds")
        // HEDDLE_TEST_LOG=debug shows what is sent.
        let level = ProcessInfo.processInfo.environment["HEDDLE_TEST_LOG"].flatMap(Logger.Level.init(rawValue:))
        logger.logLevel = level ?? .critical
        server = try AggregatedDiscoveryServer(
            address: "127.0.0.1", port: port, hub: hub, loads: loads, certificates: certificates, logger: logger,
            options: options)
    }

    /// Runs the server while `body` runs.
    func serving(_ body: @Sendable (_ port: Int) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            let port = try await server.listeningPort
            do {
                try await body(port)
            } catch {
                server.beginGracefulShutdown()
                throw error
            }
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    func identity(_ account: String = "cart") throws -> SPIFFEIdentity {
        try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: account)
    }
}

/// A box for what several tasks write.
final class Mutexed<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>
    init(_ value: Value) { mutex = Mutex(value) }
    func withLock<Result: Sendable>(_ body: (inout sending Value) -> Result) -> Result { mutex.withLock { body(&$0) } }
    var value: Value { mutex.withLock { $0 } }
}

/// A client that speaks the protocol as Envoy does, in little.
struct TestProxy: Sendable {
    let port: Int
    /// Signs the client's certificate; another one than the server's is a stranger.
    let authority: CertificateAuthority
    /// What the client trusts.
    let trusted: TrustBundle
    let account: String
    var claimedNamespace = "shop"
    /// Resources that it refuses, by name.
    var refuses: Set<String> = []

    static let method = MethodDescriptor(
        fullyQualifiedService: "envoy.service.discovery.v3.AggregatedDiscoveryService",
        method: "DeltaAggregatedResources")

    /// Opens a stream, subscribes to everything, answers each response, and hands it to `body`, until that returns true
    /// or the server ends the stream.
    func run(until body: @Sendable @escaping (DeltaResponse) async throws -> Bool) async throws {
        let identity = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: account)
        let request = try CertificateRequest(identity: identity)
        let issued = try authority.sign(csrPEM: request.csrPEM, identity: identity, now: Date())
        let roots = try Array(trusted.pem.utf8)
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port),
            transportSecurity: .mTLS(
                certificateChain: [.bytes(Array(issued.chainPEM.utf8), format: .pem)],
                privateKey: .bytes(Array(request.privateKey.pem.utf8), format: .pem)
            ) {
                $0.trustRoots = .certificates([.bytes(roots, format: .pem)])
                $0.serverCertificateVerification = .noHostnameVerification
            })
        try await withGRPCClient(transport: transport) { client in
            let (requests, outbox) = AsyncStream.makeStream(of: DeltaRequest.self)
            defer { outbox.finish() }
            for type in [TypeURL.cluster, .listener] {
                outbox.yield(
                    .with {
                        if type == .cluster { $0.node = node }
                        $0.typeURL = type.rawValue
                    })
            }
            var options = CallOptions.defaults
            options.waitForReady = false
            options.timeout = .seconds(20)
            try await client.bidirectionalStreaming(
                request: StreamingClientRequest { writer in
                    for await request in requests { try await writer.write(request) }
                },
                descriptor: Self.method, serializer: ProtobufSerializer<DeltaRequest>(),
                deserializer: ProtobufDeserializer<DeltaResponse>(), options: options
            ) { response in
                for try await message in response.messages {
                    for request in answers(to: message) { outbox.yield(request) }
                    if try await body(message) { break }
                }
                outbox.finish()
            }
        }
    }

    private var node: Envoy_Config_Core_V3_Node {
        .with {
            $0.id = "\(account)-1.shop"
            $0.metadata.fields = [
                "NAMESPACE": .init(stringValue: claimedNamespace), "SERVICE_ACCOUNT": .init(stringValue: account),
                "POD_NAME": .init(stringValue: "\(account)-1"),
            ]
        }
    }

    private func answers(to response: DeltaResponse) -> [DeltaRequest] {
        let bad = response.resources.map(\.name).filter(refuses.contains)
        let answer = DeltaRequest.with {
            $0.typeURL = response.typeURL
            $0.responseNonce = response.nonce
            if !bad.isEmpty { $0.errorDetail.message = "cannot use \(bad.joined(separator: ", "))" }
        }
        let names = response.resources.map(\.name)
        // As in Envoy, a cluster asks for its endpoints.
        guard response.typeURL == TypeURL.cluster.rawValue, !names.isEmpty else { return [answer] }
        let endpoints = DeltaRequest.with {
            $0.typeURL = TypeURL.endpoints.rawValue
            $0.resourceNamesSubscribe = names
        }
        return [endpoints, answer]
    }
}
