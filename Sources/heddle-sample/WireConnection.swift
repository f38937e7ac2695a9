import NIOCore
import NIOHTTP1

/// The client's side of one HTTP/1.1 connection: at most one exchange at a time.
///
/// Unchecked, because every member is read and written on the channel's event loop only.
final class WireConnection: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// Bytes of a body that are kept.
    static let bodyLimit = 64 * 1024

    private(set) var channel: (any Channel)?
    /// Exchanges begun so far.
    private(set) var uses = 0
    /// Whether any part of the current answer has arrived.
    private(set) var sawAnswer = false

    private var pending: EventLoopPromise<WireResponse>?
    private var head: HTTPResponseHead?
    private var body = ByteBuffer()
    private var failure: WireFailure?
    private var keepAlive = true
    private let onIdle: (WireConnection) -> Void
    private let onClose: (WireConnection) -> Void

    /// `onIdle` is called when an answer is complete and the connection may be used again, `onClose` when it has gone.
    init(onIdle: @escaping (WireConnection) -> Void, onClose: @escaping (WireConnection) -> Void) {
        self.onIdle = onIdle
        self.onClose = onClose
    }

    var isUsable: Bool { channel?.isActive == true && pending == nil && failure == nil }

    /// Sends the request; only one may be open. The future fails with a ``WireFailure``.
    func exchange(_ request: WireRequest, keepAlive: Bool) -> EventLoopFuture<WireResponse> {
        guard let channel, isUsable else {
            preconditionFailure("a connection in use or closed was handed out")
        }
        let promise = channel.eventLoop.makePromise(of: WireResponse.self)
        pending = promise
        uses += 1
        sawAnswer = false
        head = nil
        body.clear()
        self.keepAlive = keepAlive

        var headers = request.headers
        if !headers.contains(name: "host") { headers.add(name: "host", value: request.url.authority) }
        if !keepAlive { headers.replaceOrAdd(name: "connection", value: "close") }
        if let text = request.body { headers.replaceOrAdd(name: "content-length", value: String(text.utf8.count)) }
        let head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.url.path, headers: headers)
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if let text = request.body {
            channel.write(HTTPClientRequestPart.body(.byteBuffer(channel.allocator.buffer(string: text))), promise: nil)
        }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        return promise.futureResult
    }

    /// Gives the exchange up and closes.
    func abandon(_ failure: WireFailure) {
        fail(failure)
        channel?.close(promise: nil)
    }

    func close() { channel?.close(promise: nil) }

    func handlerAdded(context: ChannelHandlerContext) { channel = context.channel }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        sawAnswer = true
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            keepAlive = keepAlive && head.isKeepAlive
        case .body(var part):
            if body.readableBytes < Self.bodyLimit { body.writeBuffer(&part) }
        case .end:
            guard let head, let promise = pending else { return }
            guard head.status.code >= 200 else { return }
            pending = nil
            let text = String(buffer: body)
            if keepAlive { onIdle(self) } else { context.close(promise: nil) }
            promise.succeed(WireResponse(head: head, body: text))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(WireFailure(error))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.connectionClosed)
        onClose(self)
    }

    private func fail(_ failure: WireFailure) {
        self.failure = self.failure ?? failure
        guard let promise = pending else { return }
        pending = nil
        promise.fail(failure)
    }
}
