import Foundation
import KubeCore
import Logging
import Synchronization
import Testing

@testable import KubeSandbox

/// The node's tests run in a test process of their own, inside private namespaces: `NodeEntryTests` starts it.
enum NodeTestProcess {
    static let isInside = ProcessInfo.processInfo.environment["HEDDLE_NODE_TESTS"] != nil

    /// Why the tests cannot run on this machine; nil when they can.
    static let obstacle: String? = {
        if getuid() != 0 { return "not root" }
        do {
            _ = try ContainerLauncher.Tools.find()
        } catch {
            return "\(error)"
        }
        return python == nil ? "no python3" : nil
    }()

    /// Stands in for applications: the first `python3` in PATH that is a program itself and no script that finds one.
    static let python: String? = {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/bin"
        return path.split(separator: ":").lazy
            .map { URL(fileURLWithPath: "\($0)/python3").resolvingSymlinksInPath().path }
            .first {
                FileManager.default.contents(atPath: $0)?.starts(with: [0x7f, UInt8(ascii: "E"), UInt8(ascii: "L")])
                    ?? false
            }
    }()
}

/// One sandbox for all node tests of the process; each test has its own namespace in it.
struct TestSandbox: Sendable {
    let sandbox: Sandbox
    var api: APIServer { sandbox.api }
    let namespace: String

    /// Runs a body against a fresh sandbox.
    static func run(_ namespace: String, _ body: @Sendable @escaping (TestSandbox) async throws -> Void) async throws {
        let directory = NSTemporaryDirectory() + "heddle-node-tests-\(UUID().uuidString)"
        var configuration = Sandbox.Configuration(
            directory: directory, images: ["app": NodeTestProcess.python ?? "", "shell": "/bin/sh"])
        configuration.restartBackOff = .milliseconds(300)
        let sandbox = Sandbox(configuration: configuration, inside: .init())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await sandbox.run() }
            group.addTask {
                await sandbox.ready()
                _ = try await sandbox.api.create(.namespaces, KubeObject(.namespaces, name: namespace))
                try await body(TestSandbox(sandbox: sandbox, namespace: namespace))
            }
            // The body ends first, or the sandbox failed.
            try await group.next()
            group.cancelAll()
            while (try? await group.next()) != nil {}
        }
        let unmount = "grep -o \"$1[^ ]*\" /proc/mounts | sort -r | xargs -r umount -l"
        _ = try await ChildProcesses().run(["sh", "-c", unmount, "sh", directory])
        try? FileManager.default.removeItem(atPath: directory)
    }

    @discardableResult
    func pod(_ name: String, labels: [String: String] = [:], spec: JSONValue) async throws -> KubeObject {
        var pod = KubeObject(.pods, namespace: namespace, name: name)
        pod.labels = labels
        pod.spec = (["terminationGracePeriodSeconds": 2] as JSONValue).merging(spec)
        return try await api.create(.pods, pod)
    }

    func get(_ name: String) async throws -> KubeObject? { try await api.find(.pods, namespace: namespace, name: name) }

    func isReady(_ name: String) async throws -> Bool { try await get(name)?.isPodReady ?? false }

    /// The text that a container has written so far.
    func log(_ pod: String, _ container: String = "c", previous: Bool = false) async throws -> String {
        var options = PodLogOptions(container: container)
        options.previous = previous
        // A container that has not started yet has written nothing.
        guard let object = try await get(pod), let parts = try? await logs(object, options) else { return "" }
        var text: [UInt8] = []
        for await part in parts { text += part }
        return String(decoding: text, as: UTF8.self)
    }

    private func logs(_ pod: KubeObject, _ options: PodLogOptions) async throws -> AsyncStream<[UInt8]> {
        guard let source = api.hooks.withLock({ $0.podLogs }) else { throw SandboxError("no log source") }
        return try await source.log(of: pod, options)
    }

    func shell(_ script: String, name: String = "c") -> JSONValue {
        ["name": .string(name), "image": "shell", "args": ["-c", .string(script)]]
    }

    /// A container that serves its pod's name at every path of port 8080, after a delay.
    func server(delay: Double = 0) -> JSONValue {
        let program = """
            import http.server, os, time
            time.sleep(\(delay))
            class H(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    body = os.environ["HOSTNAME"].encode()
                    self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
                def log_message(self, *a): pass
            http.server.ThreadingHTTPServer(("", 8080), H).serve_forever()
            """
        return [
            "name": "c", "image": "app", "args": ["-c", .string(program)],
            "ports": [["name": "http", "containerPort": 8080]],
            "readinessProbe": ["httpGet": ["port": "http", "path": "/"], "periodSeconds": 1],
        ]
    }

    /// A shell function that prints what a URL answers.
    static let fetch = """
        fetch() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=3).read().decode())' "$1"; }
        """
}
