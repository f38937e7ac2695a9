import Dispatch
import FoundationEssentials
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// A short program whose output is collected. It ends with the task that runs it, and at its time limit: first asked
/// (SIGTERM), two seconds later forced (SIGKILL), with all that it has started.
struct PluginProcess: Sendable {
    var executable: String
    var arguments: [String]
    var environment: [String: String]
    /// Lets it read and write the terminal: then it stays in our process group, and its complaints are not collected.
    var usesTerminal: Bool
    var timeLimit: Duration

    struct Failure: Error {
        var message: String
    }

    struct Outcome {
        var isSuccess: Bool
        /// E.g. `ended with exit status 1`.
        var ending: String
        var output: [UInt8]
        /// The last of what it wrote to standard error.
        var complaints: String
    }

    private static let maximumOutputBytes = 1 << 20
    private static let maximumComplaintBytes = 4096

    /// - Throws: `Failure`, `CancellationError`.
    func run() async throws -> Outcome {
        let isCancelled = Mutex(false)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                // A queue with a label has a thread of its own; blocking a shared one would hold up Swift's tasks.
                DispatchQueue(label: "heddle.credential-plugin").async {
                    continuation.resume(with: Result { try collect { isCancelled.withLock { $0 } } })
                }
            }
        } onCancel: {
            isCancelled.withLock { $0 = true }
        }
    }

    private func collect(isCancelled: () -> Bool) throws -> Outcome {
        let output = try Pipe()
        let complaints = try usesTerminal ? nil : Pipe()
        let pid = try spawn(output: output, complaints: complaints)
        output.closeWriter()
        complaints?.closeWriter()
        let deadline = ContinuousClock.now + timeLimit
        var collected: [UInt8] = []
        var complained: [UInt8] = []
        var status: Int32?
        var open = [output.reader, complaints?.reader].compactMap { $0 }
        while status == nil || !open.isEmpty {
            if status == nil {
                if isCancelled() {
                    end(pid)
                    throw CancellationError()
                }
                if ContinuousClock.now >= deadline {
                    end(pid)
                    throw Failure(message: "gave no answer within \(timeLimit)")
                }
            }
            var polls = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            // Once it has ended, only what is in the pipes counts: a child of its own may hold them open.
            let ready = poll(&polls, nfds_t(polls.count), status == nil ? 50 : 0)
            if ready <= 0, status != nil { break }
            for item in polls where item.revents != 0 {
                var buffer = [UInt8](repeating: 0, count: 65_536)
                let count = read(item.fd, &buffer, buffer.count)
                if count <= 0 {
                    open.removeAll { $0 == item.fd }
                } else if item.fd == output.reader {
                    collected += buffer[..<count]
                } else {
                    complained = (complained + buffer[..<count]).suffix(Self.maximumComplaintBytes)
                }
            }
            guard collected.count <= Self.maximumOutputBytes else {
                if status == nil { end(pid) }
                throw Failure(message: "wrote more than \(Self.maximumOutputBytes) bytes")
            }
            if status == nil {
                var raw: Int32 = 0
                if waitpid(pid, &raw, WNOHANG) == pid { status = raw }
            }
        }
        let raw = status ?? 0
        let signal = raw & 0x7f
        let code = (raw >> 8) & 0xff
        let text = String(decoding: complained, as: UTF8.self)
        return Outcome(
            isSuccess: raw == 0, ending: signal == 0 ? "ended with exit status \(code)" : "ended by signal \(signal)",
            output: collected, complaints: text.split(whereSeparator: \.isNewline).joined(separator: "; "))
    }

    private func end(_ pid: pid_t) {
        // The whole group, where it has its own.
        let target = usesTerminal ? pid : -pid
        kill(target, SIGTERM)
        let deadline = ContinuousClock.now + .seconds(2)
        var raw: Int32 = 0
        while ContinuousClock.now < deadline {
            if waitpid(pid, &raw, WNOHANG) == pid {
                kill(target, SIGKILL)
                return
            }
            poll(nil, 0, 10)
        }
        kill(target, SIGKILL)
        while waitpid(pid, &raw, 0) == -1, errno == EINTR {}
    }

    private func spawn(output: Pipe, complaints: Pipe?) throws -> pid_t {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var all = sigset_t()
        var none = sigset_t()
        sigfillset(&all)
        sigemptyset(&none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setsigmask(&attributes, &none)
        var flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        if !usesTerminal {
            posix_spawnattr_setpgroup(&attributes, 0)
            flags |= POSIX_SPAWN_SETPGROUP
        }
        #if canImport(Darwin)
            flags |= POSIX_SPAWN_CLOEXEC_DEFAULT
        #endif
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if !usesTerminal { posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) }
        posix_spawn_file_actions_adddup2(&actions, output.writer, STDOUT_FILENO)
        if let complaints { posix_spawn_file_actions_adddup2(&actions, complaints.writer, STDERR_FILENO) }
        Self.closeOthers(&actions)

        let argv = ([executable] + arguments).map { strdup($0) }
        let variables = environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for text in argv + variables { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, executable, &actions, &attributes, argv + [nil], variables + [nil])
        guard code == 0 else { throw Failure(message: "cannot be started: \(String(cString: strerror(code)))") }
        return pid
    }

    /// Has the child close every descriptor from 3 up: NIO's sockets do not close on exec. The call (glibc 2.34 and
    /// newer) is not in the Glibc module; where it is missing, what is open now is marked to close on exec.
    private static func closeOthers(_ actions: inout posix_spawn_file_actions_t) {
        #if !canImport(Darwin)
            typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
            if let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") {
                _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, 3)
                return
            }
            for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
                if let number = Int32(name), number > 2 { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
            }
        #endif
    }

    /// A pipe that no child inherits, but for the ends that it is given.
    private final class Pipe {
        let reader: Int32
        let writer: Int32
        private var isWriterOpen = true

        init() throws {
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else {
                throw Failure(message: "cannot be started: no pipe: \(String(cString: strerror(errno)))")
            }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            reader = ends[0]
            writer = ends[1]
        }

        deinit {
            closeWriter()
            close(reader)
        }

        func closeWriter() {
            if isWriterOpen { close(writer) }
            isWriterOpen = false
        }
    }
}
