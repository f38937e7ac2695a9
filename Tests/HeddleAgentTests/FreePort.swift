import NIOCore
import NIOPosix

/// A TCP port of 127.0.0.1 that nobody used a moment ago.
enum FreePort {
    struct None: Error {}

    static func any() throws -> Int {
        let channel = try ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(host: "127.0.0.1", port: 0)
            .wait()
        defer { try? channel.close().wait() }
        guard let port = channel.localAddress?.port else { throw None() }
        return port
    }
}
