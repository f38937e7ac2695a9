import FoundationEssentials
import Logging
import MeshIdentity
import ServiceLifecycle

/// Keeps the workload's certificate on disk and fresh, from the pod's start to its end.
///
/// Each certificate has a key of its own, which is made here and never leaves the pod. When a renewal fails, the last
/// certificate stays in use and it is tried again, ever more seldom but in time.
struct IdentityService: Service {
    var identity: SPIFFEIdentity
    var signer: any CertificateSigner
    var files: CertificateFiles
    var ttl: Duration
    var schedule = RotationSchedule()
    /// While the pod waits for its first certificate, it is asked for often.
    var firstSchedule = RotationSchedule(firstRetry: .milliseconds(500), longestRetry: .seconds(5))
    var logger: Logger
    var now: @Sendable () -> Date = { Date() }
    var random: @Sendable () -> Double = { Double.random(in: 0...1) }
    var sleep: @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    /// Called after each installation with how many there have been.
    var onInstalled: @Sendable (Int) -> Void = { _ in }

    func run() async throws {
        try files.prepare()
        try? await cancelWhenGracefulShutdown { try await keepFresh() }
    }

    /// Ends only by cancellation, which a sleep throws.
    private func keepFresh() async throws {
        var issued = 0
        var failures = 0
        var received = now()
        var notAfter: Date?
        while true {
            do {
                let end = try await renew()
                issued += 1
                failures = 0
                received = now()
                notAfter = end
                logger.info(
                    "certificate installed",
                    metadata: ["identity": "\(identity)", "notAfter": "\(end.formatted(.iso8601))"])
                onInstalled(issued)
                try await sleep(schedule.delay(received: received, notAfter: end, now: received, random: random()))
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                failures += 1
                report(error, failures: failures, received: received, notAfter: notAfter)
                let current = now()
                let delay = (notAfter == nil ? firstSchedule : schedule).retryDelay(
                    failures: failures, notAfter: notAfter ?? current.addingTimeInterval(3600), now: current,
                    random: random())
                try await sleep(delay)
            }
        }
    }

    private func renew() async throws -> Date {
        let request = try CertificateRequest(identity: identity)
        let signed = try await signer.sign(csrPEM: request.csrPEM, ttl: ttl)
        guard signed.notAfter > now() else {
            throw OperatorSigner.Failure(
                description: "the authority's certificate has already lapsed (\(signed.notAfter))")
        }
        try files.install(key: request.privateKey.pem, chain: signed.chain, trustBundle: signed.trustBundle)
        return signed.notAfter
    }

    /// A failed renewal is a warning while there is time, an error in the last fifth of the lifetime and without any.
    private func report(_ error: any Error, failures: Int, received: Date, notAfter: Date?) {
        var metadata: Logger.Metadata = ["error": "\(error)", "failures": "\(failures)"]
        guard let notAfter else {
            logger.log(level: failures < 5 ? .warning : .error, "no certificate yet", metadata: metadata)
            return
        }
        let left = notAfter.timeIntervalSince(now())
        metadata["notAfter"] = "\(notAfter.formatted(.iso8601))"
        metadata["secondsLeft"] = "\(Int(left))"
        let isUrgent = left < notAfter.timeIntervalSince(received) / 5
        logger.log(
            level: isUrgent ? .error : .warning,
            isUrgent
                ? "certificate lapses soon and cannot be renewed"
                : "certificate not renewed; the last one stays in use",
            metadata: metadata)
    }
}
