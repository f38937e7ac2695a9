import Foundation
import Testing

/// The story on real parts: Envoys, Prometheus and traffic in network namespaces, as `make demo` runs it. The demo holds
/// its own promises and ends with 0 only when every one held.
@Suite struct DemoTests {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let heddle = "\(root)/.build/debug/heddle"

    /// Root, or what stands in for it: subordinate ids, and the tools that map them.
    static var canRun: Bool {
        let hasTools = FileManager.default.isExecutableFile(atPath: "/usr/bin/newuidmap")
        return (getuid() == 0 || hasTools) && FileManager.default.isExecutableFile(atPath: heddle)
    }

    /// The table's lines; each must be there, and held.
    static let promises = [
        "Restarts for injection start no release", "All workloads meshed, metrics and traces arrive",
        "Two operator replicas share the proxies, the leader knows all", "Strict waits and names who speaks plaintext",
        "API server restarted in Strict: watches resume", "Plaintext refused, meshed calls and the exception served",
        "A ServicePolicy raises the success ratio", "The namespace reached phase Traffic",
        "The good release is promoted", "Envoy delivers the weights that are asked for",
        "The leader killed at 25 %: the other goes on", "Meanwhile the survivor injects and serves all proxies",
        "API server restarted at 50 %, history gone: listed anew", "No canary pod is left over",
        "The bad release is rolled back by evidence", "Afterwards the stable pods serve, and the Deployment waits",
        "No decision is lost or repeated", "Certificates (valid for 2m) rotate under traffic",
        "No request failed by what Heddle did",
    ]

    @Test(
        .enabled(if: canRun, "needs the built products, and root or newuidmap (Debian: uidmap)"),
        .timeLimit(.minutes(15)))
    func everyPromiseOfTheDemoHolds() async throws {
        let directory = "/tmp/heddle-demo-test-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let (status, text) = try await run(
            [Self.heddle, "demo", "--source", Self.root, "--dir", "\(directory)/sandbox"], in: directory)
        #expect(status == 0, "the demo ended with \(status):\n\(text)")
        #expect(text.contains("Every promise held."), "\(text)")
        #expect(!text.contains("BROKEN"))
        for promise in Self.promises {
            #expect(text.contains("held    \(promise)"), "the table lacks: \(promise)")
        }
    }

    /// Root of a user namespace whose ids are somebody's subordinate ones, with no power over the machine: what the demo is
    /// without root, but for newuidmap.
    @Test(
        .enabled(if: canLeaveRoot, "needs root, the built products and a checkout that other users can read"),
        .timeLimit(.minutes(6)))
    func withoutPowerOverTheMachineTheShopBecomesStrict() async throws {
        let directory = "/tmp/heddle-rootless-test-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        // Other users cannot walk to root's own cache.
        for tool in ["envoy/envoy", "bin/kubectl"] {
            let copy = "\(directory)/cache/\(tool)"
            try FileManager.default.createDirectory(
                atPath: URL(fileURLWithPath: copy).deletingLastPathComponent().path, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: "\(Self.cache)/\(tool)", toPath: copy)
        }
        try FileManager.default.createDirectory(atPath: "\(directory)/sandbox", withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: "\(directory)/sandbox")
        // The shell waits for its map, which only its maker may write.
        let script = """
            unshare --user --keep-caps -- sh -c 'read go; exec setpriv --reuid 0 --regid 0 --clear-groups -- "$@"' sh "$@" <&3 &
            child=$!
            until [ "$(readlink /proc/$child/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.05; done
            echo 0 100000 65536 > /proc/$child/gid_map && echo 0 100000 65536 > /proc/$child/uid_map
            echo go >&4
            wait $child
            """
        let (status, text) = try await run(
            [
                "/usr/bin/env", "HEDDLE_CACHE=\(directory)/cache", "sh", "-c",
                "mkfifo \(directory)/go && exec 3<>\(directory)/go 4>\(directory)/go\n\(script)", "sh", Self.heddle,
                "demo", "--source", Self.root, "--dir", "\(directory)/sandbox", "--until", "strict",
            ], in: directory)
        #expect(status == 0, "the demo ended with \(status):\n\(text)")
        #expect(text.contains("held    Plaintext refused, meshed calls and the exception served"), "\(text)")
        #expect(text.contains("held    No request failed by what Heddle did"))
    }

    static var cache: String {
        let environment = ProcessInfo.processInfo.environment
        return environment["HEDDLE_CACHE"] ?? "\(environment["HOME"] ?? "/root")/.cache/heddle"
    }

    static var canLeaveRoot: Bool {
        guard getuid() == 0, FileManager.default.isExecutableFile(atPath: heddle) else { return false }
        var folder = URL(fileURLWithPath: heddle).resolvingSymlinksInPath()
        while folder.path != "/" {
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder.path)
            guard let mode = attributes?[.posixPermissions] as? Int, mode & 0o5 == 0o5 else { return false }
            folder.deleteLastPathComponent()
        }
        return ["envoy/envoy", "bin/kubectl"].allSatisfy {
            FileManager.default.isExecutableFile(atPath: "\(cache)/\($0)")
        }
    }

    /// Runs a program to its end.
    private func run(_ command: [String], in directory: String) async throws -> (Int32, String) {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let log = "\(directory)/demo.log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: command[0])
        process.arguments = Array(command.dropFirst())
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
        return (status, try String(contentsOfFile: log, encoding: .utf8))
    }
}
