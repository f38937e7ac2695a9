import NIOCore
import NIOPosix
import Testing

@testable import heddle_agent

@Suite struct ChildProcessTests {
    @Test func aChildGetsNoneOfTheAgentsSockets() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let result = try await ChildProcess.run("/bin/sh", ["-c", "ls -l /proc/$$/fd >&2"], input: "")
        #expect(result.status == .exited(0))
        #expect(result.errors.contains("2 ->"), "the listing itself came")
        #expect(!result.errors.contains("socket:"), "\(result.errors)")
        try await server.close()
    }

    @Test func inputErrorsAndStatusPassThrough() async throws {
        let result = try await ChildProcess.run("/bin/sh", ["-c", "cat >&2; exit 3"], input: "hello")
        #expect(result.status == .exited(3))
        #expect(result.errors == "hello")
        let killed = try await ChildProcess.run("/bin/sh", ["-c", "kill -9 $$"], input: "")
        #expect(killed.status == .signalled(9))
    }

    @Test func whatIsNotThereIsNamed() async {
        let error = await #expect(throws: ChildProcess.SpawnFailure.self) {
            try await ChildProcess.run("/no/such/program", [], input: "")
        }
        #expect(error?.description.contains("/no/such/program") == true)
        #expect(ChildProcess.find("no-such-program", path: "/bin") == nil)
        #expect(ChildProcess.find("sh", path: "/bin") == "/bin/sh")
    }

    /// The agent often has one CPU. Waiting for children must not hold the threads that Swift's tasks run on.
    @Test func manyWaitsLeaveOtherTasksRunning() async throws {
        let children = try (0..<8).map { _ in try ChildProcess.spawn("/bin/sleep", ["30"]) }
        await withTaskGroup(of: ChildProcess.Status.self) { group in
            for child in children { group.addTask { await child.wait() } }
            try? await Task.sleep(for: .milliseconds(100))
            for child in children { child.send(15) }
            for await status in group { #expect(status == .signalled(15)) }
        }
    }
}
