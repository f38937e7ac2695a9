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
    func `the node's tests pass inside a private network namespace`() async throws {
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
        var environment = ProcessInfo.processInfo.environment
        environment["HEDDLE_NODE_TESTS"] = "1"
        let result = try await ChildProcesses().run(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--"] + arguments
                + ["--filter", "NodeLiveTests"],
            environment: environment, timeout: .seconds(280))
        let text = result.output
        #expect(result.isSuccess, "\(text)")
        // A filter that matches nothing would pass too.
        #expect(text.contains("Suite NodeLiveTests passed"), "\(text)")
    }
}
