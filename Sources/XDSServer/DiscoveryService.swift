import EnvoyAPI
import FoundationEssentials
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import Logging
import X509

/// The gRPC service: one task a stream, which alone writes to it.
struct DiscoveryService: RegistrableRPCService {
    static let descriptor = ServiceDescriptor(
        fullyQualifiedService: "envoy.service.discovery.v3.AggregatedDiscoveryService")
    static let delta = MethodDescriptor(service: descriptor, method: "DeltaAggregatedResources")

    let hub: SnapshotHub
    let options: AggregatedDiscoveryServer.Options
    let logger: Logger

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Self.delta, deserializer: ProtobufDeserializer<DeltaRequest>(),
            serializer: ProtobufSerializer<DeltaResponse>()
        ) { request, context in
            guard let peer = Self.peer(of: context) else {
                throw RPCError(code: .unauthenticated, message: "the client certificate has no SPIFFE id")
            }
            return StreamingServerResponse(of: DeltaResponse.self) { writer in
                try await serve(request.messages, writer, peer: peer)
                return [:]
            }
        }
    }

    /// What the proxy's certificate proves, and until when.
    struct Peer: Sendable {
        var spiffeID: String
        var notAfter: Date
    }

    static func peer(of context: ServerContext) -> Peer? {
        guard let certificate = (context.transportSpecific as? HTTP2ServerTransport.Posix.Context)?.peerCertificate,
            let spiffeID = certificate.spiffeID
        else { return nil }
        return Peer(spiffeID: spiffeID, notAfter: certificate.notValidAfter)
    }

    private func serve(
        _ requests: RPCAsyncSequence<DeltaRequest, any Error>, _ writer: RPCWriter<DeltaResponse>, peer: Peer
    ) async throws {
        let mailbox = StreamMailbox()
        // gRPC says by this handler, not by cancelling the task, that the proxy is gone or the server stops.
        try await withRPCCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { mailbox.close() }
                    for try await request in requests { mailbox.deliver(request) }
                }
                defer { group.cancelAll() }
                try await converse(mailbox, writer, peer: peer)
            }
        } onCancelRPC: {
            mailbox.close()
        }
    }

    private func converse(
        _ mailbox: StreamMailbox, _ writer: RPCWriter<DeltaResponse>, peer: Peer
    ) async throws {
        var messages = mailbox.messages.makeAsyncIterator()
        guard case .request(let first)? = await messages.next() else { return }
        let proxy = try identify(first, peer: peer)
        guard let id = hub.connect(proxy, mailbox: mailbox) else {
            throw RPCError(code: .unavailable, message: "the server is stopping")
        }
        var logger = logger
        logger[metadataKey: "proxy"] = .string(proxy.nodeID)
        logger.info("proxy connected", metadata: ["identity": .string(peer.spiffeID)])
        defer {
            hub.disconnect(id)
            logger.info("proxy disconnected")
        }

        var stream = DiscoveryStream(
            removalGrace: options.removalGrace, endpointPatience: options.endpointPatience)
        var generation: UInt64 = 0
        // Nothing has been computed yet.
        var requested: Set<String>?
        var message = StreamMailbox.Message.request(first)
        while true {
            mailbox.willRead(message)
            switch message {
            case .request(let request):
                logger.trace("received", metadata: ["request": "\(request)"])
                note(stream.receive(request), from: proxy, logger: logger)
            case .changed:
                requested = nil
            case .tick:
                break
            }
            if requested != stream.requestedClusters {
                requested = stream.requestedClusters
                let (resources, current) = hub.resources(for: proxy, requested: stream.requestedClusters)
                generation = current
                stream.update(resources)
            }
            while let response = stream.nextResponse(at: .now) {
                logger.debug(
                    "sending",
                    metadata: [
                        "type": .string(response.typeURL), "resources": "\(response.resources.count)",
                        "removed": "\(response.removedResources.count)",
                    ])
                try await writer.write(response)
            }
            hub.report(id, stream: stream, generation: generation)
            guard let next = await messages.next() else { return }
            message = next
        }
    }

    private func identify(_ request: DeltaRequest, peer: Peer) throws -> ProxyIdentity {
        do {
            return try ProxyIdentity(peer: peer, node: request.node, trustDomain: options.trustDomain)
        } catch {
            logger.warning(
                "proxy refused", metadata: ["identity": .string(peer.spiffeID), "reason": .string(error.message)])
            throw error
        }
    }

    private func note(_ outcome: DiscoveryStream.Outcome, from proxy: ProxyIdentity, logger: Logger) {
        guard case .rejected(let rejection) = outcome else { return }
        logger.warning(
            "proxy refused configuration",
            metadata: [
                "type": .string(rejection.type.shortName),
                "resources": .string(rejection.resourceNames.joined(separator: ",")),
                "reason": .string(rejection.message),
            ])
        hub.rejected(by: proxy, rejection)
    }
}

extension ProxyIdentity {
    /// - Throws: `permissionDenied` when the node is not what the certificate proves.
    init(
        peer: DiscoveryService.Peer, node: Envoy_Config_Core_V3_Node, trustDomain: String?
    ) throws(RPCError) {
        do throws(ProxyRefusal) {
            try self.init(spiffeID: peer.spiffeID, node: node, trustDomain: trustDomain)
        } catch {
            throw RPCError(code: .permissionDenied, message: error.message)
        }
        certificateNotAfter = peer.notAfter
    }
}
