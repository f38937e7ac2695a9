import Foundation
import Logging
import ServiceLifecycle
import Testing

@testable import KubeSandbox

/// The real `kubectl` against one server, in a directory of its own.
struct Kubectl: Sendable {
    struct Outcome: Sendable {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Nil where no kubectl is installed.
    static let executable: String? = {
        let environment = ProcessInfo.processInfo.environment
        let candidates =
            [environment["KUBECTL"]].compactMap { $0 }
            + (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/kubectl" }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    let directory: URL

    func file(_ name: String, _ text: String) throws -> String {
        let url = directory.appending(path: name)
        try Data(text.utf8).write(to: url)
        return url.path
    }

    /// Runs kubectl; it is ended after a minute.
    func run(_ arguments: String...) async throws -> Outcome { try await run(arguments) }

    func run(_ arguments: [String]) async throws -> Outcome {
        let process = Process()
        process.executableURL = URL(filePath: Self.executable ?? "/usr/bin/kubectl")
        process.arguments = arguments
        process.environment = [
            "KUBECONFIG": directory.appending(path: "kubeconfig").path, "HOME": directory.path, "PATH": "/usr/bin:/bin",
        ]
        let id = UUID().uuidString
        let output = directory.appending(path: "out-\(id)")
        let errors = directory.appending(path: "err-\(id)")
        try Data().write(to: output)
        try Data().write(to: errors)
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        var waited = 0
        while process.isRunning {
            try await Task.sleep(for: .milliseconds(20))
            waited += 1
            if waited == 3000 { process.terminate() }
        }
        return Outcome(
            status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
            errors: try String(contentsOf: errors, encoding: .utf8))
    }

    /// Runs kubectl and expects success.
    @discardableResult
    func callAsFunction(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws
        -> String
    {
        let outcome = try await run(arguments)
        #expect(
            outcome.status == 0, "kubectl \(arguments.joined(separator: " ")): \(outcome.output)\(outcome.errors)",
            sourceLocation: sourceLocation)
        return outcome.output
    }
}

/// Serves an API server on a free port of the loopback while `body` runs.
func withFrontEnd<Value: Sendable>(
    of server: APIServer, port: Int = 0, identity: ServingIdentity? = nil, adminToken: String = "admin",
    _ body: (APIServerHTTP) async throws -> Value
) async throws -> Value {
    var configuration = APIServerHTTP.Configuration(identity: try identity ?? .make(), adminToken: adminToken)
    configuration.port = port
    var logger = Logger(label: "test")
    logger.logLevel = .error
    let front = APIServerHTTP(server: server, configuration: configuration, logger: logger)
    let services = ServiceGroup(
        configuration: .init(services: [.init(service: front)], logger: logger))
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await services.run() }
        _ = await front.port()
        let value: Value
        do {
            value = try await body(front)
        } catch {
            await services.triggerGracefulShutdown()
            throw error
        }
        await services.triggerGracefulShutdown()
        try await group.waitForAll()
        return value
    }
}

func withKubectl(_ server: APIServer, _ body: (Kubectl) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "heddle-kubectl-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try await withFrontEnd(of: server) { front in
        let kubectl = Kubectl(directory: directory)
        _ = try kubectl.file("kubeconfig", await front.kubeconfig())
        try await body(kubectl)
    }
}
