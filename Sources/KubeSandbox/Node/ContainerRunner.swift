import Foundation
import KubeCore
import Synchronization

/// Runs one container of a pod, again and again as its restart policy says, until it is over or stopped.
final class ContainerRunner: Sendable {
    private struct State {
        var running: LaunchedContainer?
        var isStopping = false
        /// Why the node itself ends the present run, for its record.
        var verdict: String?
    }

    let spec: ContainerSpec
    private let worker: PodWorker
    private let node: NodeContext
    private let state = Mutex(State())
    /// Open once the container has started (by its startup probe, if it has one).
    let hasStarted = Latch()
    private let stopping = Latch()

    init(_ spec: ContainerSpec, worker: PodWorker, node: NodeContext) {
        self.spec = spec
        self.worker = worker
        self.node = node
    }

    var isStopping: Bool { state.withLock(\.isStopping) }

    /// Runs until the container is over.
    /// - Returns: how its last run ended; nil when it never ran.
    @discardableResult
    func run() async -> ProcessExit? {
        var last: ProcessExit?
        var backOff = Duration.zero
        while !Task.isCancelled, !isStopping {
            let begin = ContinuousClock.now
            guard let exit = await runOnce() else { continue }
            last = exit
            guard spec.restarts(after: exit), !isStopping, !Task.isCancelled else { break }
            // A run of ten minutes earns a fresh start.
            if .now - begin > .seconds(600) { backOff = .zero }
            await waitBeforeRestart(backOff, exit)
            backOff = backOff == .zero ? node.restartBackOff : min(backOff * 2, .seconds(300))
        }
        worker.change(spec.name) { $0.isOver = true }
        return last
    }

    private func waitBeforeRestart(_ backOff: Duration, _ exit: ProcessExit) async {
        if backOff > .zero {
            let seconds = backOff.components.seconds
            let message = "back-off \(seconds)s restarting failed container=\(spec.name) pod=\(spec.pod.name)"
            await node.event(spec.pod, type: "Warning", reason: "BackOff", message)
            worker.change(spec.name) { container in
                container.last = container.termination ?? container.last
                container.state = .waiting(reason: "CrashLoopBackOff", message: message)
            }
            _ = await stopping.wait(atMost: backOff)
        }
        guard !isStopping, !Task.isCancelled else { return }
        worker.change(spec.name) { container in
            container.last = container.termination ?? container.last
            container.restarts += 1
        }
    }

    /// One run from start to end; nil when it could not be started (after a wait).
    private func runOnce() async -> ProcessExit? {
        let id = "heddle://\(UUID().uuidString.lowercased())"
        let launched: LaunchedContainer
        let startedAt = Date()
        do {
            launched = try launch()
        } catch {
            let reason =
                (error as? SandboxError)?.description.hasPrefix("no local program") ?? false
                ? "ErrImagePull" : "CreateContainerConfigError"
            if worker.change(spec.name, { $0.state = .waiting(reason: reason, message: "\(error)") }) {
                await node.event(spec.pod, type: "Warning", reason: "Failed", "Error: \(error)")
            }
            _ = await stopping.wait(atMost: .seconds(1))
            return nil
        }
        worker.change(spec.name) { $0.id = id }
        let isUp = await Self.isUp(launched)
        if isUp { await began(launched, at: startedAt) }
        let exit = await watch(launched, isUp: isUp)
        let verdict = state.withLock { state in
            state.running = nil
            defer { state.verdict = nil }
            return state.verdict
        }
        worker.change(spec.name) { container in
            container.isReady = false
            container.isStarted = false
            container.state = .terminated(
                .init(
                    exit: exit, reason: !isUp ? "ContainerCannotRun" : exit.code == 0 ? "Completed" : "Error",
                    message: verdict ?? "", startedAt: startedAt, finishedAt: Date(), containerID: id))
        }
        return exit
    }

    private func launch() throws -> LaunchedContainer {
        let log = try worker.beginLog(of: spec)
        let (stdout, stderr) = (try Pipe(beside: node.processes), try Pipe(beside: node.processes))
        defer {
            close(stdout.writeEnd)
            close(stderr.writeEnd)
        }
        do {
            let launched = try node.launcher.launch(
                spec, in: worker.place, find: worker.find, output: (stdout.writeEnd, stderr.writeEnd))
            worker.record(log, stdout: stdout.readEnd, stderr: stderr.readEnd)
            let stops = state.withLock { state in
                state.running = launched
                return state.isStopping
            }
            if stops { launched.process.killGroup(SIGKILL) }
            return launched
        } catch {
            close(stdout.readEnd)
            close(stderr.readEnd)
            throw error
        }
    }

    private static func isUp(_ launched: LaunchedContainer) async -> Bool {
        for await _ in launched.started { return true }
        return false
    }

    private func began(_ launched: LaunchedContainer, at time: Date) async {
        worker.change(spec.name) { container in
            container.last = container.termination ?? container.last
            container.state = .running(since: time)
        }
        guard let hook = spec.hook("postStart") else { return }
        let failure = await node.probes.run(
            hook: hook, spec, podIP: worker.podIP, running: launched, timeout: .seconds(120))
        if let failure {
            await node.event(spec.pod, type: "Warning", reason: "FailedPostStartHook", failure)
            end(launched, verdict: "PostStartHook failed: \(failure)")
        }
    }

    /// Probes the container until it ends.
    private func watch(_ launched: LaunchedContainer, isUp: Bool) async -> ProcessExit {
        await withDiscardingTaskGroup(returning: ProcessExit.self) { group in
            if isUp { group.addTask { await self.probe(launched) } }
            let exit = await launched.process.exit()
            group.cancelAll()
            return exit
        }
    }

    private func probe(_ launched: LaunchedContainer) async {
        if let startup = spec.probe(.startup) {
            guard await succeeds(startup, launched) else { return }
        }
        let readiness = spec.probe(.readiness)
        worker.change(spec.name) { container in
            container.isStarted = true
            if readiness == nil { container.isReady = true }
        }
        hasStarted.open()
        await withDiscardingTaskGroup { group in
            if let readiness { group.addTask { await self.follow(readiness, .readiness, launched) } }
            if let liveness = spec.probe(.liveness) {
                group.addTask { await self.follow(liveness, .liveness, launched) }
            }
        }
    }

    /// The startup probe: true when it succeeded, false when the container is to be ended or has ended.
    private func succeeds(_ probe: Probe, _ launched: LaunchedContainer) async -> Bool {
        var failures = 0
        try? await Task.sleep(for: probe.initialDelay)
        while !Task.isCancelled, launched.process.isRunning {
            guard let failure = await check(probe, launched) else { return true }
            failures += 1
            if failures >= probe.failureThreshold {
                await unhealthy(.startup, failure)
                end(launched, verdict: "startup probe failed: \(failure)")
                return false
            }
            try? await Task.sleep(for: probe.period)
        }
        return false
    }

    private func follow(_ probe: Probe, _ kind: ProbeKind, _ launched: LaunchedContainer) async {
        var (successes, failures) = (0, 0)
        try? await Task.sleep(for: probe.initialDelay)
        while !Task.isCancelled, launched.process.isRunning {
            if let failure = await check(probe, launched) {
                guard !Task.isCancelled, launched.process.isRunning else { return }
                (successes, failures) = (0, failures + 1)
                if failures == probe.failureThreshold, !isStopping { await unhealthy(kind, failure) }
                if failures >= probe.failureThreshold {
                    if kind == .readiness {
                        worker.change(spec.name) { $0.isReady = false }
                    } else if !isStopping {
                        await node.event(
                            spec.pod, reason: "Killing",
                            "Container \(spec.name) failed liveness probe, will be restarted")
                        end(launched, verdict: "liveness probe failed: \(failure)")
                        return
                    }
                }
            } else {
                (successes, failures) = (successes + 1, 0)
                if kind == .readiness, successes >= probe.successThreshold {
                    worker.change(spec.name) { $0.isReady = true }
                }
            }
            try? await Task.sleep(for: probe.period)
        }
    }

    private func check(_ probe: Probe, _ launched: LaunchedContainer) async -> String? {
        await node.probes.check(probe.json, spec, podIP: worker.podIP, running: launched, timeout: probe.timeout)
    }

    private func unhealthy(_ kind: ProbeKind, _ failure: String) async {
        await node.event(spec.pod, type: "Warning", reason: "Unhealthy", "\(kind.title) probe failed: \(failure)")
    }

    /// Ends the present run in the background of its watcher: SIGTERM, and SIGKILL when the grace period is over.
    private func end(_ launched: LaunchedContainer, verdict: String) {
        state.withLock { $0.verdict = verdict }
        launched.process.signal(SIGTERM)
        let grace = spec.pod.spec["terminationGracePeriodSeconds"]?.int ?? 30
        worker.background {
            if await launched.process.exit(atMost: .seconds(grace)) == nil { launched.process.killGroup(SIGKILL) }
        }
    }

    /// Stops the container for good: its preStop hook, SIGTERM, and SIGKILL at the deadline.
    func stop(by deadline: ContinuousClock.Instant) async {
        let running = state.withLock { state in
            state.isStopping = true
            return state.running
        }
        stopping.open()
        guard let running, running.process.isRunning else { return }
        await node.event(spec.pod, reason: "Killing", "Stopping container \(spec.name)")
        if let hook = spec.hook("preStop") {
            let failure = await node.probes.run(
                hook: hook, spec, podIP: worker.podIP, running: running, timeout: max(.zero, deadline - .now))
            if let failure { await node.event(spec.pod, type: "Warning", reason: "FailedPreStopHook", failure) }
        }
        running.process.signal(SIGTERM)
        // A hook that used up the grace period leaves two seconds, as in kubelet.
        let rest = spec.hook("preStop") == nil ? deadline - .now : max(deadline - .now, .seconds(2))
        if await running.process.exit(atMost: max(.zero, rest)) == nil { running.process.killGroup(SIGKILL) }
        _ = await running.process.exit()
    }
}
