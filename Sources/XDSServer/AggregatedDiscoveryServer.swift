import GRPCCore
import GRPCNIOTransportHTTP2Posix
package import Logging

/// The discovery server: gRPC over HTTP/2 with mutual TLS. It also takes the proxies' load reports.
///
/// `run()` once; it returns after `beginGracefulShutdown()` or when its task is cancelled.
package final class AggregatedDiscoveryServer: Sendable {
    /// What seldom needs to be set.
    package struct Options: Sendable {
        /// The only trust domain that is served; nil for every one that the roots vouch for.
        package var trustDomain: String?
        /// After this a proxy must connect again, so that a lapsed certificate is not served for ever.
        package var connectionMaxAge: Duration = .seconds(3600)
        /// How long an open stream may go on after its connection's end or the server's.
        package var graceTime: Duration = .seconds(5)
        package var removalGrace: Duration = .seconds(5)
        package var endpointPatience: Duration = .seconds(5)

        package init(trustDomain: String? = nil) {
            self.trustDomain = trustDomain
        }
    }

    private let hub: SnapshotHub
    private let loads: LoadReportHub
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let logger: Logger

    /// - Parameters:
    ///   - address: An IPv4 address to listen on.
    ///   - port: 0 for a free one.
    /// - Throws: When the certificates cannot be used for TLS.
    package init(
        address: String = "0.0.0.0", port: Int, hub: SnapshotHub, loads: LoadReportHub = LoadReportHub(),
        certificates: ServerCertificates, logger: Logger, options: Options = Options()
    ) throws {
        self.hub = hub
        self.loads = loads
        self.logger = logger
        let security = try HTTP2ServerTransport.Posix.TransportSecurity.mTLS(certificateReloader: certificates) {
            // The callback alone decides, since it knows roots that came later; the system's are not asked.
            $0.trustRoots = .certificates([])
            $0.requireALPN = true
            $0.customVerificationCallback = { certificates.verify($0, $1) }
        }
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: address, port: port), transportSecurity: security,
            config: .defaults {
                // The default of five minutes ends the stream of a proxy that pings more often, calls or not.
                $0.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(1)
                $0.connection.keepalive.clientBehavior.allowWithoutCalls = true
                $0.connection.keepalive.time = .seconds(30)
                $0.connection.keepalive.timeout = .seconds(20)
                $0.connection.maxAge = options.connectionMaxAge
                $0.connection.maxGraceTime = options.graceTime
                $0.connection.flushCoalescing = nil
            })
        server = GRPCServer(
            transport: transport,
            services: [
                DiscoveryService(hub: hub, options: options, logger: logger),
                LoadReportingService(hub: loads, trustDomain: options.trustDomain, logger: logger),
            ])
    }

    /// The port that is listened on; waits until it is bound.
    package var listeningPort: Int {
        get async throws {
            guard let port = try await server.transport.listeningAddress.ipv4?.port else {
                throw RPCError(code: .internalError, message: "the discovery server has no IPv4 address")
            }
            return port
        }
    }

    /// Serves until it is told to stop, by `beginGracefulShutdown()` or by cancellation.
    ///
    /// - Throws: When the port cannot be bound.
    package func run() async throws {
        try await withTaskCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { [server] in
                    do {
                        try await server.serve()
                    } catch  where Task.isCancelled {
                        // Being told to stop is no failure.
                    }
                }
                group.addTask { [hub] in
                    while !Task.isCancelled {
                        try? await Task.sleep(for: .milliseconds(500))
                        hub.tick(at: .now)
                    }
                }
                // The first to end is the server; the ticker goes with it.
                try await group.next()
                group.cancelAll()
            }
        } onCancel: {
            beginGracefulShutdown()
        }
        logger.info("discovery server stopped")
    }

    /// Ends all streams and stops listening. Proxies keep what they have and go to another replica.
    package func beginGracefulShutdown() {
        server.beginGracefulShutdown()
        hub.close()
        loads.close()
    }
}
