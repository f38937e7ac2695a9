import NIOCore
import NIOHTTP1

/// One HTTP answer, complete.
struct Reply: Sendable {
    var status: HTTPResponseStatus
    var headers: HTTPHeaders = [:]
    var body: String

    static func text(_ body: String, status: HTTPResponseStatus = .ok) -> Reply {
        Reply(status: status, headers: ["content-type": "text/plain; charset=utf-8"], body: body)
    }

    static func json(_ body: String, status: HTTPResponseStatus = .ok) -> Reply {
        Reply(status: status, headers: ["content-type": "application/json"], body: body)
    }
}

/// What answers requests. Both methods are called on the event loop of the connection.
protocol Answerer: AnyObject, Sendable {
    /// Answers the request, in time; the future must complete on the caller's event loop.
    func answer(_ head: HTTPRequestHead) -> EventLoopFuture<Reply>
    /// Is given a request's body, part by part, before `answer`. Bodies are dropped unless it is implemented.
    func receive(_ part: ByteBuffer, of head: HTTPRequestHead, on connection: ObjectIdentifier)
    /// True when connections should end after their current answer.
    var isClosing: Bool { get }
}

extension Answerer {
    func receive(_ part: ByteBuffer, of head: HTTPRequestHead, on connection: ObjectIdentifier) {}
}

/// The server's side of one HTTP/1.1 connection: one request at a time, keep-alive unless either side ends it.
///
/// Used behind NIO's pipelining assistance, so a second request waits for the
/// first one's answer.
final class ReplyHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answerer: any Answerer
    private var head: HTTPRequestHead?

    init(_ answerer: any Answerer) { self.answerer = answerer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body(let part):
            if let head { answerer.receive(part, of: head, on: ObjectIdentifier(self)) }
        case .end:
            guard let head else { return }
            self.head = nil
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            answerer.answer(head).whenComplete { result in
                let (handler, context) = bound.value
                let reply: Reply
                switch result {
                case .success(let answer): reply = answer
                case .failure(let error): reply = .text("\(error)\n", status: .internalServerError)
                }
                handler.write(reply, to: head, context: context)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func write(_ reply: Reply, to request: HTTPRequestHead, context: ChannelHandlerContext) {
        guard context.channel.isActive else { return }
        let keepAlive = request.isKeepAlive && !answerer.isClosing
        var headers = reply.headers
        headers.replaceOrAdd(name: "content-length", value: String(reply.body.utf8.count))
        if !keepAlive { headers.replaceOrAdd(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: request.version, status: reply.status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD, !reply.body.isEmpty {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: reply.body)))), promise: nil)
        }
        let sent = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !keepAlive {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            sent.whenComplete { _ in bound.value.close(promise: nil) }
        }
    }
}
