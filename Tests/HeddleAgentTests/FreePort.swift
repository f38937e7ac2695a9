import NIOCore
import NIOPosix
import Synchronization

/// TCP ports of 127.0.0.1 for programs that must be told theirs.
///
/// They lie below the range from which the kernel takes ports for outgoing connections, and none is given twice, so
/// that tests that run at the same time do not meet.
enum FreePort {
    struct None: Error {}

    private static let given = Mutex<Set<Int>>([])

    static func any() throws -> Int {
        for _ in 0..<100 {
            let port = Int.random(in: 20_000..<32_000)
            guard given.withLock({ $0.insert(port).inserted }) else { continue }
            let bound = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).bind(
                host: "127.0.0.1", port: port)
            guard let channel = try? bound.wait() else { continue }
            try channel.close().wait()
            return port
        }
        throw None()
    }
}
