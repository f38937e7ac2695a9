import Foundation
package import KubeCore
import Synchronization

/// The logs of all containers of the node, for `kubectl logs`.
package final class PodLogs: PodLogSource {
    private struct Key: Hashable {
        var pod: ObjectKey
        var container: String
    }
    /// The present run's log and the one before.
    private let logs = Mutex<[Key: (current: ContainerLog, previous: ContainerLog?)]>([:])

    package init() {}

    func begin(_ pod: ObjectKey, container: String, path: String) throws(SandboxError) -> ContainerLog {
        let log = try ContainerLog(path: path)
        let key = Key(pod: pod, container: container)
        logs.withLock { logs in logs[key] = (log, logs[key]?.current) }
        return log
    }

    func forget(_ pod: ObjectKey) { logs.withLock { $0 = $0.filter { $0.key.pod != pod } } }

    package func log(of pod: KubeObject, _ options: PodLogOptions) async throws(APIError) -> AsyncStream<[UInt8]> {
        let entry = logs.withLock { $0[Key(pod: pod.key, container: options.container)] }
        guard let entry, let log = options.previous ? entry.previous : entry.current else {
            let what = options.previous ? "previous terminated container" : "container"
            throw APIError(
                code: 400, reason: "BadRequest",
                message: entry == nil
                    ? "\(what) \"\(options.container)\" in pod \"\(pod.name)\" is waiting to start"
                    : "\(what) \"\(options.container)\" in pod \"\(pod.name)\" not found")
        }
        return Self.format(log, options)
    }

    private static func format(_ log: ContainerLog, _ options: PodLogOptions) -> AsyncStream<[UInt8]> {
        let since = options.sinceSeconds.map { KubeTime.format(Date().addingTimeInterval(-Double($0))) }
        // What is there now is cut to the tail; what follows comes whole.
        var skip = 0
        if let tail = options.tailLines {
            let present = FileManager.default.contents(atPath: log.path) ?? Data()
            skip = max(0, present.count { $0 == UInt8(ascii: "\n") } - tail)
        }
        let source = log.contents(following: options.follow)
        return AsyncStream { continuation in
            let task = Task { [skip] in
                var pending: [UInt8] = []
                var left = skip
                var budget = options.limitBytes ?? .max
                for await part in source {
                    pending += part
                    var text: [UInt8] = []
                    while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                        let line = pending[...end]
                        pending = Array(pending[(end + 1)...])
                        if left > 0 {
                            left -= 1
                            continue
                        }
                        text += Self.format(line, timestamps: options.timestamps, since: since)
                    }
                    text = Array(text.prefix(budget))
                    budget -= text.count
                    if !text.isEmpty { continuation.yield(text) }
                    if budget == 0 { break }
                }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// One line without its prefix; nothing when it is too old.
    private static func format(_ line: ArraySlice<UInt8>, timestamps: Bool, since: String?) -> [UInt8] {
        let parts = line.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return [] }
        if let since, String(decoding: parts[0].prefix(19), as: UTF8.self) < since.prefix(19) { return [] }
        var text = Array(parts[3])
        if parts[2].first == UInt8(ascii: "P") { text.removeLast() }
        return timestamps ? Array(parts[0]) + [UInt8(ascii: " ")] + text : text
    }
}
