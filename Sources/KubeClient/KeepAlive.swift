import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Makes the kernel ask a silent peer whether it is still there, so that a watch whose server vanished without a word
/// (a lost node, a forgotten NAT entry) ends after about a minute instead of at its timeout.
enum KeepAlive {
    @Sendable static func enable(on channel: any Channel) -> EventLoopFuture<Void> {
        var settings = [channel.setOption(.socketOption(.so_keepalive), value: 1)]
        #if os(Linux)
            for (name, value) in [(TCP_KEEPIDLE, 30), (TCP_KEEPINTVL, 10), (TCP_KEEPCNT, 3)] as [(CInt, CInt)] {
                let option = ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: name))
                settings.append(channel.setOption(option, value: SocketOptionValue(value)))
            }
        #endif
        // A connection without it is better than none.
        return EventLoopFuture.andAllComplete(settings, on: channel.eventLoop)
    }
}
