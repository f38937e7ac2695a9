import HeddleAPI
import KubeCore

/// Follows an object and shows its page at each change; on a terminal also each second, since ages grow. Elsewhere a page
/// follows only when its essence has changed.
struct PageFollower: Sendable {
    var follower: ObjectFollower
    var terminal: Terminal
    /// Between two looks without a change.
    var refresh: Duration = .seconds(1)

    private enum Signal: Sendable {
        case changed(KubeObject)
        case tick
    }

    /// - Parameters:
    ///   - page: makes the page of an object as it is now.
    ///   - isEnd: whether there is nothing more to wait for; asked at each change and each tick.
    func show<View: ScreenView>(
        page: (KubeObject) throws -> View, until isEnd: (KubeObject) async throws -> Bool
    ) async throws {
        let (follower, refresh) = (follower, refresh)
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Unbounded: changes come no faster than the API server's rate, and this loop takes them as they come.
            let (signals, sender) = AsyncThrowingStream<Signal, any Error>.makeStream()
            group.addTask {
                do {
                    try await follower.follow { object in
                        if case .terminated = sender.yield(.changed(object)) { return false }
                        return true
                    }
                    sender.finish()
                } catch {
                    sender.finish(throwing: error)
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    try await Task.sleep(for: refresh)
                    sender.yield(.tick)
                }
            }
            defer { group.cancelAll() }
            var current: KubeObject?
            var shown: String?
            var isFirst = true
            for try await signal in signals {
                var isChange = false
                if case .changed(let object) = signal { (current, isChange) = (object, true) }
                guard let current else { continue }
                if terminal.isInteractive || isChange {
                    let view = try page(current)
                    if terminal.isInteractive || isFirst || view.essence == nil || view.essence != shown {
                        terminal.redraw(view, isFirst: isFirst)
                        (isFirst, shown) = (false, view.essence)
                    }
                }
                if try await isEnd(current) { return }
            }
        }
    }
}
