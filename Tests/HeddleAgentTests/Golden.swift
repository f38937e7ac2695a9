import Foundation
import Testing

/// Files of expected output beside the tests. `HEDDLE_REGENERATE_GOLDEN=1` writes them anew, for review as a diff.
enum Golden {
    private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
        "Golden")

    static func expect(_ text: String, matches name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let file = directory.appendingPathComponent(name)
        if ProcessInfo.processInfo.environment["HEDDLE_REGENERATE_GOLDEN"] == "1" {
            try text.write(to: file, atomically: true, encoding: .utf8)
        }
        let expected = try String(contentsOf: file, encoding: .utf8)
        #expect(text == expected, "differs from Golden/\(name)", sourceLocation: sourceLocation)
    }
}

/// The real Envoy, where there is one.
enum RealEnvoy {
    static let path: String? = {
        let environment = ProcessInfo.processInfo.environment
        let cached = environment["HOME"].map { $0 + "/.cache/heddle/envoy/envoy" }
        let candidates = [environment["HEDDLE_ENVOY"], cached].compactMap { $0 }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()
    static var isAvailable: Bool { path != nil }
}

/// A directory that goes when the test does.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("heddle-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
