import Foundation
import KubeCore

/// A command-line tool that scripts/get-tools installs.
struct Tool {
    static let helm = Tool("helm")
    static let kubectl = Tool("kubectl")
    static var areThere: Bool { helm.path != nil && kubectl.path != nil }

    let name: String
    let path: String?

    init(_ name: String) {
        self.name = name
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["HEDDLE_CACHE"] ?? NSHomeDirectory() + "/.cache/heddle"
        let folders = [cache + "/bin"] + (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        path = folders.map { $0 + "/" + name }.first(where: FileManager.default.isExecutableFile(atPath:))
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// Runs the tool in the repository and returns its standard output.
    /// - Throws: `Failure` with its standard error for another exit status than 0.
    func run(_ arguments: String...) throws -> String { try run(arguments) }

    /// - Parameter kubeconfig: For kubectl; without it the tool sees no cluster.
    func run(_ arguments: [String], kubeconfig: String? = nil) throws -> String {
        guard let path else { throw Failure(description: "\(name) is not there: run scripts/get-tools") }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        // Files, not pipes: nothing has to be read while the tool runs.
        let (output, errors) = (folder.appendingPathComponent("out"), folder.appendingPathComponent("err"))
        for file in [output, errors] { try Data().write(to: file) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = repository
        process.environment = [
            "HOME": folder.path, "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "",
            "KUBECONFIG": kubeconfig ?? "/dev/null",
        ]
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        let text = try String(contentsOf: output, encoding: .utf8)
        guard process.terminationStatus == 0 else {
            let message = try String(contentsOf: errors, encoding: .utf8)
            throw Failure(description: "\(name) \(arguments.joined(separator: " ")): \(message)\(text)")
        }
        return text
    }
}
