import NIOCore
import NIOHTTP1
import NIOPosix

/// A lean HTTP/1.1 client with a keep-alive pool, on one event loop.
///
/// It repeats a request in one case only, as every real client does: the connection was a reused one, it was lost
/// before a byte of the answer came, and the method is idempotent. Those repeats are counted (``connectionRetries``),
/// so that nothing is hidden. Unchecked, because every member is read and written on `loop` only.
final class WireClient: @unchecked Sendable {
    let loop: any EventLoop
    /// Requests repeated because a kept connection had been closed by the peer.
    private(set) var connectionRetries = 0
    private var idle: [String: [WireConnection]] = [:]

    init(loop: any EventLoop) { self.loop = loop }

    /// Sends one request. Fails with a ``WireFailure``; any status is a success here.
    ///
    /// - Parameters:
    ///   - reuse: take a kept connection, and keep this one afterwards.
    ///   - deadline: for all of it: resolving, connecting, sending, answer.
    func send(_ request: WireRequest, reuse: Bool = true, deadline: NIODeadline) -> EventLoopFuture<WireResponse> {
        loop.assertInEventLoop()
        if reuse, let connection = takeIdle(request.url.origin) {
            return exchange(request, on: connection, reuse: true, deadline: deadline)
                .flatMapError { error in
                    let failure = WireFailure(error)
                    guard failure.isLostConnection, !connection.sawAnswer, request.isIdempotent else {
                        return self.loop.makeFailedFuture(failure)
                    }
                    self.connectionRetries += 1
                    return self.sendFresh(request, reuse: true, deadline: deadline)
                }
        }
        return sendFresh(request, reuse: reuse, deadline: deadline)
    }

    /// Closes the kept connections.
    func closeIdle() {
        for connection in idle.values.joined() { connection.close() }
        idle = [:]
    }

    func resetCounts() { connectionRetries = 0 }

    private func takeIdle(_ origin: String) -> WireConnection? {
        while let connection = idle[origin]?.popLast() {
            if connection.isUsable { return connection }
        }
        return nil
    }

    private func sendFresh(
        _ request: WireRequest, reuse: Bool, deadline: NIODeadline
    ) -> EventLoopFuture<WireResponse> {
        let origin = request.url.origin
        let left = deadline - .now()
        guard left > .zero else { return loop.makeFailedFuture(WireFailure.timeout) }
        let connection = WireConnection(
            onIdle: { [weak self] connection in self?.idle[origin, default: []].append(connection) },
            onClose: { [weak self] connection in self?.idle[origin]?.removeAll { $0 === connection } })
        return ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connectTimeout(left)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
                    try pipeline.addHandler(connection)
                }
            }
            .connect(host: request.url.host, port: request.url.port)
            .flatMapErrorThrowing { throw WireFailure($0) }
            .flatMap { channel in
                guard connection.isUsable else {
                    return channel.eventLoop.makeFailedFuture(WireFailure.connectionClosed)
                }
                return self.exchange(request, on: connection, reuse: reuse, deadline: deadline)
            }
    }

    private func exchange(
        _ request: WireRequest, on connection: WireConnection, reuse: Bool, deadline: NIODeadline
    ) -> EventLoopFuture<WireResponse> {
        let answer = connection.exchange(request, keepAlive: reuse)
        let timer = loop.scheduleTask(deadline: deadline) { connection.abandon(.timeout) }
        answer.whenComplete { _ in timer.cancel() }
        return answer
    }
}
