import NIOCore
import NIOPosix

/// The cluster's DNS over UDP and TCP, on the node's address.
struct DNSServer: Sendable {
    let names: ClusterNames
    let host: String
    let port: Int
    let group: any EventLoopGroup

    /// Serves until cancelled.
    /// - Throws: when a port cannot be bound.
    func run(ready: Latch) async throws {
        let names = names
        let udp = try await DatagramBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramAnswers(names: names))
                }
            }
            .bind(host: host, port: port).get()
        let tcp = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(StreamAnswers(names: names))
                }
            }
            .bind(host: host, port: port).get()
        ready.open()
        await Latch().wait()
        try? await udp.close()
        try? await tcp.close()
    }
}

private final class DatagramAnswers: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let names: ClusterNames

    init(names: ClusterNames) { self.names = names }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        guard let answer = names.answer(Array(envelope.data.readableBytesView), limit: 512) else { return }
        context.writeAndFlush(
            wrapOutboundOut(AddressedEnvelope(remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer))),
            promise: nil)
    }

    // A peer that is gone answers with ICMP; the socket goes on.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// Messages over TCP have their length before them.
private final class StreamAnswers: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let names: ClusterNames
    private var pending = ByteBuffer()

    init(names: ClusterNames) { self.names = names }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var part = unwrapInboundIn(data)
        pending.writeBuffer(&part)
        while let query = pending.readLengthPrefixedSlice(as: UInt16.self) {
            guard let answer = names.answer(Array(query.readableBytesView), limit: 65_535) else {
                context.close(promise: nil)
                return
            }
            var buffer = ByteBuffer()
            buffer.writeInteger(UInt16(answer.count))
            buffer.writeBytes(answer)
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        }
        pending.discardReadBytes()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
