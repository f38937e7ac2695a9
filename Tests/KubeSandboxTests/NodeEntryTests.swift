import Foundation
import Testing

@testable import KubeSandbox

/// Starts this test program again inside namespaces of its own, for the node's tests.
struct NodeEntryTests {
    @Test(
        .enabled(
            if: NodeTestProcess.obstacle == nil && !NodeTestProcess.isInside,
            "needs root, util-linux, iproute2, nftables and python3"),
        .timeLimit(.minutes(5)))
    func `the node's tests pass inside a private network namespace`() throws {
        // The arguments of this very run, with the filter set to the node's suite.
        var arguments = try String(contentsOfFile: "/proc/self/cmdline", encoding: .utf8).split(separator: "\0").map(
            String.init)
        var index = 0
        while index < arguments.count {
            if ["--filter", "--skip", "--xunit-output", "--event-stream-output-path"].contains(arguments[index]) {
                arguments.removeSubrange(index..<min(arguments.count, index + 2))
            } else {
                index += 1
            }
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments =
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"] + arguments
            + ["--filter", "NodeLiveTests"]
        var environment = ProcessInfo.processInfo.environment
        environment["HEDDLE_NODE_TESTS"] = "1"
        process.environment = environment
        let output = Foundation.Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
        // A filter that matches nothing would pass too.
        #expect(text.contains("Suite NodeLiveTests passed"), "\(text)")
        if ProcessInfo.processInfo.environment["HEDDLE_NODE_TESTS_VERBOSE"] != nil { print(text) }
    }
}
