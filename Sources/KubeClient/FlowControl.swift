import KubeCore
import Synchronization

/// Keeps a client's requests below a rate, so that a storm of work here does not become one at the API server.
///
/// Urgent requests (leases) never wait, though they count: leader election goes on whatever the controllers do.
final class FlowControl: Sendable {
    /// Nil lets everything through.
    private let bucket: Mutex<TokenBucket?>
    private let now: @Sendable () -> Duration
    private let sleep: @Sendable (Duration) async throws -> Void

    /// - Parameter perSecond: nil lets everything through.
    init(
        perSecond: Double?, burst: Int,
        now: @escaping @Sendable () -> Duration = { ContinuousClock.now - FlowControl.start },
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.now = now
        self.sleep = sleep
        bucket = Mutex(perSecond.map { TokenBucket(perSecond: $0, burst: burst, now: now()) })
    }

    private static let start = ContinuousClock.now

    /// Waits until a request may go.
    /// - Parameter limit: the longest wait that is of use; more is an error at once.
    /// - Returns: how long it waited.
    /// - Throws: `APIError` of code 0 and reason `Throttled`, which has had no effect; `CancellationError`.
    func admit(_ call: HTTPCall, waitingAtMost limit: Duration) async throws -> Duration {
        let wait = bucket.withLock { bucket -> Duration? in
            guard let wait = bucket?.take(now: now()), !call.isUrgent else { return .zero }
            if wait == .zero || wait < limit { return wait }
            bucket?.giveBack()
            return nil
        }
        guard let wait else {
            throw APIError(
                code: 0, reason: "Throttled",
                message: "\(call.name): not sent, as this client's own rate limit would hold it beyond its deadline")
        }
        if wait > .zero {
            do {
                try await sleep(wait)
            } catch {
                bucket.withLock { $0?.giveBack() }
                throw error
            }
        }
        return wait
    }
}
