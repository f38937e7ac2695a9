import Foundation
import Testing

/// The container images. Building them takes a release build (some 15 minutes on two cores), so this runs where
/// `HEDDLE_IMAGE_TESTS=1` asks for it; `HEDDLE_RELEASE` names a folder of programs that are built already.
@Suite struct ImageTests {
    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private static let isAskedFor = ProcessInfo.processInfo.environment["HEDDLE_IMAGE_TESTS"] == "1"

    @Test func `every image is made from scratch and runs as somebody other than root`() throws {
        let text = try String(
            contentsOf: Self.repository.appendingPathComponent("Dockerfile"), encoding: .utf8)
        let stages = text.components(separatedBy: "\nFROM scratch AS ").dropFirst()
        #expect(stages.map { $0.prefix { $0 != "\n" } } == ["operator", "sample", "agent"])
        for stage in stages {
            let users = stage.split(separator: "\n").filter { $0.hasPrefix("USER ") }
            #expect(users.count == 1)
            #expect(users.allSatisfy { !$0.contains("root") && !$0.hasPrefix("USER 0") })
            #expect(stage.contains("\nENTRYPOINT [\"/usr/local/bin/heddle-"))
            #expect(!stage.contains("RUN "))
        }
    }

    @Test(.enabled(if: Self.isAskedFor, "set HEDDLE_IMAGE_TESTS=1; as root, some 20 minutes"))
    func `buildah builds the images, they are small, and their programs start`() throws {
        let output = try Self.run("scripts/test-images")
        func fields(_ what: String, _ image: String) throws -> [String] {
            let line = output.split(separator: "\n").first { $0.hasPrefix("\(what) \(image) ") }
            return try #require(line, "no line '\(what) \(image)' in:\n\(output)").split(separator: " ").map(
                String.init)
        }
        let bounds = ["operator": 60_000_000, "agent": 25_000_000, "sample": 60_000_000]
        for (image, bound) in bounds {
            let content = try fields("content", image)
            var size = try #require(Int(content[2]))
            if image == "agent" { size -= try #require(Int(try fields("envoy", image)[2])) }
            #expect(size <= bound, "heddle-\(image): \(size) bytes")
            #expect(content[3] == "no-shell")
            let user = try fields("image", image)[2]
            #expect(user == (image == "agent" ? "1337:1337" : "65532:65532"))
            #expect(try fields("version", image)[2].hasPrefix("0."))
        }
        #expect(try fields("nft", "agent").contains { $0.hasPrefix("v1.") })
    }

    private struct Failure: Error, CustomStringConvertible { var description: String }

    private static func run(_ script: String) throws -> String {
        let process = Process()
        process.executableURL = repository.appendingPathComponent(script)
        process.currentDirectoryURL = repository
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try Data().write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        process.standardOutput = try FileHandle(forWritingTo: file)
        process.standardError = process.standardOutput
        try process.run()
        process.waitUntilExit()
        let output = try String(contentsOf: file, encoding: .utf8)
        guard process.terminationStatus == 0 else { throw Failure(description: "\(script) failed:\n\(output)") }
        return output
    }
}
