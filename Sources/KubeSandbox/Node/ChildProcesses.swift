import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How a process ended.
package enum ProcessExit: Sendable, Hashable {
    case exited(Int32)
    case signalled(Int32)

    /// As a shell and Kubernetes count: 128 + signal for a killed process.
    package var code: Int {
        switch self {
        case .exited(let code): Int(code)
        case .signalled(let signal): 128 + Int(signal)
        }
    }
}

/// Starts processes, each the leader of its own session and process group, and reaps them and their orphans.
///
/// The sandbox is process 1 of its PID namespace, so every orphan in there becomes its child: one thread waits for all.
/// Children that someone else in this process started (Foundation's `Process`) are left to them for two seconds.
package final class ChildProcesses: Sendable {
    private struct State {
        var running: [pid_t: ChildProcess] = [:]
        var strangers: [pid_t: ContinuousClock.Instant] = [:]
        /// Process groups that were led by children: whoever is in one belongs here.
        var groups: Set<pid_t> = []
        var isReaping = false
    }
    private let state = Mutex(State())

    package init() {}

    /// - Parameters:
    ///   - arguments: the program (searched in this process's PATH unless it has a slash) and its arguments.
    ///   - descriptors: the child's descriptors by number; 0, 1 and 2 are /dev/null unless named. All others are closed.
    /// - Throws: `SpawnError` when the program cannot be started.
    package func spawn(
        _ arguments: [String], environment: [String: String], descriptors: [Int32: Int32] = [:], newSession: Bool = true
    ) throws(SpawnError) -> ChildProcess {
        guard let program = arguments.first else { throw SpawnError(program: "", code: EINVAL) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for number in Int32(0)...2 where descriptors[number] == nil {
            posix_spawn_file_actions_addopen(&actions, number, "/dev/null", number == 0 ? O_RDONLY : O_WRONLY, 0)
        }
        for (number, source) in descriptors.sorted(by: { $0.key < $1.key }) {
            posix_spawn_file_actions_adddup2(&actions, source, number)
        }
        // NIO's sockets do not close on exec: without this a container would hold the API server's connections open.
        Self.closeDescriptors(from: max(2, descriptors.keys.max() ?? 2) + 1, &actions)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        sigfillset(&all)
        sigdelset(&all, SIGKILL)
        sigdelset(&all, SIGSTOP)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // SETSIGDEF and SETSIGMASK, and SETSID, which Swift's view of glibc does not name.
        posix_spawnattr_setflags(&attributes, 0x04 | 0x08 | (newSession ? 0x80 : 0))

        var argv = arguments.map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for text in argv { free(text) }
            for text in envp { free(text) }
        }
        // Under the lock, so that the reaper knows the child before it can see it end.
        let result = state.withLock { state -> Result<(ChildProcess, Bool), SpawnError> in
            var pid: pid_t = 0
            let code = posix_spawnp(&pid, program, &actions, &attributes, &argv, &envp)
            guard code == 0 else { return .failure(SpawnError(program: program, code: code)) }
            let child = ChildProcess(pid: pid, leadsGroup: newSession)
            state.running[pid] = child
            if state.groups.count > 30_000 { state.groups = [] }
            if newSession { state.groups.insert(pid) }
            let starts = !state.isReaping
            state.isReaping = true
            return .success((child, starts))
        }
        let (child, starts) = try result.get()
        if starts { Thread.detachNewThread { self.reap() } }
        return child
    }

    /// The call (glibc 2.34 and newer) is not in the Glibc module; where it is missing, what does not close on exec stays
    /// open in the child.
    private static func closeDescriptors(from first: Int32, _ actions: inout posix_spawn_file_actions_t) {
        typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else { return }
        _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, first)
    }

    /// Runs `body` while this object starts no process.
    func whileNoneStarts<Result>(_ body: () -> Result) -> Result {
        state.withLock { _ in body() }
    }

    /// Kills every process that this object started and that still runs.
    package func killAll() {
        for child in state.withLock({ Array($0.running.values) }) { child.killGroup(SIGKILL) }
    }

    /// Waits for children until there are none; then the thread ends.
    private func reap() {
        while true {
            var info = siginfo_t()
            if waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) != 0 {
                if errno == EINTR { continue }
                let ends = state.withLock { state in
                    // A child may have been started since; it is known here before the lock is free.
                    guard state.running.isEmpty else { return false }
                    state.isReaping = false
                    return true
                }
                if ends { return }
                continue
            }
            // `si_pid` is behind a union that Swift does not import; it is at the same place on 64-bit Linux.
            let pid = withUnsafeBytes(of: &info) { $0.load(fromByteOffset: 16, as: pid_t.self) }
            let group = getpgid(pid)
            let isOurs = state.withLock { state in
                if state.running[pid] != nil || state.groups.contains(group) { return true }
                let seen = state.strangers[pid] ?? .now
                state.strangers[pid] = seen
                return .now - seen > .seconds(2)
            }
            if isOurs {
                collect(pid)
            } else {
                // A stranger hides those behind it.
                for pid in state.withLock({ Array($0.running.keys) }) { collect(pid) }
                usleep(20_000)
            }
        }
    }

    /// Takes the status of a child that has ended; does nothing while it runs.
    private func collect(_ pid: pid_t) {
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return }
        let child = state.withLock { state in
            state.strangers[pid] = nil
            return state.running.removeValue(forKey: pid)
        }
        guard let child else { return }
        // What the leader leaves behind in its group goes with it, as with a container's PID namespace.
        child.killGroup(SIGKILL, evenIfEnded: true)
        child.end(status & 0x7f == 0 ? .exited((status >> 8) & 0xff) : .signalled(status & 0x7f))
    }
}

/// A process that `ChildProcesses` started.
package final class ChildProcess: Sendable {
    package let pid: Int32
    private let leadsGroup: Bool
    private let ended = Latch()
    private let result = Mutex<ProcessExit?>(nil)

    fileprivate init(pid: pid_t, leadsGroup: Bool) {
        self.pid = pid
        self.leadsGroup = leadsGroup
    }

    package var isRunning: Bool { !ended.isOpen }

    /// Waits for the end; a cancelled task kills the process (and its group) and still waits for its end.
    package func exit() async -> ProcessExit {
        await ended.wait()
        while true {
            if let exit = result.withLock({ $0 }) { return exit }
            killGroup(SIGKILL)
            // The killed process ends at once, but a cancelled task cannot sleep on the latch.
            await Task.detached { await self.ended.wait() }.value
        }
    }

    package func exit(atMost duration: Duration) async -> ProcessExit? {
        _ = await ended.wait(atMost: duration)
        return result.withLock { $0 }
    }

    /// Signals the process only, as Kubernetes does with a container's first process.
    package func signal(_ number: Int32) {
        if isRunning { kill(pid, number) }
    }

    package func killGroup(_ number: Int32) { killGroup(number, evenIfEnded: false) }

    fileprivate func killGroup(_ number: Int32, evenIfEnded: Bool) {
        guard evenIfEnded || isRunning else { return }
        _ = leadsGroup ? kill(-pid, number) : kill(pid, number)
    }

    fileprivate func end(_ exit: ProcessExit) {
        result.withLock { $0 = exit }
        ended.open()
    }
}

package struct SpawnError: Error, Sendable, CustomStringConvertible {
    package var program: String
    package var code: Int32

    package var description: String { "cannot start \(program): \(String(cString: strerror(code)))" }
}
