import NIOCore
import NIOHTTP1
import NIOPosix

/// Binding of the sample's sockets, all on one event loop.
enum Listener {
    /// Listens for HTTP/1.1 on every address and answers by `answerer`. Port 0 picks a free one.
    static func http(
        on loop: any EventLoop, host: String, port: Int, answerer: any Answerer
    ) -> EventLoopFuture<any Channel> {
        base(loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: true, withErrorHandling: true)
                    try pipeline.addHandler(ReplyHandler(answerer))
                }
            }
            .bind(host: host, port: port)
    }

    /// Listens for TCP and sends back every byte.
    static func echo(on loop: any EventLoop, host: String, port: Int) -> EventLoopFuture<any Channel> {
        base(loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EchoHandler())
                }
            }
            .bind(host: host, port: port)
    }

    private static func base(_ loop: any EventLoop) -> ServerBootstrap {
        ServerBootstrap(group: loop, childGroup: loop)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    }
}

private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }
    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
