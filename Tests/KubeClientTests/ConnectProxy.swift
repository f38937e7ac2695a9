import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An HTTP CONNECT and SOCKS5 proxy on 127.0.0.1 that leads to 127.0.0.1 only.
final class ConnectProxy: Sendable {
    private let requests = Mutex<[String]>([])
    private let user: String?

    private init(user: String?) { self.user = user }

    /// `CONNECT host:port` or `SOCKS host:port`, for each tunnel that was asked for.
    var asked: [String] { requests.withLock { $0 } }

    /// - Parameter user: `name:password` that it asks for.
    static func running(
        requiring user: String? = nil, during body: (ConnectProxy, Int) async throws -> Void
    ) async throws {
        let proxy = ConnectProxy(user: user)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Greeting(proxy))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body(proxy, channel.localAddress?.port ?? 0)
            try await channel.close()
        } catch {
            try? await channel.close()
            throw error
        }
    }

    /// Reads the head of the one request, then turns the connection into a tunnel.
    private final class Greeting: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let proxy: ConnectProxy
        private var head = ""
        private var other: (any Channel)?
        private var waiting: [ByteBuffer] = []

        init(_ proxy: ConnectProxy) { self.proxy = proxy }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            if let other {
                other.writeAndFlush(bytes, promise: nil)
                return
            }
            if head.hasSuffix("\r\n\r\n") {
                waiting.append(bytes)
                return
            }
            if head.isEmpty, bytes.readableBytesView.first == 5 {
                // SOCKS5 (RFC 1928): a greeting, then a request for an IPv4 address.
                let view = Array(bytes.readableBytesView)
                if view.count < 10 {
                    context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [5, 0])), promise: nil)
                } else {
                    head = "\r\n\r\n"
                    let host = view[4..<8].map { String($0) }.joined(separator: ".")
                    let port = Int(view[8]) << 8 | Int(view[9])
                    proxy.requests.withLock { $0.append("SOCKS \(host):\(port)") }
                    connect(to: port, answer: ByteBuffer(bytes: [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]), context: context)
                }
                return
            }
            head += String(buffer: bytes)
            guard head.hasSuffix("\r\n\r\n") else { return }
            let lines = head.split(separator: "\r\n")
            let words = lines[0].split(separator: " ")
            proxy.requests.withLock { $0.append(words.prefix(2).joined(separator: " ")) }
            if let user = proxy.user {
                let expected = "proxy-authorization: basic " + Data(user.utf8).base64EncodedString().lowercased()
                guard lines.contains(where: { $0.lowercased() == expected }) else {
                    return refuse("407 Proxy Authentication Required", context: context)
                }
            }
            let target = words[1].split(separator: ":")
            guard target.count == 2, target[0] == "127.0.0.1", let port = Int(target[1]) else {
                return refuse("403 Forbidden", context: context)
            }
            connect(to: port, answer: ByteBuffer(string: "HTTP/1.1 200 OK\r\n\r\n"), context: context)
        }

        private func connect(to port: Int, answer: ByteBuffer, context: ChannelHandlerContext) {
            let client = context.channel
            let this = NIOLoopBound(self, eventLoop: context.eventLoop)
            ClientBootstrap(group: context.eventLoop)
                .channelInitializer { $0.pipeline.addHandler(Back(to: client)) }
                .connect(host: "127.0.0.1", port: port)
                .whenSuccess { server in
                    client.writeAndFlush(answer, promise: nil)
                    this.value.other = server
                    for bytes in this.value.waiting { server.writeAndFlush(bytes, promise: nil) }
                }
        }

        private func refuse(_ status: String, context: ChannelHandlerContext) {
            let text = "HTTP/1.1 \(status)\r\ncontent-length: 0\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { other?.close(promise: nil) }
    }

    /// The way back from the server.
    private final class Back: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let client: any Channel

        init(to client: any Channel) { self.client = client }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            client.writeAndFlush(unwrapInboundIn(data), promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { client.close(promise: nil) }
    }
}
