import Foundation
import Testing

@testable import KubeSandbox

/// How the sandbox's namespaces are entered, as far as text goes.
struct SandboxTests {
    @Test(arguments: [("8080:10.96.0.5:80", 8080, "10.96.0.5", 80), ("0:web.shop:443", 0, "web.shop", 443)])
    func `publications are written HOSTPORT:HOST:PORT`(text: String, hostPort: Int, host: String, port: Int) {
        #expect(SandboxNamespace.Publication(text) == .init(hostPort: hostPort, host: host, port: port))
    }

    @Test(arguments: ["8080:80", "x:1.2.3.4:80", "70000:1.2.3.4:80", "80:1.2.3.4:0", ""])
    func `other publications are refused`(text: String) { #expect(SandboxNamespace.Publication(text) == nil) }

    @Test func `without a sandbox there is nothing to enter`() {
        #expect(throws: SandboxError.self) { try SandboxNamespace.executing(["true"], directory: "/nonexistent") }
    }

    @Test func `without root the sandbox enters a user namespace, with the user's subordinate ids`() throws {
        let range = "alice:100000:65536"
        var user = SandboxNamespace.User(
            id: 1000, name: "alice", subordinateIDs: [range, "bob:1:1\n1000:200000:65536\n"], hasMapTools: true)
        let command = try SandboxNamespace.command(for: user)
        #expect(command.contains("--map-auto") && command.contains("--map-root-user"))
        user.id = 0
        #expect(try !SandboxNamespace.command(for: user).contains("--user"), "root needs none")
    }

    @Test(arguments: [
        (["alice:100000:65536", "alice:100000:65536"], false, "apt-get install uidmap"),
        (["alice:100000:65536", ""], true, "add the line `alice:100000:65536`"),
        (["alice:100000:1000", "alice:100000:65536"], true, "add the line `alice:100000:65536`"),
        (["bob:100000:65536", "bob:100000:65536"], true, "add the line `alice:100000:65536`"),
    ])
    func `one sentence names what a user without root lacks`(ranges: [String], tools: Bool, remedy: String) {
        let user = SandboxNamespace.User(id: 1000, name: "alice", subordinateIDs: ranges, hasMapTools: tools)
        let error = #expect(throws: SandboxError.self) { try SandboxNamespace.command(for: user) }
        #expect(error?.description.contains(remedy) == true)
        #expect(error?.description.contains("\n") == false)
    }

    @Test func `children are reaped with their status, and what they leave behind is killed`() async throws {
        let processes = ChildProcesses()
        let failing = try await processes.run(["sh", "-c", "cat; exit 7"], input: "hello")
        #expect(failing.exit == .exited(7) && failing.output == "hello")
        let killed = try processes.spawn(["sleep", "60"], environment: [:])
        killed.signal(SIGTERM)
        #expect(await killed.exit() == .signalled(SIGTERM))
        let leaving = try await processes.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"])
        let orphan = try #require(Int32(leaving.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        try await eventually("the orphan is gone") {
            let stat = try? String(contentsOfFile: "/proc/\(orphan)/stat", encoding: .utf8)
            return stat == nil || stat?.contains(") Z") == true
        }
        let slow = try await processes.run(["sleep", "60"], timeout: .milliseconds(100))
        #expect(slow.exit == .signalled(SIGKILL))
        await #expect(throws: SpawnError.self) { try await processes.run(["/no/such/program"]) }
    }
}
