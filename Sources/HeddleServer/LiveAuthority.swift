package import FoundationEssentials
package import KubeRuntime
package import Logging
import MeshIdentity
import ServiceLifecycle
import Synchronization

/// The authority as it is now, on one replica: follows the Secret, mends it, and moves rotations on.
///
/// Every replica runs one, leader or not. It looks at its start, when the Secret changes, and when the plan says that
/// something is due; in between it sends no request.
package final class LiveAuthority: Service {
    private let keeper: AuthorityKeeper
    private let plan: AuthorityPlan
    private let secrets: Store
    private let clock: AnyClock
    private let now: @Sendable () -> Date
    private let logger: Logger
    private let state: Mutex<AuthorityState>
    private let observers = Mutex<[@Sendable (AuthorityState) async -> Void]>([])

    /// The longest time between two looks; a clock that was set forward is noticed by then.
    private static let longestPause: Duration = .seconds(12 * 3600)

    /// Looks once: afterwards `current` is there.
    ///
    /// - Parameters:
    ///   - secrets: The store of the Secret, by its namespace and name.
    ///   - now: The wall clock.
    /// - Throws: as `AuthorityKeeper.refresh`.
    package init(
        keeper: AuthorityKeeper, plan: AuthorityPlan, secrets: Store, clock: AnyClock = .continuous,
        now: @escaping @Sendable () -> Date = { Date() }, logger: Logger
    ) async throws {
        self.keeper = keeper
        self.plan = plan
        self.secrets = secrets
        self.clock = clock
        self.now = now
        self.logger = logger
        let first = try await keeper.refresh(plan, known: nil, now: now())
        if let reason = first.written { logger.notice("authority's Secret written", metadata: ["why": "\(reason)"]) }
        state = Mutex(first.state)
    }

    package var current: AuthorityState { state.withLock { $0 } }

    /// Calls `body` after each change that pods, servers or the API server must learn of. To be called before `run()`.
    package func onChange(_ body: @escaping @Sendable (AuthorityState) async -> Void) {
        observers.withLock { $0.append(body) }
    }

    /// Puts the roots into a namespace, where the sidecars' agents read them.
    package func publishRoots(in namespace: String) async throws {
        try await keeper.publish(current.bundlePEM, in: namespace)
    }

    package func run() async {
        // One key: a look that is asked for while one is under way follows it.
        let queue = WorkQueue<String>(clock: clock)
        let subscription = secrets.observe { _ in queue.add(AuthorityKeeper.secretName) }
        defer { subscription.cancel() }
        // What changed between the look of `init` and the subscription is seen by this one.
        queue.add(AuthorityKeeper.secretName)
        await withGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await queue.run() }
                group.addTask {
                    while let key = await queue.next() {
                        do {
                            queue.add(key, after: try await self.look())
                            queue.forget(key)
                        } catch {
                            let delay = queue.retry(key)
                            self.logger.error(
                                "authority's Secret could not be looked after",
                                metadata: ["error": "\(error)", "retryIn": "\(delay)"])
                        }
                        queue.done(key)
                    }
                }
            }
        } onGracefulShutdown: {
            queue.shutDown()
        }
    }

    /// Looks once.
    /// - Returns: when to look again if nothing changes before.
    package func look() async throws -> Duration {
        let before = current
        let (after, written) = try await keeper.refresh(plan, known: before, now: now())
        if let written { logger.notice("authority's Secret written", metadata: ["why": "\(written)"]) }
        if let problem = after.problem, problem != before.problem {
            logger.error("authority's Secret cannot be used; the last one signs on", metadata: ["why": "\(problem)"])
        }
        state.withLock { $0 = after }
        if after.differs(from: before) {
            logger.notice("authority changed", metadata: ["until": "\(after.authority.notAfter)"])
            for observer in observers.withLock({ $0 }) { await observer(after) }
        }
        return pause(until: after.nextLook)
    }

    private func pause(until due: Date?) -> Duration {
        guard let due else { return Self.longestPause }
        return min(max(.seconds(due.timeIntervalSince(now())), .seconds(1)), Self.longestPause)
    }
}
