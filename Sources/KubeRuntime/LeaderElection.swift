package import FoundationEssentials
package import KubeCore
package import Logging
import ServiceLifecycle
import Synchronization

/// The lead was lost: it could not be renewed in time, or somebody else has it.
package struct LeadershipLost: Error, Sendable, Hashable, CustomStringConvertible {
    package var holder: String
    package var description: String {
        holder.isEmpty ? "leadership could not be renewed in time" : "leadership went to \(holder)"
    }
}

/// Runs work on one replica at a time, by a Lease as other Kubernetes controllers use it.
///
/// The leader writes the Lease each `retryPeriod`; a replica that waits reads it each `standbyPeriod`. Writes of the work
/// go through `FencedAPI`, which closes at the moment when the lead is no longer certain.
package final class LeaderElection: Sendable {
    let clock: AnyClock
    let metrics: LeaderMetrics
    private let api: any ClusterAPI
    private let date: @Sendable () -> Date
    private let random: @Sendable () -> Double
    private let logger: Logger
    private let configuration: LeaseClaim.Configuration
    private let claim: Mutex<LeaseClaim>

    package init(
        api: any ClusterAPI, configuration: LeaseClaim.Configuration, clock: AnyClock = .continuous,
        metrics: LeaderMetrics? = nil, logger: Logger,
        date: @escaping @Sendable () -> Date = { Date() },
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.api = api
        self.configuration = configuration
        self.clock = clock
        self.metrics = metrics ?? LeaderMetrics(lease: configuration.name)
        self.date = date
        self.random = random
        claim = Mutex(LeaseClaim(configuration, at: clock.now))
        var logger = logger
        logger[metadataKey: "lease"] = "\(configuration.namespace)/\(configuration.name)"
        logger[metadataKey: "identity"] = "\(configuration.identity)"
        self.logger = logger
    }

    package var isLeading: Bool { claim.withLock { $0.isLeading(at: clock.now) } }
    /// Until when the lead is certain; nil when it is not ours.
    package var deadline: AnyClock.Instant? { claim.withLock(\.deadline) }
    /// Who holds the Lease as far as was seen; empty when nobody does.
    package var holder: String { claim.withLock(\.holder) }

    /// Waits for the lead and runs `body` while it lasts.
    ///
    /// The body is cancelled `renewDeadline` after the last renewal that succeeded, which is before any other replica may
    /// lead, and whatever the API does. When the body ends by itself or by cancellation, the Lease is handed over, so that
    /// another replica may lead at once. Graceful shutdown ends the waiting; a body answers it itself.
    /// - Throws: `LeadershipLost`; `CancellationError` while waiting; what the body throws.
    package func withLeadership<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws
        -> Result
    {
        try await cancelWhenGracefulShutdown { try await self.acquire() }
        logger.info("leading")
        metrics.became(leading: true)
        defer { metrics.became(leading: false) }
        let outcome = await withTaskGroup(of: Outcome<Result>.self) { group in
            group.addTask {
                do {
                    return .ended(.success(try await body()))
                } catch {
                    return .ended(.failure(error))
                }
            }
            group.addTask { await self.renew() }
            group.addTask { await self.guardDeadline() }
            // The first loss or end decides; a body that ends because of a loss does not count as ended. When this task is
            // cancelled nothing is lost: the lead is kept until the body has ended, and then handed over.
            var outcome: Outcome<Result>?
            for await next in group {
                if case .stopped = next { continue }
                if outcome == nil { outcome = next }
                group.cancelAll()
            }
            return outcome ?? .lost
        }
        switch outcome {
        case .ended(let result):
            await release()
            return try result.get()
        case .lost, .stopped:
            let holder = claim.withLock { claim in
                claim.giveUp(at: clock.now)
                return claim.holder
            }
            logger.error("leadership lost", metadata: ["holder": "\(holder)"])
            throw LeadershipLost(holder: holder == configuration.identity ? "" : holder)
        }
    }

    private enum Outcome<Result: Sendable>: Sendable {
        case ended(Swift.Result<Result, any Error>)
        case lost
        /// Renewing or guarding ended because it was told to.
        case stopped
    }

    private func acquire() async throws {
        var lastProblem = ""
        while true {
            try Task.checkCancellation()
            do throws(APIError) {
                try await bounded { () async throws(APIError) in
                    let found = try await self.find()
                    self.claim.withLock { $0.observe(found, at: self.clock.now) }
                    try await self.write()
                }
                lastProblem = ""
            } catch {
                if !error.isConflict, !error.isAlreadyExists, error.description != lastProblem, !Task.isCancelled {
                    lastProblem = error.description
                    logger.warning("the lease could not be read or written", metadata: ["error": "\(error)"])
                }
            }
            if isLeading { return }
            try await clock.sleep(for: configuration.standbyPeriod * (1 + 0.2 * random()))
        }
    }

    private func find() async throws(APIError) -> KubeObject? {
        try await api.find(.leases, namespace: configuration.namespace, name: configuration.name)
    }

    /// Gives a try up in time for another one before the deadline, should the API hang.
    private func bounded(_ body: @escaping @Sendable () async throws(APIError) -> Void) async throws(APIError) {
        let limit = (configuration.renewDeadline - configuration.retryPeriod) / 2
        let outcome = await withTaskGroup(of: Result<Void, APIError>?.self) { group in
            group.addTask { await Result(body) }
            group.addTask { [clock] in
                try? await clock.sleep(for: limit)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .failure(APIError(code: 0, reason: "Timeout", message: "no answer within \(limit)"))
        }
        try outcome.get()
    }

    /// Writes what the claim asks for.
    private func write() async throws(APIError) {
        let sentAt = clock.now
        let written: KubeObject
        switch claim.withLock({ $0.next(at: sentAt, date: date()) }) {
        case .create(let lease): written = try await api.create(.leases, lease)
        case .update(let lease): written = try await api.update(.leases, lease)
        case .wait(let holder):
            logger.debug("waiting for the lead", metadata: ["holder": "\(holder)"])
            return
        }
        claim.withLock { $0.confirm(written, sentAt: sentAt, at: clock.now) }
    }

    /// Keeps the lead until cancelled; returns when it has gone to somebody else.
    private func renew<Result>() async -> Outcome<Result> {
        while !Task.isCancelled {
            try? await clock.sleep(for: configuration.retryPeriod)
            if Task.isCancelled { break }
            do throws(APIError) {
                try await bounded { () async throws(APIError) in try await self.writeOrObserve() }
                if !isLeading { return .lost }
                metrics.renewed(true)
            } catch {
                metrics.renewed(false)
                if !Task.isCancelled { logger.warning("the lease was not renewed", metadata: ["error": "\(error)"]) }
            }
        }
        return .stopped
    }

    /// Renews; when somebody else wrote the Lease, finds out who: it may have been us, in a write whose answer was lost.
    private func writeOrObserve() async throws(APIError) {
        do throws(APIError) {
            try await write()
        } catch {
            guard error.isConflict || error.isNotFound else { throw error }
            let found = try await find()
            claim.withLock { $0.observe(found, at: clock.now) }
            guard found == nil || found?.spec["holderIdentity"]?.string == configuration.identity else { return }
            try await write()
        }
    }

    /// Returns when the last renewal is too old, even if a request hangs.
    private func guardDeadline<Result>() async -> Outcome<Result> {
        while !Task.isCancelled, let deadline = claim.withLock(\.deadline), clock.now < deadline {
            try? await clock.sleep(until: deadline)
        }
        return Task.isCancelled ? .stopped : .lost
    }

    private func release() async {
        guard let free = claim.withLock({ $0.release(at: clock.now, date: date()) }) else { return }
        claim.withLock { $0.giveUp(at: clock.now) }
        // A task of its own, because this one may be cancelled, and the hand-over is worth the wait.
        let handOver = Task { [clock, logger] in
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do throws(APIError) {
                        try await self.write(free)
                        logger.info("leadership handed over")
                    } catch {
                        logger.debug("the lease could not be handed over", metadata: ["error": "\(error)"])
                    }
                }
                group.addTask { try? await clock.sleep(for: .seconds(5)) }
                await group.next()
                group.cancelAll()
            }
        }
        await handOver.value
    }

    /// Gives the Lease up; once more when our own last renewal, whose answer nobody waited for, came in between.
    private func write(_ free: KubeObject) async throws(APIError) {
        do throws(APIError) {
            _ = try await api.update(.leases, free)
        } catch {
            guard error.isConflict, let now = try await find(),
                now.spec["holderIdentity"]?.string == configuration.identity
            else { throw error }
            var again = free
            again.resourceVersion = now.resourceVersion
            _ = try await api.update(.leases, again)
        }
    }
}
