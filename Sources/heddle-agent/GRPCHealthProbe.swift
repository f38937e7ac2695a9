import NIOCore
import NIOPosix

/// Runs one gRPC health check over a connection of its own.
struct GRPCHealthProbe: Sendable {
    struct Unhealthy: Error, CustomStringConvertible {
        let description: String
    }

    var host: String
    var port: Int
    var service: String
    var timeout: Duration
    var source: String?

    /// Returns when the service is SERVING; throws otherwise.
    func run() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: Void.self)
        let opening = GRPCHealthConversation.opening(service: service, authority: "\(host):\(port)")
        let connected = try LocalHTTPClient.connect(on: loop, to: host, port, from: source, timeout) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(Handler(opening: opening, promise: promise))
            }
        }
        connected.whenFailure { promise.fail($0) }
        let timer = loop.scheduleTask(in: .nanoseconds(timeout.nanoseconds)) {
            promise.fail(LocalHTTPClient.TimedOut())
        }
        promise.futureResult.whenComplete { _ in
            timer.cancel()
            connected.whenSuccess { $0.close(promise: nil) }
        }
        try await promise.futureResult.get()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let opening: [UInt8]
        private let promise: EventLoopPromise<Void>
        private var conversation = GRPCHealthConversation()

        init(opening: [UInt8], promise: EventLoopPromise<Void>) {
            self.opening = opening
            self.promise = promise
        }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: opening)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            for step in conversation.receive(unwrapInboundIn(data).readableBytesView) {
                switch step {
                case .send(let bytes): context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
                case .healthy: promise.succeed()
                case .unhealthy(let why): promise.fail(Unhealthy(description: why))
                }
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(Unhealthy(description: "the server closed the connection"))
        }
    }
}
