import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// One of the agent's small HTTP ports. Answers until graceful shutdown.
///
/// Made of plain channel handlers: an accepted connection that nobody has taken yet when the port closes is simply
/// closed (`NIOAsyncChannel` traps there).
struct AgentHTTPServer: Service {
    struct Answer: Sendable {
        var status: Int
        var body: String
    }

    var name: String
    var host = "0.0.0.0"
    var port: Int
    var logger: Logger
    /// Called with the real port once bound; for tests that bind port 0.
    var onBound: @Sendable (Int) -> Void = { _ in }
    var handler: @Sendable (HTTPRequestHead) async -> Answer

    func run() async throws {
        let handler = handler
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: true, withErrorHandling: true)
                    try pipeline.addHandler(AnswerHandler(answer: handler))
                }
            }
            .bind(host: host, port: port).get()
        if let port = server.localAddress?.port { onBound(port) }
        logger.debug("listening", metadata: ["name": "\(name)", "port": "\(port)"])
        // Returns at graceful shutdown and at cancellation alike; both close the port.
        try? await gracefulShutdown()
        try? await server.close()
    }
}

/// Answers the requests of one connection, one after the other.
private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: @Sendable (HTTPRequestHead) async -> AgentHTTPServer.Answer
    private var head: HTTPRequestHead?

    init(answer: @escaping @Sendable (HTTPRequestHead) async -> AgentHTTPServer.Answer) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            guard let request = head else { return }
            head = nil
            let answer = answer
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.makeFutureWithTask { await answer(request) }.whenSuccess { answer in
                let (handler, context) = bound.value
                handler.write(answer, to: request, context: context)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func write(_ answer: AgentHTTPServer.Answer, to request: HTTPRequestHead, context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        var headers: HTTPHeaders = [
            "content-type": "text/plain; charset=utf-8", "content-length": String(answer.body.utf8.count),
        ]
        if !request.isKeepAlive { headers.add(name: "connection", value: "close") }
        let status = HTTPResponseStatus(statusCode: answer.status)
        let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))), promise: nil)
        }
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        guard !request.isKeepAlive else { return }
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        written.whenComplete { _ in bound.value.close(promise: nil) }
    }
}
