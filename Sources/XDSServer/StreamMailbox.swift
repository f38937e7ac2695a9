import EnvoyAPI
import Synchronization

/// What comes to one stream: the proxy's requests, and the word that there may be something to send.
///
/// Requests are never dropped; wake-ups are merged while one is pending. The buffer is unbounded, but a proxy sends one
/// request for each response and each change of interest.
final class StreamMailbox: Sendable {
    enum Message: Sendable {
        case request(DeltaRequest)
        /// The wishes may have changed.
        case changed
        /// Time has passed for which the stream asked.
        case tick
    }

    private struct Pending {
        var isChanged = false
        var isTicking = false
    }

    let messages: AsyncStream<Message>
    private let continuation: AsyncStream<Message>.Continuation
    private let pending = Mutex(Pending())

    init() {
        (messages, continuation) = AsyncStream.makeStream(of: Message.self, bufferingPolicy: .unbounded)
    }

    func deliver(_ request: DeltaRequest) {
        continuation.yield(.request(request))
    }

    func notifyChanged() {
        let isNew = pending.withLock { pending in
            defer { pending.isChanged = true }
            return !pending.isChanged
        }
        if isNew { continuation.yield(.changed) }
    }

    func notifyTick() {
        let isNew = pending.withLock { pending in
            defer { pending.isTicking = true }
            return !pending.isTicking
        }
        if isNew { continuation.yield(.tick) }
    }

    /// The reader says so before it looks at the wishes: a change that comes later wakes it again.
    func willRead(_ message: Message) {
        pending.withLock { pending in
            switch message {
            case .request: break
            case .changed: pending.isChanged = false
            case .tick: pending.isTicking = false
            }
        }
    }

    /// Ends the stream. What is in the buffer is still read.
    func close() {
        continuation.finish()
    }
}
