import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Sends one request after the other, on a thread of its own since each blocks, until it is told to stop.
final class TinyLoad: Sendable {
    private struct State {
        var total = 0
        var bad: [String: Int] = [:]
        var isStopped = false
    }

    private let state = Mutexed(State())

    init(port: UInt32) {
        Thread.detachNewThread { [state] in
            while !state.value.isStopped {
                let status = TinyHTTP.status(port: port)
                state.withLock { state in
                    guard !state.isStopped else { return }
                    state.total += 1
                    if status != 200 { state.bad[status.map(String.init) ?? "none", default: 0] += 1 }
                }
            }
        }
    }

    func stop() { state.withLock { $0.isStopped = true } }
    var total: Int { state.value.total }
    /// Answers other than 200 and their number.
    var bad: [String: Int] { state.value.bad }
}

/// One HTTP/1.1 request over a connection of its own. It blocks for at most `seconds`.
enum TinyHTTP {
    /// The status of the answer, or nil when there is none.
    static func status(port: UInt32, path: String = "/", seconds: Int = 2) -> Int? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = loopback(port)
        guard connected(descriptor, &address) else { return nil }
        let request = Array("GET \(path) HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n".utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { return nil }
        var answer = [UInt8](repeating: 0, count: 64)
        let count = recv(descriptor, &answer, answer.count, 0)
        guard count >= 12 else { return nil }
        return Int(String(decoding: answer[9..<12], as: UTF8.self))
    }

    /// A port of 127.0.0.1 that is free at this moment.
    static func freePort() -> UInt32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, size)
                getsockname(descriptor, $0, &size)
            }
            return UInt32(UInt16(bigEndian: pointer.pointee.sin_port))
        }
    }

    private static func loopback(_ port: UInt32) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return address
    }

    private static func connected(_ descriptor: Int32, _ address: inout sockaddr_in) -> Bool {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
