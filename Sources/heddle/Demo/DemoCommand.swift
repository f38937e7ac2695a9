import ArgumentParser
import Foundation
import KubeSandbox
import Logging

/// `heddle demo`: the main job on this machine, with real Envoys, a real Prometheus and real traffic.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Take a small shop through the four phases and ship two releases through it, in a sandbox.")

    @Flag(help: "Leave everything running at the end, and say how to look at it.") var keep = false
    @Option(help: "Where kubeconfig, logs and volumes go.") var dir = "/tmp/heddle-demo"
    @Option(help: "The checkout, for manifests and examples.") var source = "."
    @Option(help: "Stop after this part: setup, observe, strict, resilience or traffic.") var until: Story.Part =
        .traffic

    func run() async throws {
        let programs = try DemoPrograms.find(source: source)
        let directory = URL(fileURLWithPath: dir).standardizedFileURL.path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        for log in OperatorReplicas.all.map({ $0.identity + ".log" }) + ["prometheus.log"] {
            try? FileManager.default.removeItem(atPath: "\(directory)/\(log)")
        }
        let prometheus = SandboxNamespace.Publication(hostPort: 0, host: DemoCluster.nodeAddress, port: 9090)
        // Outside, this does not return.
        let inside = try SandboxNamespace.enter(publishing: [prometheus], apiPort: 0, directory: directory)
        var logger = Logger(label: "heddle.demo", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = .error
        var configuration = Sandbox.Configuration(directory: directory)
        configuration.images = programs.images
        configuration.restartBackOff = .seconds(2)
        let sandbox = Sandbox(configuration: configuration, inside: inside, logger: logger)
        // The first relay is the API server's.
        let port = inside.relays.dropFirst().first?.target.hostPort
        await withTaskGroup(of: Int32.self) { group in
            group.addTask {
                do {
                    try await sandbox.run()
                    return 1
                } catch {
                    print("\nThe sandbox ended: \(error)")
                    return 1
                }
            }
            group.addTask {
                // Process 1 of a namespace has no signal's default: without this Ctrl-C would do nothing.
                _ = await SandboxRunCommand.terminationSignal()
                return 130
            }
            group.addTask { await tell(in: sandbox, programs: programs, directory: directory, prometheusPort: port) }
            let code = await group.next() ?? 1
            // This is process 1 of the namespace: all others end with it.
            fflush(nil)
            Foundation.exit(code)
        }
    }

    private func tell(
        in sandbox: Sandbox, programs: DemoPrograms, directory: String, prometheusPort: Int?
    ) async -> Int32 {
        let cluster = DemoCluster(sandbox: sandbox, programs: programs, directory: directory)
        let narrator = Narrator()
        async let endpoints: Void = cluster.operators.keepEndpoints()
        do {
            await sandbox.ready()
            let story = Story(cluster: cluster, narrator: narrator)
            let holds = try await story.run(until: until)
            if keep {
                narrator.say("")
                narrator.say("Everything keeps running until Ctrl-C. In another terminal:")
                narrator.say("  export KUBECONFIG=\(sandbox.kubeconfig)")
                narrator.say("  kubectl get pods -A")
                narrator.say("  .build/debug/heddle status")
                narrator.say("  .build/debug/heddle explain -n shop canary/catalog")
                if let prometheusPort { narrator.say("Prometheus: http://127.0.0.1:\(prometheusPort)") }
                try await Task.sleep(for: .seconds(1 << 30))
            }
            return holds ? 0 : 1
        } catch {
            narrator.fail("\(error)")
            narrator.say("  logs: \(directory)/logs, \(directory)/heddle-operator-*.log, \(directory)/prometheus.log")
            return 1
        }
    }
}

extension Story.Part: ExpressibleByArgument {}

/// The programs that the demo runs, and where they are.
struct DemoPrograms: Sendable {
    var source: String
    var images: [String: String]
    var operatorPath: String
    var prometheus: String
    var kubectl: String

    static func find(source: String) throws -> DemoPrograms {
        let source = URL(fileURLWithPath: source).standardizedFileURL.path
        let own = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .path
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["HEDDLE_CACHE"] ?? (environment["HOME"] ?? "/root") + "/.cache/heddle"
        let search =
            [cache + "/bin"] + (environment["PATH"] ?? "").split(separator: ":").map(String.init) + ["/usr/sbin"]
        func program(_ name: String, in folders: [String]) throws -> String {
            for folder in folders where FileManager.default.isExecutableFile(atPath: "\(folder)/\(name)") {
                return "\(folder)/\(name)"
            }
            throw ValidationError(
                "\(name) is not here; `make setup` installs it, `make build` builds Heddle's own programs")
        }
        return DemoPrograms(
            source: source,
            images: [
                "heddle-sample": try program("heddle-sample", in: [own]),
                "heddle-agent": try program("heddle-agent", in: [own]),
                "envoy": try program(
                    "envoy",
                    in: [
                        environment["HEDDLE_ENVOY"].map { URL(fileURLWithPath: $0).deletingLastPathComponent().path }
                            ?? cache + "/envoy"
                    ] + search),
            ],
            operatorPath: try program("heddle-operator", in: [own]), prometheus: try program("prometheus", in: search),
            kubectl: try program("kubectl", in: search))
    }
}
