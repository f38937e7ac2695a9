import Foundation
import KubeCore

/// A container's process, as it was started.
struct LaunchedContainer: Sendable {
    let process: ChildProcess
    let environment: [String: String]
    /// Gets its byte when the program itself is about to run, and its end when the set-up failed.
    let started: AsyncStream<[UInt8]>
}

/// Starts containers: a process in the pod's network namespace and a mount namespace of its own.
///
/// One shell script does the set-up, by `nsenter`, `unshare`, `mount` and `setpriv`, each of which replaces the last:
/// the process that is started is the container's. It takes about 25 ms.
struct ContainerLauncher: Sendable {
    let processes: ChildProcesses
    let images: ImageMap
    /// A directory with the mapped programs under their images' names; it comes first in PATH.
    let programs: String
    let tools: Tools
    let nodeAddress: String
    let apiServer: (host: String, port: Int)

    /// The programs that the set-up needs, as absolute paths.
    struct Tools: Sendable {
        var mount, unshare, nsenter, setpriv, ip, nft, shell: String

        /// - Throws: `SandboxError` that names what is missing.
        static func find() throws(SandboxError) -> Tools {
            let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin:/usr/bin:/sbin:/bin"
            func tool(_ name: String, from package: String) throws(SandboxError) -> String {
                for directory in path.split(separator: ":")
                where FileManager.default.isExecutableFile(atPath: "\(directory)/\(name)") {
                    return "\(directory)/\(name)"
                }
                throw SandboxError("the sandbox needs '\(name)': install \(package)")
            }
            return Tools(
                mount: try tool("mount", from: "util-linux"), unshare: try tool("unshare", from: "util-linux"),
                nsenter: try tool("nsenter", from: "util-linux"),
                setpriv: try tool("setpriv", from: "util-linux (setpriv)"),
                ip: try tool("ip", from: "iproute2"), nft: try tool("nft", from: "nftables"),
                shell: try tool("sh", from: "a shell"))
        }
    }

    struct Place: Sendable {
        /// Has `volumes/` and `etc/`.
        var podDirectory: String
        /// Path of the network namespace; nil for the node's.
        var networkNamespace: String?
        var podIP: String
    }

    /// - Parameter log: gets both outputs, as descriptors that the caller owns.
    /// - Throws: `SandboxError` when the container cannot be made from its spec, `SpawnError` when starting fails.
    func launch(
        _ container: ContainerSpec, in place: Place, find: @escaping (GroupVersionResource, String) -> KubeObject?,
        output: (stdout: Int32, stderr: Int32)
    ) throws -> LaunchedContainer {
        guard
            let written = images.commandLine(
                image: container.image, command: container.command, arguments: container.arguments)
        else {
            throw SandboxError(
                "no local program is mapped to image \"\(container.image)\": start the sandbox with --image "
                    + "\(ImageMap.name(of: container.image))=/path/to/program")
        }
        let environment = try ContainerEnvironment(
            container: container, podIP: place.podIP, hostIP: nodeAddress, find: find
        ).resolve(base: baseEnvironment(container))
        let command = written.map { ContainerEnvironment.expand($0, with: environment) }
        let script = try setUp(container, command: command)
        let started = try Pipe(beside: processes)
        defer { close(started.writeEnd) }
        var arguments: [String] = []
        if let namespace = place.networkNamespace { arguments += [tools.nsenter, "--net=\(namespace)", "--"] }
        arguments += [tools.unshare, "--mount", "--", tools.shell, "-c", script, container.name, place.podDirectory]
        do {
            let process = try processes.spawn(
                arguments, environment: environment,
                descriptors: [1: output.stdout, 2: output.stderr, 3: started.writeEnd])
            return LaunchedContainer(process: process, environment: environment, started: bytes(from: started.readEnd))
        } catch {
            close(started.readEnd)
            throw error
        }
    }

    /// The command that runs another one inside a running container.
    func executing(_ command: [String], in process: ChildProcess, of container: ContainerSpec) -> [String] {
        [tools.nsenter, "-t", String(process.pid), "--mount", "--net", "--"] + privileges(container) + command
    }

    private func baseEnvironment(_ container: ContainerSpec) -> [String: String] {
        [
            "PATH": programs + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
            "HOSTNAME": container.pod.spec["hostname"]?.string ?? container.pod.name,
            "KUBERNETES_SERVICE_HOST": apiServer.host, "KUBERNETES_SERVICE_PORT": String(apiServer.port),
            "KUBERNETES_SERVICE_PORT_HTTPS": String(apiServer.port),
        ]
    }

    private func privileges(_ container: ContainerSpec) -> [String] {
        let (user, group) = (container.userID, container.groupID)
        guard user != 0 || group != 0 else { return [] }
        return [tools.setpriv, "--reuid=\(user)", "--regid=\(group)", "--clear-groups", "--"]
    }

    private static let privateRoots = ["/run", "/tmp", "/mnt"]

    /// The set-up script; `$1` is the pod's directory. Mount sources are relative to it, because a private /tmp or
    /// /run may cover its absolute path.
    private func setUp(_ container: ContainerSpec, command: [String]) throws(SandboxError) -> String {
        let mounts = container.mounts.sorted { $0.path.utf8.count < $1.path.utf8.count }
        var covered: Set<String> = ["/run"]
        for mount in mounts {
            let path = mount.path.hasPrefix("/var/run") ? String(mount.path.dropFirst(4)) : mount.path
            if let root = Self.privateRoots.first(where: { path.hasPrefix($0 + "/") }) {
                covered.insert(root)
            } else if !FileManager.default.fileExists(atPath: path) || Self.privateRoots.contains(path) {
                throw SandboxError(
                    "mountPath \"\(mount.path)\": containers share the machine's files in the sandbox, so volumes can be "
                        + "mounted only below /run, /var/run, /tmp or /mnt, or over another path that exists")
            }
        }
        var command = command
        var lines = ["set -e", "cd \"$1\""]
        let mount = quoted(tools.mount)
        if let program = command.first, covered.contains(where: { program.hasPrefix($0 + "/") }) {
            lines.append("mkdir -p images; : >> images/\(quoted(container.name))")
            lines.append("\(mount) --bind \(quoted(program)) ./images/\(quoted(container.name))")
            command[0] = "/run/.heddle/\(container.name)"
        }
        for root in covered.sorted() {
            lines.append("\(mount) -t tmpfs -o mode=\(root == "/run" ? "755" : "1777") tmpfs \(root)")
        }
        lines.append(
            "mkdir /run/lock; if [ ! -L /var/run ]; then mkdir -p /var/run; \(mount) -c --bind /run /var/run; fi")
        if command.first?.hasPrefix("/run/.heddle/") ?? false {
            let target = quoted(command[0])
            lines.append(
                "mkdir /run/.heddle; : > \(target); \(mount) -c --bind ./images/\(quoted(container.name)) \(target)")
        }
        for (index, volume) in mounts.enumerated() {
            let source = quoted("./volumes/\(volume.volume)" + (volume.subPath.map { "/\($0)" } ?? ""))
            let target = quoted(volume.path)
            lines.append("s\(index)=\(source); t\(index)=\(target)")
            lines.append(
                "if [ -d \"$s\(index)\" ]; then mkdir -p \"$t\(index)\"; else mkdir -p \"${t\(index)%/*}\"; : >> \"$t\(index)\"; fi"
            )
            lines.append("\(mount) -c --bind \"$s\(index)\" \"$t\(index)\"")
            if volume.isReadOnly { lines.append("\(mount) -c -o remount,bind,ro \"$t\(index)\"") }
        }
        for file in ["resolv.conf", "hosts"] {
            // Where it is a link into /run, what it led to is covered now.
            lines.append(
                "t=/etc/\(file); if [ -L $t ]; then t=$(readlink -m $t); mkdir -p \"${t%/*}\"; : >> \"$t\"; fi")
            lines.append("\(mount) -c --bind ./etc/\(file) \"$t\"")
        }
        lines.append("cd \(quoted(container.workingDirectory))")
        lines.append("echo >&3; exec 3>&-")
        lines.append("exec " + (privileges(container) + command).map(quoted).joined(separator: " "))
        return lines.joined(separator: "\n")
    }

    private func quoted(_ text: String) -> String { "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'" }
}
