import EnvoyConfig
import Logging
import ServiceLifecycle

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Starts Envoy once the workload has a certificate, keeps it running, and at the end drains it before it goes.
struct EnvoySupervisor: Service {
    struct GaveUp: Error, CustomStringConvertible {
        let description: String
    }

    var bootstrap: SidecarBootstrap
    var executable: String
    var extraArguments: [String] = []
    var drain: Duration
    var logLevel: String
    /// Yields when the first certificate is on disk. Read once.
    var certified: AsyncStream<Void>
    var restarts = RestartPolicy()
    var logger: Logger

    private enum Event: Sendable {
        case exited(ChildProcess.Status)
        case shutdown
    }

    func run() async throws {
        let isCertified = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await certified.first { true } != nil }
            group.addTask {
                try? await gracefulShutdown()
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
        guard isCertified, !Task.isShuttingDownGracefully else { return }
        try CertificateFiles(files: bootstrap.files).replace(bootstrap.files.bootstrap, with: bootstrap.json)

        var policy = restarts
        while true {
            let started = ContinuousClock.now
            guard let status = try await runOnce() else { return }
            let length = ContinuousClock.now - started
            guard let delay = policy.delay(afterRunOf: length) else {
                throw GaveUp(description: "Envoy keeps dying (last: \(status)); giving up")
            }
            logger.error("envoy died; starting it again", metadata: ["status": "\(status)", "delay": "\(delay)"])
            try? await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
            if Task.isShuttingDownGracefully || Task.isCancelled { return }
        }
    }

    /// Runs Envoy until it exits by itself (gives how), or until shutdown, when it has been drained (nil).
    private func runOnce() async throws -> ChildProcess.Status? {
        let child = try ChildProcess.spawn(executable, arguments)
        logger.info("envoy started", metadata: ["pid": "\(child.pid)"])
        return await withTaskGroup(of: Event.self) { group in
            group.addTask { .exited(await child.wait()) }
            group.addTask {
                try? await gracefulShutdown()
                return .shutdown
            }
            switch await group.next() {
            case .exited(let status):
                group.cancelAll()
                return status
            case .shutdown, nil:
                if !Task.isCancelled { await letTrafficEnd() }
                group.addTask { await insist(on: child) }
                child.send(SIGTERM)
                // The next event is the exit, or the end of patience, after which the exit follows for certain.
                while let event = await group.next() {
                    if case .exited = event { break }
                    child.send(SIGKILL)
                }
                group.cancelAll()
                return nil
            }
        }
    }

    private func insist(on child: ChildProcess) async -> Event {
        try? await Task.sleep(for: .seconds(5))
        return .shutdown
    }

    /// Asks clients to leave, then waits until Envoy has been quiet for a second, at most for the drain time.
    private func letTrafficEnd() async {
        let admin = EnvoyAdmin(port: bootstrap.adminPort)
        let end = ContinuousClock.now + drain
        do {
            try await admin.beginDraining()
        } catch {
            logger.warning("envoy does not drain", metadata: ["error": "\(error)"])
            return
        }
        var quietPolls = 0
        while ContinuousClock.now < end, quietPolls < 5 {
            guard let activity = await admin.activity() else { return }
            quietPolls = activity.isQuiet ? quietPolls + 1 : 0
            try? await Task.sleep(for: .milliseconds(200))
        }
        logger.info("drained", metadata: ["quiet": "\(quietPolls >= 5)"])
    }

    private var arguments: [String] {
        [
            "-c", bootstrap.files.bootstrap, "--concurrency", "1", "--disable-hot-restart", "-l", logLevel,
            "--drain-time-s", String(max(1, Int(drain.inSeconds))), "--drain-strategy", "immediate",
        ] + extraArguments
    }
}
