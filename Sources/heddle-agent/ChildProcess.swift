import Dispatch
import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// A child process, started with default signal handling and in the agent's own process group (so that whoever kills
/// the group leaves no orphan). It inherits standard output and error unless told otherwise.
struct ChildProcess: Sendable {
    /// How it ended.
    enum Status: Equatable, Sendable, CustomStringConvertible {
        case exited(Int32)
        case signalled(Int32)

        var description: String {
            switch self {
            case .exited(let code): "exit status \(code)"
            case .signalled(let number): "signal \(number)"
            }
        }
    }

    struct SpawnFailure: Error, CustomStringConvertible {
        let description: String
    }

    let pid: pid_t

    /// Starts `executable` (a path). `input` and `errors` are file descriptors for standard input and error.
    static func spawn(
        _ executable: String, _ arguments: [String], input: Int32? = nil, errors: Int32? = nil
    ) throws -> ChildProcess {
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
        #if canImport(Darwin)
            flags |= POSIX_SPAWN_CLOEXEC_DEFAULT
        #endif
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        }
        if let errors { posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO) }
        // NIO's sockets do not close on exec: without this Envoy would hold the agent's ports and connections open.
        closeOthers(&actions)

        let argv = ([executable] + arguments).map { strdup($0) }
        let environment = ProcessInfo.processInfo.environment.map { strdup("\($0.key)=\($0.value)") }
        defer { for text in argv + environment { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, executable, &actions, &attributes, argv + [nil], environment + [nil])
        guard code == 0 else {
            throw SpawnFailure(description: "\(executable) cannot be started: \(String(cString: strerror(code)))")
        }
        return ChildProcess(pid: pid)
    }

    /// Waits for its end. Call it once; not cancellable: end the process instead.
    func wait() async -> Status {
        await withCheckedContinuation { continuation in
            Self.blocking("wait for \(pid)") {
                var raw: Int32 = 0
                while waitpid(pid, &raw, 0) == -1, errno == EINTR {}
                // The macros WIFEXITED and friends are not visible to Swift.
                let signal = raw & 0x7f
                continuation.resume(returning: signal == 0 ? .exited((raw >> 8) & 0xff) : .signalled(signal))
            }
        }
    }

    func send(_ signal: Int32) { kill(pid, signal) }

    /// Runs a short program to its end, with a text as its input (at most 64 KiB), and gives what it wrote as errors.
    static func run(
        _ executable: String, _ arguments: [String], input: String
    ) async throws -> (status: Status, errors: String) {
        let inputs = try makePipe()
        let errors = try makePipe()
        defer { for descriptor in [inputs[0], errors[0]] { close(descriptor) } }
        // It fits the pipe's buffer, so writing before anybody reads cannot block.
        let bytes = Array(input.utf8.prefix(65_536))
        _ = bytes.withUnsafeBytes { write(inputs[1], $0.baseAddress, $0.count) }
        close(inputs[1])
        let child: ChildProcess
        do {
            child = try spawn(executable, arguments, input: inputs[0], errors: errors[1])
        } catch {
            close(errors[1])
            throw error
        }
        close(errors[1])
        let source = errors[0]
        let text = await withCheckedContinuation { continuation in
            Self.blocking("read \(source)") { continuation.resume(returning: Self.readAll(source)) }
        }
        return (await child.wait(), text)
    }

    /// The program's path: as given when it contains a slash, else the first in PATH and the system's directories.
    static func find(_ name: String, path: String? = ProcessInfo.processInfo.environment["PATH"]) -> String? {
        if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
        let directories =
            (path ?? "").split(separator: ":").map(String.init) + ["/usr/local/bin", "/usr/sbin", "/sbin"]
        return directories.map { $0 + "/" + name }.first { access($0, X_OK) == 0 }
    }

    /// Writes a line to standard error.
    static func complain(_ line: String) {
        let text = line + "\n"
        _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }

    /// Has the child close every descriptor from 3 up. The call (glibc 2.34 and newer) is not in the Glibc module;
    /// where it is missing, the descriptors that are open now are marked to close on exec.
    private static func closeOthers(_ actions: inout posix_spawn_file_actions_t) {
        typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        if let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") {
            _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, 3)
            return
        }
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? [] {
            if let descriptor = Int32(name), descriptor > 2 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        }
    }

    /// Runs what blocks on a thread of its own: a queue with a label gets one, whereas the global queues share as many
    /// threads as there are CPUs with Swift's tasks. One long wait there would stop the whole agent on a single CPU.
    private static func blocking(_ label: String, _ body: @escaping @Sendable () -> Void) {
        DispatchQueue(label: label).async(execute: body)
    }

    /// A pipe whose ends no child inherits, but for those that it is given.
    private static func makePipe() throws -> [Int32] {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw SpawnFailure(description: "no pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return ends
    }

    private static func readAll(_ descriptor: Int32) -> String {
        var collected: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 {
                collected += buffer[..<count]
            } else if count == 0 || errno != EINTR {
                return String(decoding: collected, as: UTF8.self)
            }
        }
    }
}
