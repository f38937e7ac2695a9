import FoundationEssentials
import Hummingbird
import HummingbirdTLS
package import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle
import Synchronization

/// The API server over HTTPS (HTTP/1.1), for `kubectl`, client-go and Heddle's operator.
///
/// Callers authenticate with the static admin token or a service-account token; nothing is forbidden to those who do. Bodies are
/// JSON or YAML; protobuf is refused, so that clients fall back to JSON. A front end can be stopped and another one
/// started over the same `APIServer`, also on the same port: watches resume from their resource version.
package final class APIServerHTTP: Service {
    package struct Configuration: Sendable {
        package var host = "127.0.0.1"
        /// 0: any free port.
        package var port = 6443
        package var identity: ServingIdentity
        /// Bearer token of the cluster's administrator.
        package var adminToken: String

        package init(identity: ServingIdentity, adminToken: String = UUID().uuidString.lowercased()) {
            self.identity = identity
            self.adminToken = adminToken
        }
    }

    private struct Listening {
        var port: Int?
        var waiting: [CheckedContinuation<Int, Never>] = []
    }

    package let configuration: Configuration
    private let server: APIServer
    private let logger: Logger
    private let listening = Mutex(Listening())

    package init(
        server: APIServer, configuration: Configuration, logger: Logger = Logger(label: "heddle.sandbox.http")
    ) {
        self.server = server
        self.configuration = configuration
        var logger = logger
        // The framework's start-up lines are of no interest to users.
        if logger.logLevel == .info { logger.logLevel = .notice }
        self.logger = logger
    }

    /// Serves until graceful shutdown (open watches end in good order) or cancellation.
    package func run() async throws {
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(configuration.identity.certificate.utf8))
                .map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(configuration.identity.key.utf8), format: .pem)))
        tls.applicationProtocols = ["http/1.1"]
        let responder = APIResponder(server: server, adminToken: configuration.adminToken)
        let application = Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in await responder.respond(to: request) },
            server: try .tls(.http1(), tlsConfiguration: tls),
            configuration: ApplicationConfiguration(address: .hostname(configuration.host, port: configuration.port)),
            onServerRunning: { channel in self.announce(channel.localAddress?.port ?? self.configuration.port) },
            logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [server] in await server.run() }
            group.addTask { try await application.run() }
            // The ticker ends only by cancellation, so the first to end is the application.
            try await group.next()
            group.cancelAll()
        }
    }

    /// The port, once connections are accepted.
    package func port() async -> Int {
        await withCheckedContinuation { continuation in
            let known = listening.withLock { state -> Int? in
                if state.port == nil { state.waiting.append(continuation) }
                return state.port
            }
            if let known { continuation.resume(returning: known) }
        }
    }

    private func announce(_ port: Int) {
        let waiting = listening.withLock { state in
            state.port = port
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: port) }
    }

    /// A kubeconfig for the administrator, with certificate authority and token embedded.
    /// - Parameter host: how the client reaches the server; nil: as configured.
    package func kubeconfig(host: String? = nil) async -> String {
        KubeconfigText.make(
            server: "https://\(host ?? configuration.host):\(await port())",
            authority: configuration.identity.authority,
            token: configuration.adminToken)
    }
}
