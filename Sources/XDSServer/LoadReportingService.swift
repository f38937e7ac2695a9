import EnvoyAPI
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import Logging
import SwiftProtobuf

typealias LoadStatsRequest = Envoy_Service_LoadStats_V3_LoadStatsRequest
typealias LoadStatsResponse = Envoy_Service_LoadStats_V3_LoadStatsResponse

/// The gRPC service that proxies report to. A proxy opens its stream at its start and says nothing until it is told of
/// which clusters to report; then it reports every second.
struct LoadReportingService: RegistrableRPCService {
    static let descriptor = ServiceDescriptor(fullyQualifiedService: "envoy.service.load_stats.v3.LoadReportingService")
    static let stream = MethodDescriptor(service: descriptor, method: "StreamLoadStats")

    let hub: LoadReportHub
    let trustDomain: String?
    let logger: Logger

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Self.stream, deserializer: ProtobufDeserializer<LoadStatsRequest>(),
            serializer: ProtobufSerializer<LoadStatsResponse>()
        ) { request, context in
            guard let peer = DiscoveryService.peer(of: context) else {
                throw RPCError(code: .unauthenticated, message: "the client certificate has no SPIFFE id")
            }
            return StreamingServerResponse(of: LoadStatsResponse.self) { writer in
                try await serve(request.messages, writer, peer: peer)
                return [:]
            }
        }
    }

    private func serve(
        _ requests: RPCAsyncSequence<LoadStatsRequest, any Error>, _ writer: RPCWriter<LoadStatsResponse>,
        peer: DiscoveryService.Peer
    ) async throws {
        guard let (id, wakeUps) = hub.connect() else {
            throw RPCError(code: .unavailable, message: "the server is stopping")
        }
        defer { hub.disconnect(id) }
        try await withRPCCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { hub.disconnect(id) }
                    var isFirst = true
                    for try await request in requests {
                        if isFirst {
                            _ = try ProxyIdentity(peer: peer, node: request.node, trustDomain: trustDomain)
                            isFirst = false
                        }
                        hub.report(Self.loads(of: request))
                    }
                }
                defer { group.cancelAll() }
                try await tell(wakeUps, writer)
                // The proxy is gone, was refused, or the hub has closed: only a refusal is worth telling.
                group.cancelAll()
                do {
                    try await group.next()
                } catch {
                    if let refusal = error as? RPCError { throw refusal }
                }
            }
        } onCancelRPC: {
            hub.disconnect(id)
        }
    }

    /// Says what is watched, now and whenever that changes, until the stream ends.
    private func tell(_ wakeUps: AsyncStream<Void>, _ writer: RPCWriter<LoadStatsResponse>) async throws {
        var told: Set<String> = []
        func tellChange() async throws {
            let watched = hub.watched
            guard watched != told else { return }
            told = watched
            try await writer.write(Self.instruction(watched))
        }
        try await tellChange()
        for await _ in wakeUps { try await tellChange() }
    }

    private static func instruction(_ clusters: Set<String>) -> LoadStatsResponse {
        .with {
            $0.clusters = clusters.sorted()
            // There is no way to say "never": without clusters a proxy sends an empty report an hour.
            $0.loadReportingInterval.seconds = clusters.isEmpty ? 3600 : 1
        }
    }

    private static func loads(of request: LoadStatsRequest) -> [String: LoadReportHub.Load] {
        var loads: [String: LoadReportHub.Load] = [:]
        for cluster in request.clusterStats {
            for part in cluster.upstreamLocalityStats {
                let failures = Int(clamping: part.totalErrorRequests)
                let (requests, isTooLarge) = failures.addingReportingOverflow(
                    Int(clamping: part.totalSuccessfulRequests))
                // No proxy sends so many requests in a second.
                guard !isTooLarge, requests < 1 << 40 else { continue }
                loads[cluster.clusterName, default: .init()].requests += requests
                loads[cluster.clusterName, default: .init()].failures += failures
            }
        }
        return loads
    }
}
