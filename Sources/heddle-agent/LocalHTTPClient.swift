import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// One HTTP/1.1 request on a connection of its own, to something in this pod.
///
/// For the application's probes it can send from a given local address: a connection from 127.0.0.6 is never captured.
struct LocalHTTPClient: Sendable {
    struct Request: Sendable {
        var method = HTTPMethod.GET
        var host = "127.0.0.1"
        var port: Int
        var path = "/"
        var headers: HTTPHeaders = [:]
        var timeout: Duration = .seconds(1)
        var localAddress: String?
        /// TLS without verification, as the kubelet probes.
        var usesTLS = false
    }

    struct Response: Sendable {
        let status: Int
        let body: String
    }

    struct TimedOut: Error, CustomStringConvertible {
        let description = "no answer in time"
    }

    static func send(_ request: Request) async throws -> Response {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: Response.self)
        let exchange = Exchange(request: request, promise: promise)
        var tls: NIOSSLContext?
        if request.usesTLS {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.certificateVerification = .none
            tls = try NIOSSLContext(configuration: configuration)
        }
        let context = tls
        let connected = try connect(
            on: loop, to: request.host, request.port, from: request.localAddress, request.timeout
        ) {
            channel in
            channel.eventLoop.makeCompletedFuture {
                let pipeline = channel.pipeline.syncOperations
                if let context { try pipeline.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil)) }
                try pipeline.addHTTPClientHandlers()
                try pipeline.addHandler(exchange)
            }
        }
        connected.whenFailure { promise.fail($0) }
        let timer = loop.scheduleTask(in: .nanoseconds(request.timeout.nanoseconds)) { promise.fail(TimedOut()) }
        promise.futureResult.whenComplete { _ in
            timer.cancel()
            connected.whenSuccess { $0.close(promise: nil) }
        }
        return try await promise.futureResult.get()
    }

    /// Connects from an address of our choice.
    static func connect(
        on loop: any EventLoop, to host: String, _ port: Int, from localAddress: String?, _ timeout: Duration,
        initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Void> = {
            $0.eventLoop.makeSucceededVoidFuture()
        }
    ) throws -> EventLoopFuture<any Channel> {
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.nanoseconds(timeout.nanoseconds))
            .channelInitializer(initializer)
        if let localAddress {
            bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: localAddress, port: 0))
        }
        return bootstrap.connect(host: host, port: port)
    }

    /// Touched on its channel's event loop only, once the channel is being set up; therefore unchecked.
    private final class Exchange: ChannelInboundHandler, @unchecked Sendable {
        typealias InboundIn = HTTPClientResponsePart
        typealias OutboundOut = HTTPClientRequestPart

        private let request: Request
        private let promise: EventLoopPromise<Response>
        private var status = 0
        private var body = ByteBuffer()

        init(request: Request, promise: EventLoopPromise<Response>) {
            self.request = request
            self.promise = promise
        }

        func channelActive(context: ChannelHandlerContext) {
            var headers = request.headers
            if !headers.contains(name: "host") { headers.add(name: "host", value: "\(request.host):\(request.port)") }
            headers.replaceOrAdd(name: "connection", value: "close")
            if request.method == .POST { headers.replaceOrAdd(name: "content-length", value: "0") }
            let head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.path, headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            context.fireChannelActive()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): status = Int(head.status.code)
            case .body(var part): if body.readableBytes < 1 << 20 { body.writeBuffer(&part) }
            case .end: promise.succeed(Response(status: status, body: String(buffer: body)))
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { promise.fail(ChannelError.eof) }
    }
}

extension Duration {
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// The duration in seconds, with fractions.
    var inSeconds: Double { Double(nanoseconds) / 1e9 }
}
