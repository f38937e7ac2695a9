import KubeCore
import Logging
import Synchronization

/// The API server's one HTTP front end over time: it can go away for a while, as a real API server's does when it is
/// restarted or loses its machine.
///
/// What is stored stays, as it does in etcd. The controllers and the node use the store in process and do not notice; all
/// clients over HTTP do: their connections and watches are cut, and new ones are refused until it is back.
final class FrontEnd: Sendable {
    private struct Outage {
        var length: Duration
        /// Where it comes back: where it was.
        var port: Int
        var forgetsHistory: Bool
        var over: Latch
    }

    private let server: APIServer
    private let configuration: APIServerHTTP.Configuration
    private let logger: Logger
    private let pause: @Sendable (Duration) async throws -> Void
    private let outages = AsyncStream.makeStream(of: Outage.self)
    private let current: Mutex<APIServerHTTP>

    /// - Parameter pause: how an outage passes.
    init(
        server: APIServer, configuration: APIServerHTTP.Configuration, logger: Logger,
        pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.server = server
        self.configuration = configuration
        // That a connection was cut is no error here; a server that cannot start says so by throwing.
        var logger = logger
        logger.logLevel = .critical
        self.logger = logger
        self.pause = pause
        current = Mutex(APIServerHTTP(server: server, configuration: configuration, logger: logger))
    }

    var http: APIServerHTTP { current.withLock { $0 } }

    /// Cuts all connections, refuses new ones for a while, and returns when they are accepted again.
    /// - Parameter forgettingHistory: past changes are compacted meanwhile, so that no watch can resume.
    func restart(after length: Duration, forgettingHistory: Bool) async {
        let port = await http.port()
        let over = Latch()
        outages.continuation.yield(Outage(length: length, port: port, forgetsHistory: forgettingHistory, over: over))
        await over.wait()
    }

    /// Serves until cancelled.
    /// - Throws: what the server throws, e.g. when its port is taken.
    func run() async throws {
        while let outage = try await serve() {
            if outage.forgetsHistory { server.compactHistory() }
            try await pause(outage.length)
            var configuration = configuration
            configuration.port = outage.port
            let next = APIServerHTTP(server: server, configuration: configuration, logger: logger)
            current.withLock { $0 = next }
            Task {
                _ = await next.port()
                outage.over.open()
            }
        }
    }

    /// Serves until the next outage; nil when the server itself ended.
    private func serve() async throws -> Outage? {
        let http = http
        return try await withThrowingTaskGroup(of: Outage?.self) { group in
            group.addTask {
                try await http.run()
                return nil
            }
            group.addTask { [outages] in
                for await outage in outages.stream { return outage }
                return nil
            }
            let first = try await group.next() ?? nil
            group.cancelAll()
            // Being cut off is no failure.
            while (try? await group.next()) != nil || !group.isEmpty {}
            return first
        }
    }
}
