import AsyncHTTPClient
import Foundation
import HeddleAPI
import KubeCore
import KubeSandbox
import NIOCore
import NIOHTTP1
import Synchronization

/// The demo's cluster: the sandbox with Prometheus and the operator beside it, and the few things that the story asks of it.
final class DemoCluster: Sendable {
    static let nodeAddress = "10.244.0.1"
    static let prometheusAddress = "http://\(nodeAddress):9090"

    let sandbox: Sandbox
    let programs: DemoPrograms
    let directory: String
    /// The operator's processes; `operators` looks after them.
    let replicas = Mutex<[OperatorReplicas.Replica: ChildProcess]>([:])
    private var http: HTTPClient { .shared }

    init(sandbox: Sandbox, programs: DemoPrograms, directory: String) {
        self.sandbox = sandbox
        self.programs = programs
        self.directory = directory
    }

    var api: any ClusterAPI { sandbox.api }
    var operators: OperatorReplicas { OperatorReplicas(cluster: self) }

    /// Runs kubectl as a user would. Returns its output.
    @discardableResult
    func kubectl(_ arguments: String...) async throws -> String { try await run([programs.kubectl] + arguments) }

    /// Runs a program beside the pods and waits for it.
    func run(_ command: [String], failing: Bool = true) async throws -> String {
        let log = "\(directory)/command.log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let file = open(log, O_WRONLY | O_TRUNC | O_CLOEXEC)
        defer { close(file) }
        let child = try sandbox.processes.spawn(command, environment: environment, descriptors: [1: file, 2: file])
        let exit = await child.exit(atMost: .seconds(60))
        if exit == nil { child.killGroup(SIGKILL) }
        let output = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        guard !failing || exit?.code == 0 else {
            throw DemoFailure(
                "`\(command.map { $0.split(separator: "/").last.map(String.init) ?? $0 }.joined(separator: " "))` failed: \(output)"
            )
        }
        return exit?.code == 0 ? output : "exit \(exit?.code ?? -1): \(output)"
    }

    /// Starts a long-lived program beside the pods; its output goes to a file. It ends with the sandbox.
    @discardableResult
    func start(_ command: [String], log name: String) throws -> ChildProcess {
        let path = "\(directory)/\(name).log"
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        let file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        defer { close(file) }
        return try sandbox.processes.spawn(command, environment: environment, descriptors: [1: file, 2: file])
    }

    private var environment: [String: String] {
        var environment = ProcessInfo.processInfo.environment
        environment["KUBECONFIG"] = sandbox.innerKubeconfig
        environment["HEDDLE_SANDBOX_INSIDE"] = nil
        environment["PATH"] = (environment["PATH"] ?? "") + ":/usr/sbin:/sbin"
        return environment
    }

    func startPrometheus() throws {
        let configuration = """
            global: {scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 5s}
            scrape_configs:
            - job_name: sidecars
              http_sd_configs:
              - {url: '\(OperatorReplicas.plainURL)/prometheus/targets', refresh_interval: 1s}
            """
        try configuration.write(toFile: "\(directory)/prometheus.yml", atomically: true, encoding: .utf8)
        let data = "\(directory)/prometheus"
        try? FileManager.default.removeItem(atPath: data)
        try start(
            [
                programs.prometheus, "--config.file=\(directory)/prometheus.yml", "--storage.tsdb.path=\(data)",
                "--web.listen-address=\(Self.nodeAddress):9090", "--log.level=warn",
            ], log: "prometheus")
    }

    /// What an outage of the API server did to the watches.
    struct Outage: Sendable {
        var before: WatchCounts
        var after: WatchCounts
        /// From the first refused connection until every watch was open again.
        var seconds: Double
        /// A watch that expired resumes too, from the list that followed.
        var resumed: Int { after.resumed - before.resumed - expired }
        var expired: Int { after.expired - before.expired }
        var isHealed: Bool { after.open >= before.open }
    }

    /// Takes the API server away for two seconds, and waits until its clients watch again as before.
    /// - Parameter forgettingHistory: no watch can go on from where it was.
    func loseAPI(forgettingHistory: Bool) async throws -> Outage {
        let start = ContinuousClock.now
        let before = sandbox.api.watches
        await sandbox.restartAPI(after: .seconds(2), forgettingHistory: forgettingHistory)
        var after = sandbox.api.watches
        while after.open < before.open, .now - start < .seconds(60) {
            try await Task.sleep(for: .milliseconds(100))
            after = sandbox.api.watches
        }
        let length = ContinuousClock.now - start
        return Outage(before: before, after: after, seconds: length / .seconds(1))
    }

    func get(_ url: String) async throws -> (status: Int, body: Data) {
        let response = try await http.execute(HTTPClientRequest(url: url), timeout: .seconds(5))
        let buffer = try await response.body.collect(upTo: 8 << 20)
        return (Int(response.status.code), Data(buffer.readableBytesView))
    }

    /// The one number that a query gives; nil when it gives none.
    func prometheus(_ query: String) async throws -> Double? {
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        let text = query.addingPercentEncoding(withAllowedCharacters: allowed) ?? query
        let answer = try await get("\(Self.prometheusAddress)/api/v1/query?query=\(text)")
        let json = try JSONValue.parse(answer.body)
        return json[path: "data", "result"]?[0]?["value"]?[1]?.string.flatMap(Double.init)
    }

    func pods(app: String) async throws -> [KubeObject] {
        try await api.list(
            .pods, namespace: "shop", labels: LabelSelector(matchLabels: ["app.kubernetes.io/name": app])
        ).items.filter { !$0.isBeingDeleted }
    }

    func podIP(app: String) async throws -> String {
        guard let ip = try await pods(app: app).lazy.compactMap({ $0.status["podIP"]?.string }).first else {
            throw DemoFailure("no pod of \(app) has an address")
        }
        return ip
    }

    func loadReport() async throws -> LoadReport {
        try LoadReport.decode(try await get("http://\(try await podIP(app: "load")):8081/report").body)
    }

    func adoption() async throws -> Adoption {
        try Adoption(try await api.get(.adoptions, namespace: "shop", name: "shop"))
    }
    func canary() async throws -> Canary {
        try Canary(try await api.get(.canaries, namespace: "shop", name: "catalog"))
    }

    /// One request from inside a pod's network, as its application would make it; true when it succeeded.
    func call(_ url: String, from app: String) async throws -> (succeeded: Bool, output: String) {
        try await call(url, fromPod: try await podIP(app: app))
    }

    func call(_ url: String, fromPod ip: String) async throws -> (succeeded: Bool, output: String) {
        let parts = ip.split(separator: ".").compactMap { Int($0) }
        let sample = programs.images["heddle-sample"] ?? "heddle-sample"
        let output = try await run(
            [
                "ip", "netns", "exec", "pod\(parts[2] * 256 + parts[3])", sample, "call", url, "--timeout-ms", "3000",
            ], failing: false)
        return (!output.hasPrefix("exit "), output.trimmingCharacters(in: .whitespacesAndNewlines))
    }
}

/// Why the demo cannot go on, as a sentence.
struct DemoFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
