import AsyncHTTPClient
import Foundation
import KubeCore
package import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// A cluster in this process and its children: API server, controllers and one node.
///
/// It lives in the namespaces that `SandboxNamespace.enter` made, and needs nothing but Linux, util-linux, iproute2 and
/// nftables. A development tool and a test double: nothing in it is isolated from the machine's files.
package final class Sandbox: Service {
    package struct Configuration: Sendable {
        /// Gets `kubeconfig`, `kubeconfig.inside`, volumes and logs. Not below /run.
        package var directory: String
        /// Local programs by image name, without registry and tag.
        package var images: [String: String]
        /// Wait before a container's second restart; doubles with each.
        package var restartBackOff: Duration = .seconds(10)

        package init(directory: String, images: [String: String] = [:]) {
            self.directory = directory
            self.images = images
        }
    }

    package let configuration: Configuration
    /// The API, in process.
    package let api: APIServer
    /// Starts programs beside the pods, in the node's network namespace; they end with the sandbox.
    package let processes = ChildProcesses()
    private let inside: SandboxNamespace.Inside
    private let logger: Logger
    private let readiness = Latch()
    private let frontEnd = Mutex<FrontEnd?>(nil)

    package init(
        configuration: Configuration, inside: SandboxNamespace.Inside, logger: Logger = Logger(label: "heddle.sandbox")
    ) {
        self.configuration = configuration
        self.inside = inside
        self.logger = logger
        api = APIServer(logger: logger)
    }

    /// kubeconfig for programs outside of the sandbox; there is none when the API is not published.
    package var kubeconfig: String { configuration.directory + "/kubeconfig" }
    /// kubeconfig for programs in the node's network namespace.
    package var innerKubeconfig: String { configuration.directory + "/kubeconfig.inside" }

    /// Returns once the API answers and the node is ready.
    package func ready() async { await readiness.wait() }

    /// Restarts the API server: connections are cut and refused for a while. Returns when they are accepted again.
    /// - Parameter forgettingHistory: no watch can resume from before, as after a compaction of etcd.
    package func restartAPI(after outage: Duration, forgettingHistory: Bool = false) async {
        guard let front = frontEnd.withLock({ $0 }) else { return }
        await front.restart(after: outage, forgettingHistory: forgettingHistory)
    }

    /// Runs until cancelled, then kills every process of the sandbox.
    /// - Throws: `SandboxError` that says what the machine lacks, and failures of the servers.
    package func run() async throws {
        let directory = configuration.directory
        guard !directory.hasPrefix("/run/"), !directory.hasPrefix("/var/run/"), directory.hasPrefix("/") else {
            throw SandboxError("the sandbox's directory must be an absolute path outside of /run: \(directory)")
        }
        let tools = try ContainerLauncher.Tools.find()
        let network = NodeNetwork(processes: processes)
        try await prepareMachine(network)
        let programs = try await mountPrograms()

        let identity = try ServingIdentity.make(addresses: [NodeAddresses.node, NodeAddresses.apiService])
        var serving = APIServerHTTP.Configuration(identity: identity)
        serving.host = NodeAddresses.node
        serving.port = SandboxNamespace.innerAPIPort
        let front = FrontEnd(server: api, configuration: serving, logger: logger)
        frontEnd.withLock { $0 = front }

        let group = MultiThreadedEventLoopGroup.singleton
        let cache = ClusterCache(api: api, resources: ControllerSet.resources)
        let launcher = ContainerLauncher(
            processes: processes,
            images: ImageMap(
                Dictionary(uniqueKeysWithValues: configuration.images.keys.map { ($0, "\(programs)/\($0)") })),
            programs: programs, tools: tools,
            nodeAddress: NodeAddresses.node, apiServer: (NodeAddresses.apiService, 443))
        let client = ProbeRunner.client(group: group)
        let logs = PodLogs()
        api.setPodLogSource(logs)
        let node = NodeContext(
            api: api, cache: cache, processes: processes, network: network, launcher: launcher,
            probes: ProbeRunner(processes: processes, launcher: launcher, group: group, client: client),
            tokens: ServiceAccountTokens(api: api), logs: logs, directory: directory,
            restartBackOff: configuration.restartBackOff, logger: logger)
        let controllers = ControllerSet(
            api: api, cache: cache, nodeName: NodeAddresses.nodeName, rootCertificate: identity.authority,
            logger: logger)
        let names = ClusterNames(cache: cache)
        try await publishAPI()

        defer { processes.killAll() }
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await front.run() }
                tasks.addTask { await cache.run() }
                tasks.addTask { await controllers.run() }
                tasks.addTask { await ServiceProxy(cache: cache, processes: self.processes, logger: self.logger).run() }
                let serves = Latch()
                tasks.addTask {
                    try await DNSServer(names: names, host: NodeAddresses.node, port: 53, group: group).run(
                        ready: serves)
                }
                tasks.addTask { try await Kubelet(node: node).run() }
                for relay in inside.relays {
                    tasks.addTask {
                        try await PortRelay(listener: relay.listener, target: relay.target, names: names, group: group)
                            .run()
                    }
                }
                tasks.addTask {
                    await serves.wait()
                    try await self.announce(front.http)
                    await Latch().wait()
                }
                // None of them ends by itself: the first to end has failed, or all are cancelled.
                try await tasks.next()
                tasks.cancelAll()
            }
        } catch {
            try? await client.shutdown()
            throw error
        }
        try? await client.shutdown()
    }

    /// Private directories, the node's network, and cluster DNS for everything in the namespace.
    private func prepareMachine(_ network: NodeNetwork) async throws {
        let manager = FileManager.default
        let directory = configuration.directory
        for part in ["pods", "logs", "programs"] {
            // Left over from an earlier sandbox; its mounts, when they are in this very namespace, are not files of its.
            _ = try await processes.run(["umount", "--recursive", "--lazy", "--quiet", "\(directory)/\(part)"])
            try? manager.removeItem(atPath: "\(directory)/\(part)")
            try manager.createDirectory(atPath: "\(directory)/\(part)", withIntermediateDirectories: true)
        }
        try await processes.require(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])
        try manager.createDirectory(atPath: "/run/netns", withIntermediateDirectories: true)
        try await network.setUp()
        let resolver = PodFiles(pod: KubeObject(.pods, namespace: "default", name: "node"), podIP: NodeAddresses.node)
            .resolver
        // In the private /run, where nobody removes it while it is mounted.
        let file = "/run/heddle-resolv.conf"
        try resolver.write(toFile: file, atomically: false, encoding: .utf8)
        // Made where it is missing only: without root the machine's own file cannot be written to, but covered.
        let mount = """
            t=$(readlink -m /etc/resolv.conf) && mkdir -p "${t%/*}" && { [ -e "$t" ] || : > "$t"; } && mount --bind "$1" "$t"
            """
        let result = try await processes.run(["sh", "-c", mount, "sh", file])
        if !result.isSuccess {
            logger.warning("the node itself has no cluster DNS", metadata: ["error": "\(result.output)"])
        }
    }

    /// The mapped programs under their images' names, for PATH. Mounted, not linked: a container's user may not be able to
    /// walk to where the program is.
    ///
    /// The mount points are new files on a new file system, never ones that may be mounts of an earlier sandbox already:
    /// to write to such a one is to write to somebody's program. For the same reason the mounts are read-only.
    private func mountPrograms() async throws -> String {
        let directory = configuration.directory + "/programs"
        try await processes.require(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", directory])
        for (name, path) in configuration.images {
            guard path.hasPrefix("/"), FileManager.default.isExecutableFile(atPath: path) else {
                throw SandboxError("--image \(name)=\(path): that is not the absolute path of a program")
            }
            let place = "\(directory)/\(name)"
            let file = open(place, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o755)
            guard file >= 0 else { throw SandboxError("cannot make \(place): errno \(errno)") }
            close(file)
            try await processes.require(["mount", "--bind", path, place])
            try await processes.require(["mount", "-o", "remount,bind,ro", place])
        }
        return directory
    }

    /// Where the Service `kubernetes` leads.
    private func publishAPI() async throws {
        var slice = KubeObject(.endpointSlices, namespace: "default", name: "kubernetes")
        slice.labels = [EndpointSliceController.serviceNameLabel: "kubernetes"]
        slice.json["addressType"] = "IPv4"
        slice.json["ports"] = [["name": "https", "port": .int(SandboxNamespace.innerAPIPort), "protocol": "TCP"]]
        slice.json["endpoints"] = [["addresses": [.string(NodeAddresses.node)], "conditions": ["ready": true]]]
        _ = try await api.create(.endpointSlices, slice)
    }

    private func announce(_ http: APIServerHTTP) async throws {
        _ = await http.port()
        let inner = await http.kubeconfig()
        try write(inner, to: innerKubeconfig)
        if let port = inside.apiPort {
            let from = "https://\(NodeAddresses.node):\(SandboxNamespace.innerAPIPort)"
            try write(inner.replacingOccurrences(of: from, with: "https://127.0.0.1:\(port)"), to: kubeconfig)
        }
        while await !isNodeReady(), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(20)) }
        readiness.open()
    }

    private func isNodeReady() async -> Bool {
        guard let node = try? await api.find(.nodes, name: NodeAddresses.nodeName) else { return false }
        return node.condition("Ready")?["status"]?.string == "True"
    }

    /// Only the owner may read what has a token in it.
    private func write(_ text: String, to path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }
}
