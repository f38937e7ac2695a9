import ArgumentParser
import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// `heddle-sample call`
struct CallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "call",
        abstract: "Send one request; print the status line, then the body.",
        discussion: """
            Exit status, as curl --fail has it: 0 for an answer below 400, 22 for one from 400 up, 28 for a timeout, 7
            for any other connection failure (named on standard error). A tcp://host:port URL sends --data and prints
            what comes back.
            """)

    @Argument(help: "http://host:port/path, or tcp://host:port") var url: String
    @Option(help: "HTTP method.") var method = "GET"
    @Option(name: [.customLong("header"), .customShort("H")], help: "Header 'name: value'; may be repeated.")
    var headers: [String] = []
    @Option(help: "Body to send.") var data: String?
    @Option(help: "Limit for the whole request.") var timeoutMs = 5000
    @Flag(help: "Print the answer's headers too.") var showHeaders = false

    func run() throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        do {
            if url.hasPrefix("tcp://") {
                print(try exchangeText(on: loop))
                return
            }
            let response = try send(on: loop)
            print("\(response.status) \(response.head.status.reasonPhrase)")
            if showHeaders { for (name, value) in response.head.headers { print("\(name): \(value)") } }
            print(response.body, terminator: response.body.hasSuffix("\n") ? "" : "\n")
            if !response.isSuccess { throw ExitCode(22) }
        } catch let failure as WireFailure {
            let line = "\(url): \(failure)\n"
            _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
            throw ExitCode(failure == .timeout || failure == .connectTimeout ? 28 : 7)
        }
    }

    private func send(on loop: any EventLoop) throws -> WireResponse {
        let request = WireRequest(
            url: try WireURL(url), method: HTTPMethod(rawValue: method.uppercased()),
            headers: try parseHeaders(headers),
            body: data)
        let limit = TimeAmount.milliseconds(Int64(timeoutMs))
        return try loop.flatSubmit { WireClient(loop: loop).send(request, reuse: false, deadline: .now() + limit) }
            .wait()
    }

    /// Sends the text over TCP, and gives what has come back when as many bytes have.
    private func exchangeText(on loop: any EventLoop) throws -> String {
        let target = try WireURL("http://" + url.dropFirst("tcp://".count))
        let text = data ?? "ping"
        let promise = loop.makePromise(of: String.self)
        let limit = TimeAmount.milliseconds(Int64(timeoutMs))
        loop.scheduleTask(in: limit) { promise.fail(WireFailure.timeout) }
        ClientBootstrap(group: loop)
            .connectTimeout(limit)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EchoReader(expecting: text, promise: promise))
                }
            }
            .connect(host: target.host, port: target.port)
            .whenFailure { promise.fail(WireFailure($0)) }
        return try promise.futureResult.wait()
    }
}

/// Sends a text once connected and reads as many bytes back.
private final class EchoReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let text: String
    private let promise: EventLoopPromise<String>
    private var received = ByteBuffer()

    init(expecting text: String, promise: EventLoopPromise<String>) {
        self.text = text
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = unwrapInboundIn(data)
        received.writeBuffer(&part)
        guard received.readableBytes >= text.utf8.count else { return }
        promise.succeed(String(buffer: received))
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(WireFailure(error))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) { promise.fail(WireFailure.connectionClosed) }
}

/// Writes out what `print` has buffered; a log that is read through a pipe should not lag.
func flushOutput() { fflush(nil) }
