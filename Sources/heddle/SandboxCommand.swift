import ArgumentParser
@preconcurrency import Dispatch
import Foundation
import KubeSandbox
import Logging

/// `heddle sandbox`: a cluster on this machine, for development and tests.
struct SandboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox",
        abstract: "Run a Kubernetes cluster of local processes: an API server, controllers and one node.",
        discussion: """
            Pods are processes of this machine, each in its own network namespace; images are local programs, given with
            --image. kubectl works with the kubeconfig that the sandbox writes. It needs Linux, util-linux, iproute2 and
            nftables, and root or subordinate user ids. It is a development tool: nothing in it is isolated from the
            machine's files.
            """,
        subcommands: [SandboxRunCommand.self, SandboxExecCommand.self], defaultSubcommand: SandboxRunCommand.self)
}

/// `heddle sandbox run`, the default.
struct SandboxRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Start a sandbox; with a command, run it inside and end with it.")

    @Option(help: "Where kubeconfig, volumes and logs go.") var dir = "heddle-sandbox"
    @Option(
        name: .customLong("image"),
        help: "NAME=PATH: the local program for an image (its name without registry and tag).")
    var images: [String] = []
    @Option(
        name: .customLong("publish"),
        help: "HOSTPORT:HOST:PORT: a port of 127.0.0.1 that leads to an address or a Service (name.namespace) inside.")
    var publications: [String] = []
    @Option(help: "The API server's port on 127.0.0.1; 0 for any free one.") var apiPort = 0
    @Option(help: "trace, debug, info, notice, warning or error.") var logLevel = "warning"
    @Argument(parsing: .postTerminator, help: "A command to run inside, with KUBECONFIG set.") var command: [String] =
        []

    func run() async throws {
        let directory = URL(fileURLWithPath: dir).standardizedFileURL.path
        var configuration = Sandbox.Configuration(directory: directory)
        for image in images {
            let parts = image.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw ValidationError("--image \(image): write NAME=/path/to/program") }
            configuration.images[parts[0]] = URL(fileURLWithPath: parts[1]).standardizedFileURL.path
        }
        let publishing = try publications.map { text in
            guard let publication = SandboxNamespace.Publication(text) else {
                throw ValidationError("--publish \(text): write HOSTPORT:HOST:PORT")
            }
            return publication
        }
        // Outside, this does not return.
        let inside = try SandboxNamespace.enter(publishing: publishing, apiPort: apiPort, directory: directory)
        var logger = Logger(label: "heddle.sandbox", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .warning
        let sandbox = Sandbox(configuration: configuration, inside: inside, logger: logger)
        try await live(sandbox)
    }

    /// Runs the sandbox until a signal, or until the command inside ends; then ends the program.
    private func live(_ sandbox: Sandbox) async throws {
        try await withThrowingTaskGroup(of: Int32.self) { group in
            group.addTask {
                try await sandbox.run()
                return 0
            }
            group.addTask { await Self.terminationSignal() }
            group.addTask {
                await sandbox.ready()
                guard !command.isEmpty else {
                    print(
                        """
                        The sandbox is up. In another terminal:

                            export KUBECONFIG=\(sandbox.kubeconfig)
                            kubectl get pods -A

                        Stop it with Ctrl-C.
                        """)
                    fflush(nil)
                    try await Task.sleep(for: .seconds(1 << 40))
                    return 0
                }
                var environment = ProcessInfo.processInfo.environment
                environment["KUBECONFIG"] = sandbox.innerKubeconfig
                environment["HEDDLE_SANDBOX_INSIDE"] = nil
                let child = try sandbox.processes.spawn(
                    command, environment: environment, descriptors: [0: 0, 1: 1, 2: 2], newSession: false)
                return Int32(await child.exit().code)
            }
            let code = try await group.next() ?? 0
            // This is process 1 of the namespace: all others end with it.
            Foundation.exit(code)
        }
    }

    /// Waits for SIGINT, SIGTERM or SIGHUP; the status is that of a clean stop.
    static func terminationSignal() async -> Int32 {
        let signals = AsyncStream<Int32> { continuation in
            let sources = [SIGINT, SIGTERM, SIGHUP].map { number in
                signal(number, SIG_IGN)
                let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
                source.setEventHandler { continuation.yield(number) }
                source.resume()
                return source
            }
            continuation.onTermination = { _ in for source in sources { source.cancel() } }
        }
        for await _ in signals { return 0 }
        return 0
    }
}

/// `heddle sandbox exec`: looks around inside.
struct SandboxExecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run a command inside a running sandbox, on its node or in a pod's network.")

    @Option(help: "The sandbox's directory.") var dir = "heddle-sandbox"
    @Option(help: "NAMESPACE/NAME: in the network namespace of this pod.") var pod: String?
    @Argument(parsing: .postTerminator, help: "The command.") var command: [String]

    func run() async throws {
        let directory = URL(fileURLWithPath: dir).standardizedFileURL.path
        let podIP = try pod.map { try Self.address(of: $0, directory: directory) }
        let arguments = try SandboxNamespace.executing(command, directory: directory, podIP: podIP)
        setenv("KUBECONFIG", directory + "/kubeconfig.inside", 1)
        var argv = arguments.map { strdup($0) } + [nil]
        execvp(arguments[0], &argv)
        throw ValidationError("cannot start \(arguments[0]): \(String(cString: strerror(errno)))")
    }

    /// The pod's address, from the file that the node writes for its containers.
    private static func address(of pod: String, directory: String) throws -> String {
        let parts = pod.split(separator: "/").map(String.init)
        guard parts.count == 2 else { throw ValidationError("--pod \(pod): write NAMESPACE/NAME") }
        guard let address = SandboxNamespace.podAddress(namespace: parts[0], name: parts[1], directory: directory)
        else {
            throw ValidationError("no pod \(pod) runs in the sandbox of \(directory)")
        }
        return address
    }
}
