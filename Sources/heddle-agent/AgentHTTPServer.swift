import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// One of the agent's small HTTP ports. Answers until graceful shutdown.
struct AgentHTTPServer: Service {
    struct Answer: Sendable {
        var status: Int
        var body: String
    }

    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    var name: String
    var host = "0.0.0.0"
    var port: Int
    var logger: Logger
    /// Called with the real port once bound; for tests that bind port 0.
    var onBound: @Sendable (Int) -> Void = { _ in }
    var handler: @Sendable (HTTPRequestHead) async -> Answer

    func run() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        if let port = server.channel.localAddress?.port { onBound(port) }
        logger.debug("listening", metadata: ["name": "\(name)", "port": "\(port)"])
        do {
            try await cancelWhenGracefulShutdown { try await accept(on: server) }
        } catch is CancellationError {
            logger.debug("closed", metadata: ["name": "\(name)"])
        }
    }

    private func accept(on server: NIOAsyncChannel<Connection, Never>) async throws {
        try await server.executeThenClose { connections in
            try await withThrowingDiscardingTaskGroup { group in
                for try await connection in connections {
                    group.addTask { await serve(connection) }
                }
            }
        }
    }

    private func serve(_ connection: Connection) async {
        // A client that goes away in the middle is no event for this process.
        try? await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            for try await part in inbound {
                switch part {
                case .head(let received): head = received
                case .body: break
                case .end:
                    guard let request = head else { return }
                    let answer = await handler(request)
                    try await outbound.write(contentsOf: parts(of: answer, to: request))
                    if !request.isKeepAlive { return }
                }
            }
        }
    }

    private func parts(of answer: Answer, to request: HTTPRequestHead) -> [HTTPServerResponsePart] {
        var headers: HTTPHeaders = [
            "content-type": "text/plain; charset=utf-8", "content-length": String(answer.body.utf8.count),
        ]
        if !request.isKeepAlive { headers.add(name: "connection", value: "close") }
        let status = HTTPResponseStatus(statusCode: answer.status)
        let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
        return [.head(head), .body(.byteBuffer(ByteBuffer(string: answer.body))), .end(nil)]
    }
}
