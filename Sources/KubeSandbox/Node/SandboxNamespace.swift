import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The first process inside, for the signal handlers outside; 0 until it is known.
private let innerProcess = Atomic<Int32>(0)
/// A signal that came before that.
private let earlySignal = Atomic<Int32>(0)

/// The private network, mount and PID namespaces in which the whole sandbox lives.
///
/// A program that wants a sandbox calls `enter` first of all, while it has one thread. Outside it does not return:
/// the program starts itself again inside new namespaces, passes signals on, and ends with the inner one's status. The
/// kernel kills every process of the sandbox when its first one ends, and that one when this process ends, however it ends.
package enum SandboxNamespace {
    /// A port of this machine that leads into the sandbox: `HOSTPORT:HOST:PORT`.
    package struct Publication: Sendable, Hashable {
        /// On 127.0.0.1; 0 for any free one.
        package var hostPort: Int
        /// An IPv4 address inside, or a Service as `name.namespace`.
        package var host: String
        package var port: Int

        package init(hostPort: Int, host: String, port: Int) {
            self.hostPort = hostPort
            self.host = host
            self.port = port
        }

        package init?(_ text: String) {
            let parts = text.split(separator: ":").map(String.init)
            guard parts.count == 3, let hostPort = UInt16(parts[0]), let port = UInt16(parts[2]), port > 0 else {
                return nil
            }
            self.init(hostPort: Int(hostPort), host: parts[1], port: Int(port))
        }
    }

    /// What the inner program knows of the outside.
    package struct Inside: Sendable {
        /// Listening sockets of the outer network namespace, and where they lead.
        package var relays: [(listener: Int32, target: Publication)]
        /// Where the API server is reached from outside: a port on 127.0.0.1.
        package var apiPort: Int?

        /// For a program that is inside already and publishes nothing.
        package init() {
            relays = []
            apiPort = nil
        }
    }

    private static let marker = "HEDDLE_SANDBOX_INSIDE"
    /// The API server's port inside, on the node's address.
    package static let innerAPIPort = 6443

    package static var isInside: Bool { ProcessInfo.processInfo.environment[marker] != nil }

    /// Enters the sandbox's namespaces (see above).
    /// - Parameters:
    ///   - apiPort: where the API server is reached on 127.0.0.1 from outside; 0: any free port.
    ///   - directory: gets the file `sandbox.pid`, by which `exec` finds the namespaces.
    /// - Returns: only inside.
    /// - Throws: `SandboxError` when a port is taken, or when the machine does not offer what is needed.
    package static func enter(publishing: [Publication], apiPort: Int = 0, directory: String) throws(SandboxError)
        -> Inside
    {
        if let state = ProcessInfo.processInfo.environment[marker] { return inside(state) }
        let api = Publication(hostPort: apiPort, host: NodeAddresses.node, port: innerAPIPort)
        var entries: [String] = []
        for publication in [api] + publishing {
            let (listener, port) = try listen(publication.hostPort)
            entries.append("\(listener)/\(port)/\(publication.host)/\(publication.port)")
        }
        let program =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let code = try run(
            try command(for: .current()) + [program] + CommandLine.arguments.dropFirst(),
            state: entries.joined(separator: ","),
            directory: directory)
        exit(code)
    }

    /// The command line that runs another command inside the sandbox that lives in a directory.
    /// - Parameter pod: the network namespace of this pod's address instead of the node's.
    package static func executing(_ command: [String], directory: String, podIP: String? = nil) throws(SandboxError)
        -> [String]
    {
        guard let text = try? String(contentsOfFile: directory + "/sandbox.pid", encoding: .utf8),
            let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)), kill(pid, 0) == 0
        else { throw SandboxError("no sandbox runs in \(directory)") }
        var arguments = ["nsenter", "-t", String(pid)]
        if getuid() != 0 { arguments += ["--user", "--preserve-credentials"] }
        arguments += ["--mount", "--net", "--pid=/proc/\(pid)/ns/pid_for_children", "--"]
        if let podIP {
            let parts = podIP.split(separator: ".").compactMap { Int($0) }
            guard parts.count == 4 else { throw SandboxError("the pod has no address yet") }
            if podIP != NodeAddresses.node {
                arguments += ["nsenter", "--net=/run/netns/pod\(parts[2] * 256 + parts[3])", "--"]
            }
        }
        return arguments + command
    }

    // MARK: Outside

    /// What the machine gives a user for namespaces of their own.
    struct User {
        var id: uid_t
        var name: String
        /// The texts of /etc/subuid and /etc/subgid.
        var subordinateIDs: [String]
        /// newuidmap and newgidmap, which Debian has in the package uidmap.
        var hasMapTools: Bool

        static func current() -> User {
            let folders = ["/usr/bin", "/bin", "/usr/local/bin"]
            return User(
                id: getuid(), name: getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "",
                subordinateIDs: ["/etc/subuid", "/etc/subgid"].map {
                    (try? String(contentsOfFile: $0, encoding: .utf8)) ?? ""
                },
                hasMapTools: ["newuidmap", "newgidmap"].allSatisfy { tool in
                    folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }
                })
        }

        /// Of 65536 ids, since Envoy's own user and whoever a pod runs as have high ones.
        var hasRanges: Bool {
            subordinateIDs.allSatisfy { text in
                text.split(separator: "\n").contains { line in
                    let fields = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
                    guard fields.count == 3, let count = Int(fields[2]) else { return false }
                    return (fields[0] == name || fields[0] == String(id)) && count >= 65_536
                }
            }
        }
    }

    /// `unshare` with what fits the user.
    static func command(for user: User) throws(SandboxError) -> [String] {
        // `setpriv` first, so that nothing outlives this process.
        let base = ["setpriv", "--pdeathsig", "KILL", "--", "unshare"]
        let namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
        if user.id == 0 { return base + namespaces }
        let missing =
            user.hasMapTools
            ? user.hasRanges
                ? nil : "add the line `\(user.name):100000:65536` to /etc/subuid and to /etc/subgid"
            : "install newuidmap and newgidmap (Debian: apt-get install uidmap)"
        guard let missing else { return base + ["--user", "--map-root-user", "--map-auto"] + namespaces }
        throw SandboxError(
            "without root the sandbox needs subordinate user ids, for the users that containers run as: \(missing), "
                + "or run it as root")
    }

    /// A listening socket on 127.0.0.1, inherited by children.
    private static func listen(_ port: Int) throws(SandboxError) -> (Int32, Int) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard listener >= 0 else { throw SandboxError("cannot make a socket: \(String(cString: strerror(errno)))") }
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        // A sockaddr_in: family in the machine's order, port and address in the network's.
        var address: [UInt8] = withUnsafeBytes(of: UInt16(AF_INET)) { Array($0) }
        address += [UInt8(port >> 8 & 0xff), UInt8(port & 0xff), 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
        var size = socklen_t(address.count)
        let result = address.withUnsafeMutableBytes { bytes -> Int32 in
            guard let pointer = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            guard bind(listener, pointer, size) == 0, Glibc.listen(listener, 128) == 0 else { return -1 }
            return getsockname(listener, pointer, &size)
        }
        guard result == 0 else {
            throw SandboxError("cannot listen on 127.0.0.1:\(port): \(String(cString: strerror(errno)))")
        }
        return (listener, Int(address[2]) << 8 | Int(address[3]))
    }

    /// Starts the command, passes signals on to the program inside, and returns its status.
    private static func run(_ arguments: [String], state: String, directory: String) throws(SandboxError) -> Int32 {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var handled = sigset_t()
        sigemptyset(&handled)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&handled, signal) }
        posix_spawnattr_setsigdefault(&attributes, &handled)
        posix_spawnattr_setflags(&attributes, 0x04)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // `unshare` itself lets no signal through. Only what is safe in a signal handler.
            signal(number) { number in
                let inner = innerProcess.load(ordering: .relaxed)
                if inner > 0 { kill(inner, number) } else { earlySignal.store(number, ordering: .relaxed) }
            }
        }
        var environment = ProcessInfo.processInfo.environment
        environment[marker] = state.isEmpty ? "-" : state
        var argv = arguments.map { strdup($0) } + [nil]
        var envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer {
            for text in argv { free(text) }
            for text in envp { free(text) }
        }
        var pid: pid_t = 0
        let code = posix_spawnp(&pid, argv[0] ?? strdup(""), nil, &attributes, &argv, &envp)
        guard code == 0 else {
            throw SandboxError(
                "cannot start \(arguments[0]): \(String(cString: strerror(code))); the sandbox needs util-linux")
        }
        try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try? "\(pid)\n".write(toFile: directory + "/sandbox.pid", atomically: true, encoding: .utf8)
        defer { unlink(directory + "/sandbox.pid") }
        for _ in 0..<400 {
            if let inner = child(of: pid) {
                innerProcess.store(inner, ordering: .relaxed)
                let early = earlySignal.load(ordering: .relaxed)
                if early > 0 { kill(inner, early) }
                break
            }
            // Not there yet, or already over.
            if kill(pid, 0) != 0 { break }
            usleep(5_000)
        }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
    }

    private static func child(of parent: pid_t) -> pid_t? {
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = pid_t(entry), let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let end = stat.lastIndex(of: ")")
            else { continue }
            // After the name: state, then the parent.
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            if fields.count > 1, pid_t(fields[1]) == parent { return pid }
        }
        return nil
    }

    // MARK: Inside

    private static func inside(_ state: String) -> Inside {
        var inside = Inside()
        for (index, entry) in state.split(separator: ",").enumerated() {
            let parts = entry.split(separator: "/").map(String.init)
            guard parts.count == 4, let listener = Int32(parts[0]), let hostPort = Int(parts[1]),
                let port = Int(parts[3])
            else { continue }
            _ = fcntl(listener, F_SETFD, FD_CLOEXEC)
            inside.relays.append((listener, Publication(hostPort: hostPort, host: parts[2], port: port)))
            if index == 0 { inside.apiPort = hostPort }
        }
        return inside
    }
}
