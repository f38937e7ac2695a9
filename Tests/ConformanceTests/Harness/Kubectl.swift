import Foundation
import Testing

/// The real `kubectl` against the suite's cluster, in a directory of its own.
struct Kubectl: Sendable {
    /// Nil where none is installed.
    static let executable: String? = {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["HEDDLE_CACHE"] ?? (environment["HOME"] ?? "") + "/.cache/heddle"
        let candidates =
            [environment["KUBECTL"], cache + "/bin/kubectl"].compactMap { $0 }
            + (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/kubectl" }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    let directory: URL
    let kubeconfig: String

    /// Runs the body with a fresh directory, which goes afterwards.
    static func run(on cluster: Cluster, _ body: (Kubectl) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "heddle-kubectl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try await body(Kubectl(directory: directory, kubeconfig: cluster.kubeconfig))
    }

    /// Writes a file into the directory and returns its path.
    func file(_ name: String, _ text: String) throws -> String {
        let url = directory.appending(path: name)
        try Data(text.utf8).write(to: url)
        return url.path
    }

    /// Runs kubectl in the directory; it is ended after a minute.
    func outcome(of arguments: [String]) async throws -> (status: Int32, output: String, errors: String) {
        let process = Process()
        process.executableURL = URL(filePath: Self.executable ?? "/usr/bin/kubectl")
        process.arguments = arguments
        process.currentDirectoryURL = directory
        process.environment = ["KUBECONFIG": kubeconfig, "HOME": directory.path, "PATH": "/usr/bin:/bin"]
        let id = UUID().uuidString
        let output = directory.appending(path: ".out-\(id)")
        let errors = directory.appending(path: ".err-\(id)")
        try Data().write(to: output)
        try Data().write(to: errors)
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        process.standardInput = FileHandle.nullDevice
        let (ends, ended) = AsyncStream<Void>.makeStream()
        process.terminationHandler = { _ in ended.finish() }
        try process.run()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in ends {} }
            group.addTask {
                try await Task.sleep(for: .seconds(60))
                process.terminate()
            }
            try await group.next()
            group.cancelAll()
        }
        process.waitUntilExit()
        return (
            process.terminationStatus, try String(contentsOf: output, encoding: .utf8),
            try String(contentsOf: errors, encoding: .utf8)
        )
    }

    /// Runs kubectl and expects success.
    @discardableResult
    func callAsFunction(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws
        -> String
    {
        let outcome = try await outcome(of: arguments)
        #expect(
            outcome.status == 0, "kubectl \(arguments.joined(separator: " ")): \(outcome.output)\(outcome.errors)",
            sourceLocation: sourceLocation)
        return outcome.output
    }
}
