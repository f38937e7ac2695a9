import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// One request as the server saw it.
struct SeenRequest: Sendable {
    var method: String
    var uri: String
    var headers: HTTPHeaders
    var body: String

    /// Method and path with query.
    var line: String { "\(method) \(uri)" }
}

enum Answer: Sendable {
    case json(Int, String, headers: [String: String] = [:])
    /// The texts as they come, each flushed; the response ends with the stream.
    case stream(AsyncStream<String>)
    /// Closes the connection without an answer.
    case drop
    /// Promises a body of so many bytes, sends this text, and closes the connection.
    case cut(String, promisedBytes: Int)
    /// Answers nothing and keeps the connection.
    case silence

    static func ok(_ body: String = "{}") -> Answer { .json(200, body) }
    static func status(_ code: Int, _ reason: String, headers: [String: String] = [:]) -> Answer {
        .json(
            code,
            #"{"kind":"Status","status":"Failure","code":\#(code),"reason":"\#(reason)","message":"m"}"#,
            headers: headers)
    }
}

/// An HTTP/1.1 server on 127.0.0.1 that answers as a test's closure says.
final class LocalServer: Sendable {
    typealias Script = @Sendable (_ request: SeenRequest, _ number: Int) -> Answer

    private let requests = Mutex<[SeenRequest]>([])
    private let connections = Mutex(0)
    private let channel: Mutex<(any Channel)?> = Mutex(nil)
    private let script: Script

    private init(_ script: @escaping Script) { self.script = script }

    var seen: [SeenRequest] { requests.withLock { $0 } }
    var connectionCount: Int { connections.withLock { $0 } }

    /// Runs a server for the time of `body`, which gets it and its port.
    static func serving<Result>(
        tls: NIOSSLContext? = nil, _ script: @escaping Script, during body: (LocalServer, Int) async throws -> Result
    ) async throws -> Result {
        let server = LocalServer(script)
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                server.connections.withLock { $0 += 1 }
                return channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Exchange(server))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            let result = try await body(server, channel.localAddress?.port ?? 0)
            try await channel.close()
            return result
        } catch {
            try? await channel.close()
            throw error
        }
    }

    private func answer(_ request: SeenRequest) -> Answer {
        let number = requests.withLock { requests in
            requests.append(request)
            return requests.count
        }
        return script(request, number)
    }

    private final class Exchange: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart
        private let server: LocalServer
        private var head: HTTPRequestHead?
        private var body = ""

        init(_ server: LocalServer) { self.server = server }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                self.head = head
                body = ""
            case .body(let buffer): body += String(buffer: buffer)
            case .end:
                guard let head else { return }
                let request = SeenRequest(
                    method: head.method.rawValue, uri: head.uri, headers: head.headers, body: body)
                respond(server.answer(request), on: context.channel)
            }
        }

        private func respond(_ answer: Answer, on channel: any Channel) {
            switch answer {
            case .silence: break
            case .drop: channel.close(promise: nil)
            case .cut(let text, let size):
                let head = HTTPResponseHead(
                    version: .http1_1, status: .ok,
                    headers: ["content-type": "application/json", "content-length": "\(size)"])
                channel.write(HTTPServerResponsePart.head(head), promise: nil)
                channel.writeAndFlush(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))))
                    .whenComplete { _ in channel.close(promise: nil) }
            case .json(let code, let text, let more):
                var headers = HTTPHeaders(more.map { ($0.key, $0.value) })
                headers.add(name: "content-type", value: "application/json")
                headers.add(name: "content-length", value: String(text.utf8.count))
                let head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: code), headers: headers)
                channel.write(HTTPServerResponsePart.head(head), promise: nil)
                channel.write(HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))), promise: nil)
                channel.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
            case .stream(let chunks):
                let head = HTTPResponseHead(
                    version: .http1_1, status: .ok, headers: ["content-type": "application/json"])
                channel.writeAndFlush(HTTPServerResponsePart.head(head), promise: nil)
                Task {
                    for await text in chunks {
                        try await channel.writeAndFlush(
                            HTTPServerResponsePart.body(.byteBuffer(ByteBuffer(string: text))))
                    }
                    try await channel.writeAndFlush(HTTPServerResponsePart.end(nil))
                }
            }
        }
    }
}
