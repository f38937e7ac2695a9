import EnvoyConfig
import Foundation
import MeshModel
import SwiftProtobuf

/// Pods as network namespaces on a bridge, with captured traffic and real Envoys that are configured from files.
///
/// The pods are the fixture's, at their addresses: `front` (client), `stable` and `canary` (servers), and `legacy`, which
/// has no sidecar. Everything lives in namespaces of its own; ``end()`` removes it all.
final class LiveMesh {
    static let legacy = Shop.pod("legacy-1", "10.77.0.40", account: "legacy", meshed: false, ports: [8080, 9000])

    let folder: String
    private let authority: LiveAuthority
    private var namespaces: [String] = []
    private var processes: [Process] = []
    private var configurations: [String: ProxyConfiguration] = [:]
    private let hub: String

    init() throws {
        folder = NSTemporaryDirectory() + "heddle-live-\(UUID().uuidString.prefix(8))"
        authority = try LiveAuthority(folder: folder + "/ca")
        try Self.application.write(toFile: folder + "/app.py", atomically: true, encoding: .utf8)
        hub = "hl\(folder.suffix(8))hub"
        try LiveHost.check(["ip", "netns", "add", hub])
        namespaces.append(hub)
        try inside(hub, ["ip", "link", "add", "br0", "type", "bridge"])
        try inside(hub, ["ip", "addr", "add", "10.77.0.1/24", "dev", "br0"])
        try inside(hub, ["ip", "link", "set", "br0", "up"])
    }

    func end() {
        for process in processes where process.isRunning { kill(process.processIdentifier, SIGKILL) }
        for process in processes { process.waitUntilExit() }
        for namespace in namespaces { _ = try? LiveHost.run(["ip", "netns", "del", namespace]) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: Pods

    func addPod(_ pod: WorkloadInstance, runsApplication: Bool = true) throws {
        let name = namespace(pod)
        let tag = String(pod.address.split(separator: ".").last ?? "0")
        try LiveHost.check(["ip", "netns", "add", name])
        namespaces.append(name)
        try inside(hub, ["ip", "link", "add", "v\(tag)", "type", "veth", "peer", "name", "eth0", "netns", name])
        try inside(hub, ["ip", "link", "set", "v\(tag)", "master", "br0", "up"])
        try inside(name, ["ip", "link", "set", "lo", "up"])
        try inside(name, ["ip", "addr", "add", pod.address + "/24", "dev", "eth0"])
        try inside(name, ["ip", "link", "set", "eth0", "up"])
        try inside(name, ["ip", "route", "add", "default", "via", "10.77.0.1"])
        guard runsApplication else { return }
        try start(name, ["python3", folder + "/app.py", pod.pod, spans(pod)], log: pod.pod + ".app.log")
        // Before capture, so that the question does not go through the sidecar.
        try LiveHost.wait("the application of \(pod.pod)") {
            try LiveHost.run(["ip", "netns", "exec", name, "curl", "-sf", "-o", "/dev/null", "http://127.0.0.1:8080/"])
                .status == 0
        }
    }

    /// Starts a pod's Envoy and captures its traffic.
    func addSidecar(_ pod: WorkloadInstance, _ mesh: MeshSnapshot) throws {
        let files = self.files(pod)
        for path in [files.certificates, files.root + "/sds"] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try authority.issue(spiffeID: pod.spiffeID(trustDomain: mesh.settings.trustDomain), into: files.certificates)
        try files.identitySecretDocument.text.write(toFile: files.identitySDS, atomically: true, encoding: .utf8)
        try files.trustSecretDocument.text.write(toFile: files.trustSDS, atomically: true, encoding: .utf8)
        try configure(pod, mesh)
        var bootstrap = SidecarBootstrap(
            namespace: pod.namespace, podName: pod.pod, podIP: pod.address, nodeName: "node",
            serviceAccount: pod.serviceAccount,
            labels: pod.labels, discovery: .init(host: "127.0.0.1", port: 15012), files: files
        ).document
        if case .object(var document) = bootstrap {
            document["dynamic_resources"] = FileDiscovery(folder: files.root + "/xds").dynamicResources
            bootstrap = .object(document)
        }
        try bootstrap.text.write(toFile: files.bootstrap, atomically: true, encoding: .utf8)
        try start(
            namespace(pod),
            [
                "setpriv", "--regid", "1337", "--clear-groups", LiveHost.envoy, "-c", files.bootstrap, "--concurrency",
                "1",
                "--disable-hot-restart", "--drain-time-s", "5", "--drain-strategy", "immediate", "-l", "warn",
            ], log: pod.pod + ".envoy.log")
        try LiveHost.wait("the Envoy of \(pod.pod)") { try self.statistic("server.state", of: pod) == 0 }
        let rules = files.root + "/capture.nft"
        try Self.capture.write(toFile: rules, atomically: true, encoding: .utf8)
        try inside(namespace(pod), ["nft", "-f", rules])
    }

    /// Writes a pod's configuration; a running Envoy takes it over.
    func configure(_ pod: WorkloadInstance, _ mesh: MeshSnapshot) throws {
        let files = self.files(pod)
        let made = ProxyConfiguration.make(for: pod, in: mesh, files: files)
        try FileDiscovery(folder: files.root + "/xds").write(made, replacing: configurations[pod.pod])
        configurations[pod.pod] = made
    }

    // MARK: Questions

    /// Starts curl in a pod and gives its process and where its output goes.
    func startCurl(from pod: WorkloadInstance, _ arguments: [String]) throws -> (process: Process, output: String) {
        try start(namespace(pod), ["curl", "-s"] + arguments, log: pod.pod + ".curl.log")
        guard let process = processes.last else { throw LiveHost.Failure(description: "curl did not start") }
        return (process, folder + "/" + pod.pod + ".curl.log")
    }

    /// Runs curl in a pod, as its application would.
    func curl(from pod: WorkloadInstance, _ arguments: [String]) throws -> (status: Int32, output: String) {
        try LiveHost.run(["ip", "netns", "exec", namespace(pod), "curl", "-s", "--max-time", "20"] + arguments)
    }

    /// What a server that speaks first says to a pod that connects and sends nothing.
    func greeting(from pod: WorkloadInstance, host: String, port: Int) throws -> String {
        let script =
            "import socket;s=socket.create_connection(('\(host)',\(port)),10);s.settimeout(10);print(s.recv(99).decode())"
        return try LiveHost.run(["ip", "netns", "exec", namespace(pod), "python3", "-c", script]).output
    }

    /// As Prometheus sees it.
    func metrics(of pod: WorkloadInstance) throws -> String {
        try LiveHost.run([
            "ip", "netns", "exec", namespace(pod), "curl", "-s", "http://127.0.0.1:15090/stats/prometheus",
        ]).output
    }

    func statistic(_ name: String, of pod: WorkloadInstance) throws -> Int? {
        let path = "http://127.0.0.1:15000/stats?filter=^\(name)$"
        let output = try LiveHost.run(["ip", "netns", "exec", namespace(pod), "curl", "-s", path]).output
        return output.split(separator: " ").last.flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }

    /// What spans a pod that plays the collector has received, as they were sent.
    func collected(by pod: WorkloadInstance) -> Data { FileManager.default.contents(atPath: spans(pod)) ?? Data() }

    func log(of pod: WorkloadInstance) -> String {
        (try? String(contentsOfFile: folder + "/\(pod.pod).envoy.log", encoding: .utf8)) ?? ""
    }

    // MARK: Detail

    private func files(_ pod: WorkloadInstance) -> SidecarFiles { SidecarFiles(root: folder + "/" + pod.pod) }
    private func spans(_ pod: WorkloadInstance) -> String { folder + "/" + pod.pod + ".spans" }
    private func namespace(_ pod: WorkloadInstance) -> String { "hl\(folder.suffix(8))\(pod.pod)" }

    private func inside(_ namespace: String, _ arguments: [String]) throws {
        try LiveHost.check(["ip", "netns", "exec", namespace] + arguments)
    }

    private func start(_ namespace: String, _ arguments: [String], log: String) throws {
        let process = try LiveHost.process(["ip", "netns", "exec", namespace] + arguments)
        let path = folder + "/" + log
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        let handle = FileHandle(forWritingAtPath: path)
        process.standardOutput = handle
        process.standardError = handle
        try process.run()
        processes.append(process)
    }

    /// As the agent's, but that Envoy is known by its group: the test runs everything as root.
    private static let capture = """
        table inet heddle_capture {
            chain prerouting {
                type nat hook prerouting priority -100;
                iifname "lo" return
                tcp dport { 15020, 15021, 15090 } return
                meta l4proto tcp redirect to :15006
            }
            chain output {
                type nat hook output priority -100;
                oifname "lo" ip saddr 127.0.0.6 return
                oifname "lo" meta skgid 1337 ip daddr != 127.0.0.0/8 meta l4proto tcp redirect to :15006
                oifname "lo" return
                meta skgid 1337 return
                meta l4proto tcp redirect to :15001
            }
        }
        """

    /// Says its name and who calls over HTTP on 8080 and 7000, takes spans on 4318, and greets first on 9000.
    private static let application = """
        import http.server, socketserver, sys, threading
        class Web(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            def do_POST(self):
                # A collector of spans. Exporters send in chunks.
                while (size := int(self.rfile.readline(), 16)) > 0:
                    with open(sys.argv[2], "ab") as file: file.write(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()
            def do_GET(self):
                status = int(self.path[8:]) if self.path.startswith("/status/") else 200
                body = (sys.argv[1] + " " + (self.headers.get("x-forwarded-client-cert") or "-") + "\\n").encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *arguments): pass
        class Greeter(socketserver.BaseRequestHandler):
            def handle(self): self.request.sendall(b"welcome to " + sys.argv[1].encode())
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        for port in (4318, 7000, 8080):
            threading.Thread(target=http.server.ThreadingHTTPServer(("0.0.0.0", port), Web).serve_forever).start()
        socketserver.ThreadingTCPServer(("0.0.0.0", 9000), Greeter).serve_forever()
        """
}
