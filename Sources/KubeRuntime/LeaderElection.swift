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
/// A replica that waits reads the Lease each `retryPeriod`; the leader writes it as often.
package final class LeaderElection: Sendable {
    private let api: any ClusterAPI
    private let clock: AnyClock
    private let date: @Sendable () -> Date
    private let random: @Sendable () -> Double
    private let logger: Logger
    private let configuration: LeaseClaim.Configuration
    private let claim: Mutex<LeaseClaim>

    package init(
        api: any ClusterAPI, configuration: LeaseClaim.Configuration, clock: AnyClock = .continuous, logger: Logger,
        date: @escaping @Sendable () -> Date = { Date() },
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.api = api
        self.configuration = configuration
        self.clock = clock
        self.date = date
        self.random = random
        claim = Mutex(LeaseClaim(configuration, at: clock.now))
        var logger = logger
        logger[metadataKey: "lease"] = "\(configuration.namespace)/\(configuration.name)"
        logger[metadataKey: "identity"] = "\(configuration.identity)"
        self.logger = logger
    }

    package var isLeading: Bool { claim.withLock { $0.isLeading(at: clock.now) } }
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
            // What ends first decides; a body that ends because of a loss does not count as ended.
            let first = await group.next() ?? .lost
            group.cancelAll()
            return first
        }
        switch outcome {
        case .ended(let result):
            await release()
            return try result.get()
        case .lost:
            let holder = claim.withLock { claim in
                claim.giveUp()
                return claim.holder
            }
            logger.error("leadership lost", metadata: ["holder": "\(holder)"])
            throw LeadershipLost(holder: holder == configuration.identity ? "" : holder)
        }
    }

    private enum Outcome<Result: Sendable>: Sendable {
        case ended(Swift.Result<Result, any Error>)
        case lost
    }

    private func acquire() async throws {
        var lastProblem = ""
        while true {
            try Task.checkCancellation()
            do throws(APIError) {
                let found = try await api.find(.leases, namespace: configuration.namespace, name: configuration.name)
                claim.withLock { $0.observe(found, at: clock.now) }
                try await write()
                lastProblem = ""
            } catch {
                if !error.isConflict, !error.isAlreadyExists, error.description != lastProblem, !Task.isCancelled {
                    lastProblem = error.description
                    logger.warning("the lease could not be read or written", metadata: ["error": "\(error)"])
                }
            }
            if isLeading { return }
            try await clock.sleep(for: configuration.retryPeriod * (1 + 0.2 * random()))
        }
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
                do throws(APIError) {
                    try await write()
                } catch  where error.isConflict || error.isNotFound {
                    let found = try await api.find(
                        .leases, namespace: configuration.namespace, name: configuration.name)
                    claim.withLock { $0.observe(found, at: clock.now) }
                    // Somebody else wrote it: theirs, or ours after an answer that was lost.
                    if let found, found.spec["holderIdentity"]?.string != configuration.identity { return .lost }
                    try await write()
                }
            } catch {
                if !Task.isCancelled { logger.warning("the lease was not renewed", metadata: ["error": "\(error)"]) }
            }
        }
        return .lost
    }

    /// Returns when the last renewal is too old, even if a request hangs.
    private func guardDeadline<Result>() async -> Outcome<Result> {
        while !Task.isCancelled, let deadline = claim.withLock(\.deadline), clock.now < deadline {
            try? await clock.sleep(until: deadline)
        }
        return .lost
    }

    private func release() async {
        guard let free = claim.withLock({ $0.release(at: clock.now, date: date()) }) else { return }
        claim.withLock { $0.giveUp() }
        // A task of its own, because this one may be cancelled, and the hand-over is worth the wait.
        let handOver = Task { [api, clock, logger] in
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do throws(APIError) {
                        _ = try await api.update(.leases, free)
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
}
