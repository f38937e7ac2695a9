import NIOCore
import NIOPosix

/// Passes connections from a listening socket on to an address; both directions, half-closes too.
struct PortRelay: Sendable {
    /// A listening socket that the relay takes over, which may belong to another network namespace.
    let listener: CInt
    /// Asked anew for each connection, so that a Service may come later.
    let target: SandboxNamespace.Publication
    let names: ClusterNames
    let group: any EventLoopGroup

    /// Relays until cancelled.
    func run() async throws {
        let relay = self
        let server = try await ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { inbound in
                guard let target = relay.address else { return inbound.close() }
                return ClientBootstrap(group: inbound.eventLoop)
                    .channelOption(.allowRemoteHalfClosure, value: true)
                    .channelOption(.autoRead, value: false)
                    .connectTimeout(.seconds(5))
                    .connect(to: target)
                    .flatMapThrowing { outbound in
                        let (near, far) = RelayHandler.pair()
                        try inbound.pipeline.syncOperations.addHandler(near)
                        try outbound.pipeline.syncOperations.addHandler(far)
                        // Both handlers are in place only now.
                        outbound.read()
                    }
            }
            .withBoundSocket(listener).get()
        await Latch().wait()
        try? await server.close()
    }
}

extension PortRelay {
    fileprivate var address: SocketAddress? {
        if ServiceRules.isIPv4(target.host) { return try? SocketAddress(ipAddress: target.host, port: target.port) }
        guard case .addresses(let found) = names.resolve("\(target.host).svc.\(ClusterNames.domain)"),
            let first = found.first
        else { return nil }
        return try? SocketAddress(ipAddress: first, port: target.port)
    }
}

/// One side of a relayed connection: reads only as fast as the other side writes.
private final class RelayHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private var partner: RelayHandler?
    private var context: ChannelHandlerContext?
    private var wantsRead = false

    static func pair() -> (RelayHandler, RelayHandler) {
        let (first, second) = (RelayHandler(), RelayHandler())
        first.partner = second
        second.partner = first
        return (first, second)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { context.read() }
    }

    func channelActive(context: ChannelHandlerContext) { context.read() }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        partner = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { partner?.context?.write(data, promise: nil) }

    func channelReadComplete(context: ChannelHandlerContext) {
        partner?.context?.flush()
        if partner?.context?.channel.isWritable ?? false { context.read() } else { wantsRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable, let partner, partner.wantsRead else { return }
        partner.wantsRead = false
        partner.context?.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent {
            partner?.context?.close(mode: .output, promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) { partner?.context?.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
