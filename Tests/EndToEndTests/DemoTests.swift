import Foundation
import Testing

/// The story on real parts: Envoys, Prometheus and traffic in network namespaces, as `make demo` runs it. The demo holds
/// its own promises and ends with 0 only when every one held.
@Suite struct DemoTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let heddle = "\(root)/.build/debug/heddle"

    /// Root, or the subordinate ids that stand in for it.
    static var canRun: Bool { getuid() == 0 && FileManager.default.isExecutableFile(atPath: heddle) }

    @Test(.enabled(if: canRun, "needs root and the built products"), .timeLimit(.minutes(10)))
    func everyPromiseOfTheDemoHolds() async throws {
        let directory = "/tmp/heddle-demo-test-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let log = "\(directory)/demo.log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.heddle)
        process.arguments = ["demo", "--source", Self.root, "--dir", "\(directory)/sandbox"]
        let output = try #require(FileHandle(forWritingAtPath: log))
        process.standardOutput = output
        process.standardError = output
        let status = try await withCheckedThrowingContinuation { continuation in
            process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
            do {
                try process.run()
            } catch {
                continuation.resume(throwing: error)
            }
        }
        let text = try String(contentsOfFile: log, encoding: .utf8)
        #expect(status == 0, "the demo ended with \(status):\n\(text)")
        #expect(text.contains("Every promise held."), "\(text)")
        #expect(!text.contains("BROKEN"))
    }
}
