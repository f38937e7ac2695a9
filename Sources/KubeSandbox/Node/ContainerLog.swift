import Foundation
import KubeCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One run's output of a container, as lines in the format of the container runtime interface:
/// `2026-01-31T12:00:00.000000000Z stdout F text`.
final class ContainerLog: Sendable {
    private struct State {
        var isOpen = true
        var unfinished: [String: [UInt8]] = [:]
        var followers: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextFollower = 0
    }

    let path: String
    private let descriptor: Int32
    private let state = Mutex(State())

    init(path: String) throws(SandboxError) {
        self.path = path
        let directory = String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.endIndex))
        try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw SandboxError("cannot write the log \(path): errno \(errno)") }
    }

    deinit { close(descriptor) }

    /// Copies a container's output until its end.
    func record(stdout: Int32, stderr: Int32) async {
        await withDiscardingTaskGroup { group in
            for (name, source) in [("stdout", stdout), ("stderr", stderr)] {
                group.addTask {
                    for await part in bytes(from: source) { self.append(part, stream: name) }
                    self.flush(stream: name)
                }
            }
        }
        finish()
    }

    private func append(_ part: [UInt8], stream: String) {
        let time = Self.timestamp()
        state.withLock { state in
            var pending = (state.unfinished[stream] ?? []) + part
            var text: [UInt8] = []
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                text += Array("\(time) \(stream) F ".utf8) + pending[...end]
                pending = Array(pending[(end + 1)...])
            }
            // A line without an end is cut at 16 KiB, as by containerd.
            if pending.count > 16_384 {
                text += Array("\(time) \(stream) P ".utf8) + pending + [UInt8(ascii: "\n")]
                pending = []
            }
            state.unfinished[stream] = pending
            write(text, to: &state)
        }
    }

    private func flush(stream: String) {
        let time = Self.timestamp()
        state.withLock { state in
            guard let rest = state.unfinished.removeValue(forKey: stream), !rest.isEmpty else { return }
            write(Array("\(time) \(stream) F ".utf8) + rest + [UInt8(ascii: "\n")], to: &state)
        }
    }

    private func write(_ text: [UInt8], to state: inout State) {
        var rest = text[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        for follower in state.followers.values { follower.yield() }
    }

    private func finish() {
        let followers = state.withLock { state in
            state.isOpen = false
            return state.followers.values.map(\.self)
        }
        for follower in followers { follower.finish() }
    }

    /// The log's bytes from its start; when following, until the container ends.
    func contents(following: Bool) -> AsyncStream<[UInt8]> {
        AsyncStream { continuation in
            let bell = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
            let id = state.withLock { state in
                state.nextFollower += 1
                if state.isOpen && following {
                    state.followers[state.nextFollower] = bell.continuation
                } else {
                    bell.continuation.finish()
                }
                return state.nextFollower
            }
            let task = Task { [path] in
                let file = open(path, O_RDONLY | O_CLOEXEC)
                defer { close(file) }
                func drain() {
                    var buffer = [UInt8](repeating: 0, count: 65_536)
                    while case let count = read(file, &buffer, buffer.count), count > 0 {
                        continuation.yield(Array(buffer[..<count]))
                    }
                }
                drain()
                for await _ in bell.stream { drain() }
                drain()
                continuation.finish()
            }
            continuation.onTermination = { [weak self] _ in
                task.cancel()
                _ = self?.state.withLock { $0.followers.removeValue(forKey: id) }
            }
        }
    }

    /// RFC 3339 with nanoseconds.
    private static func timestamp() -> String {
        let now = Date()
        let nanoseconds = Int((now.timeIntervalSince1970.truncatingRemainder(dividingBy: 1)) * 1e9)
        let digits = String(nanoseconds)
        return KubeTime.format(now).dropLast() + "." + String(repeating: "0", count: max(0, 9 - digits.utf8.count))
            + digits + "Z"
    }
}
