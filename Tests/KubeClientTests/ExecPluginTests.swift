import FoundationEssentials
import KubeCore
import NIOHTTP1
import NIOSSL
import SwiftASN1
import Synchronization
import Testing
import X509

@testable import KubeClient

/// Credential plugins, as shell scripts.
@Suite(.timeLimit(.minutes(1)))
struct ExecPluginTests {
    /// A kubeconfig whose user is `exec`, beside the script `plugin`.
    func config(_ exec: String, server: String = "https://x") -> String {
        """
        current-context: dev
        clusters: [{name: c, cluster: {server: "\(server)"}}]
        contexts: [{name: dev, context: {cluster: c, user: u}}]
        users:
        - name: u
          user:
            exec: \(exec)
        """
    }

    static let v1 = #"{apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Never}"#

    /// Loads a configuration whose plugin is this script, made executable.
    func loading(
        _ script: String, exec: String = v1, server: String = "https://x",
        _ body: (ClientConfiguration, _ directory: String) async throws -> Void
    ) async throws {
        try await withFiles(["config": config(exec, server: server), "plugin": "#!/bin/sh\n" + script]) { directory in
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory + "/plugin")
            let configuration = try ClientConfiguration.load(
                kubeconfig: directory + "/config",
                environment: ["PATH": "/usr/bin:/bin", "DIR": directory])
            try await body(configuration, directory)
        }
    }

    func answering(_ status: String, version: String = "v1") -> String {
        """
        echo run >> $DIR/runs
        echo '{"apiVersion":"client.authentication.k8s.io/\(version)","kind":"ExecCredential","status":\(status)}'
        """
    }

    func runs(_ directory: String) throws -> Int {
        String(decoding: try Data(contentsOf: URL(filePath: directory + "/runs")), as: UTF8.self)
            .split(separator: "\n").count
    }

    /// What `identities` fails with.
    func complaint(_ configuration: ClientConfiguration, hasTerminal: Bool = false) async throws -> String {
        let source = IdentitySource(configuration.credential, hasTerminal: hasTerminal)
        let error = try await failure { _ = try await source.current() }
        #expect(error.code == 0 && error.reason == "Unauthorized")
        return error.message
    }

    @Test func `a token is asked for once, by one of many, and again when it has lapsed`() async throws {
        let script = answering(#"{"token":"t1","expirationTimestamp":"2030-01-01T00:00:00Z"}"#)
        try await loading(script) { configuration, directory in
            let now = Mutex(try #require(KubeTime.parse("2029-12-31T23:59:59Z")))
            let source = IdentitySource(configuration.credential) { now.withLock { $0 } }
            try await withThrowingTaskGroup(of: String?.self) { tasks in
                for _ in 0..<20 { tasks.addTask { try await source.current().authorization } }
                for try await header in tasks { #expect(header == "Bearer t1") }
            }
            #expect(try runs(directory) == 1)
            now.withLock { $0 = $0.addingTimeInterval(1) }
            _ = try await source.current()
            #expect(try runs(directory) == 2)
        }
    }

    @Test func `a refused token is asked for again, and the request goes through`() async throws {
        let script = """
            n=$(cat $DIR/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > $DIR/n
            echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t'$n'"}}'
            """
        try await loading(script) { configuration, _ in
            try await withClient(credential: configuration.credential) { request, _ in
                request.headers["authorization"] == ["Bearer t2"] ? .ok() : .status(401, "Unauthorized")
            } during: { client, server in
                _ = try await client.create(.pods, KubeObject(.pods, namespace: "shop", name: "a"))
                _ = try await client.get(.pods, namespace: "shop", name: "a")
                #expect(
                    server.seen.compactMap { $0.headers["authorization"].first } == [
                        "Bearer t1", "Bearer t2", "Bearer t2",
                    ])
            }
        }
    }

    @Test func `a request that is refused with every token fails after two`() async throws {
        try await loading(answering(#"{"token":"bad"}"#)) { configuration, directory in
            try await withClient(credential: configuration.credential) { _, _ in
                .status(401, "Unauthorized")
            } during: { client, server in
                let error = try await failure { _ = try await client.get(.pods, name: "a") }
                #expect(error.code == 401 && server.seen.count == 2)
                #expect(try runs(directory) == 2)
            }
        }
    }

    @Test func `a client certificate of a plugin identifies`() async throws {
        let authority = try TestAuthority()
        let (certificate, key) = try authority.issue("me", names: [.dnsName("me")])
        let escaped = [certificate, key].map { $0.split(separator: "\n").joined(separator: "\\n") }
        let script = """
            cat <<'END'
            {"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential",
             "status":{"clientCertificateData":"\(escaped[0])\\n","clientKeyData":"\(escaped[1])\\n"}}
            END
            """
        let context = try authority.serverContext(
            names: [.ipAddress(ASN1OctetString(contentBytes: [127, 0, 0, 1]))], clients: true)
        let exec = "{apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin}"
        try await LocalServer.serving(tls: context) { _, _ in
            .ok()
        } during: { _, port in
            try await loading(script, exec: exec, server: "https://127.0.0.1:\(port)") { loaded, _ in
                var configuration = loaded
                configuration.certificateAuthority = Data(try authority.pem.utf8)
                try await withClient(of: configuration) { _ = try await $0.get(.pods, name: "a") }
            }
        }
    }

    @Test func `the plugin gets its arguments, its environment and what it asked to know of the cluster`() async throws
    {
        let exec = """

                  apiVersion: client.authentication.k8s.io/v1
                  command: ./plugin
                  args: [one, "two words"]
                  env: [{name: EXTRA, value: more}]
                  interactiveMode: IfAvailable
                  provideClusterInfo: true
            """
        let script = """
            printf '%s|' "$1" "$2" "$EXTRA" "$KUBERNETES_EXEC_INFO" > $DIR/seen
            read -r line && echo "stdin is open" >> $DIR/seen
            """ + "\n" + answering(#"{"token":"t"}"#)
        try await loading(script, exec: exec) { configuration, directory in
            _ = try await IdentitySource(configuration.credential).current()
            let seen = String(decoding: try Data(contentsOf: URL(filePath: directory + "/seen")), as: UTF8.self)
            #expect(seen.hasPrefix("one|two words|more|{") && seen.hasSuffix("}|"))
            let info = try JSONValue.parse(String(seen.dropFirst("one|two words|more|".count).dropLast()))
            #expect(info["kind"] == "ExecCredential" && info["apiVersion"] == "client.authentication.k8s.io/v1")
            #expect(info["spec"] == ["interactive": false, "cluster": ["server": "https://x"]])
        }
    }

    @Test func `what a plugin complains of is told, with file, context and field`() async throws {
        try await loading("echo 'log in first' >&2; exit 3") { configuration, directory in
            let message = try await complaint(configuration)
            #expect(message.hasPrefix("\(directory)/config: context dev: users[u].user.exec: "))
            #expect(message.hasSuffix("/plugin ended with exit status 3: log in first"))
        }
    }

    @Test func `a plugin that is not there says how to install it`() async throws {
        let exec =
            "{apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never, "
            + "installHint: Run 'brew install it'.}"
        try await loading("", exec: exec) { configuration, _ in
            let message = try await complaint(configuration)
            #expect(message.hasSuffix("there is no executable no-such-plugin. Run 'brew install it'."))
        }
    }

    @Test func `a plugin that hangs is ended with its children at its time limit`() async throws {
        try await loading("sleep 600 & echo $! > $DIR/child; wait") { configuration, directory in
            guard case .plugin(var plugin) = configuration.credential else { throw failed }
            plugin.timeLimit = .milliseconds(300)
            let error = try await failure { _ = try await plugin.run(hasTerminal: false) }
            #expect(error.message.hasSuffix("gave no answer within 0.3 seconds"))
            let child = String(decoding: try Data(contentsOf: URL(filePath: directory + "/child")), as: UTF8.self)
            let number = child.filter(\.isNumber)
            // Ended, or ended and not yet collected by whoever took it over.
            while let state = try? Data(contentsOf: URL(filePath: "/proc/\(number)/stat")),
                !String(decoding: state, as: UTF8.self).contains(") Z ")
            {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    @Test func `a plugin ends with the request that waits for it`() async throws {
        try await loading("echo $$ > $DIR/pid; exec sleep 600") { configuration, directory in
            let source = IdentitySource(configuration.credential)
            let task = Task { try await source.current() }
            while !FileManager.default.fileExists(atPath: directory + "/pid") {
                try await Task.sleep(for: .milliseconds(2))
            }
            task.cancel()
            await #expect(throws: CancellationError.self) { _ = try await task.value }
        }
    }

    @Test func `one waiter's cancelling leaves the plugin to the others`() async throws {
        let script = "while [ ! -e $DIR/go ]; do sleep 0.01; done\n" + answering(#"{"token":"t"}"#)
        try await loading(script) { configuration, directory in
            let source = IdentitySource(configuration.credential)
            let first = Task { try await source.current() }
            let second = Task { try await source.current() }
            second.cancel()
            await #expect(throws: CancellationError.self) { _ = try await second.value }
            try Data().write(to: URL(filePath: directory + "/go"))
            #expect(try await first.value.authorization == "Bearer t")
        }
    }

    @Test(arguments: [
        ("echo no", "wrote what is not JSON"), ("echo '{}'", "wrote no ExecCredential"),
        (
            #"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1"}'"#,
            "answers with apiVersion client.authentication.k8s.io/v1beta1, not client.authentication.k8s.io/v1"
        ),
        (
            #"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}'"#,
            "neither a token nor a client certificate"
        ),
        (
            #"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","#
                + #""status":{"token":"t","expirationTimestamp":"soon"}}'"#, "not RFC 3339: soon"
        ),
        (
            #"echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","#
                + #""status":{"clientKeyData":"k"}}'"#, "clientKeyData without clientCertificateData"
        ),
        ("kill -9 $$", "ended by signal 9"), ("yes", "wrote more than 1048576 bytes"),
    ])
    func `an answer that makes no sense is told`(_ script: String, _ message: String) async throws {
        try await loading(script) { configuration, _ in
            let said = try await complaint(configuration)
            #expect(said.contains(message))
        }
    }

    @Test func `a plugin that needs a terminal is not run without one`() async throws {
        let exec = #"{apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Always}"#
        try await loading(answering(#"{"token":"t"}"#), exec: exec) { configuration, directory in
            let said = try await complaint(configuration)
            #expect(said.contains("needs a terminal"))
            #expect(!FileManager.default.fileExists(atPath: directory + "/runs"))
        }
    }

    @Test(arguments: [
        ("{command: ./plugin}", "exec.apiVersion"), ("{apiVersion: client.authentication.k8s.io/v1}", "exec.command"),
        ("{apiVersion: client.authentication.k8s.io/v1alpha1, command: x}", "exec.apiVersion"),
        ("{apiVersion: client.authentication.k8s.io/v1, command: x}", "exec.interactiveMode"),
        (
            "{apiVersion: client.authentication.k8s.io/v1, command: x, interactiveMode: Sometimes}",
            "exec.interactiveMode"
        ),
        (
            "{apiVersion: client.authentication.k8s.io/v1beta1, command: x, env: [{name: A}]}", "exec.env[0]"
        ),
        ("{apiVersion: client.authentication.k8s.io/v1beta1, command: x, args: [1]}", "exec.args"),
    ])
    func `a wrong field is named`(_ exec: String, _ field: String) async throws {
        try await withFiles(["config": config(exec)]) { directory in
            #expect {
                _ = try ClientConfiguration.load(kubeconfig: directory + "/config", environment: [:])
            } throws: { ($0 as? ConfigurationError)?.field == "users[u].user.\(field)" }
        }
    }

    private var failed: APIError { APIError(code: -1, reason: "", message: "no plugin was read") }
}

struct TurnstileTests {
    @Test func `one passes at a time, and all do`() async throws {
        let turnstile = Turnstile()
        let room = Room()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for _ in 0..<50 {
                tasks.addTask {
                    try await turnstile.pass {
                        room.enter()
                        await Task.yield()
                        room.leave()
                    }
                }
            }
            try await tasks.waitForAll()
        }
        #expect(room.most == 1 && room.passed == 50)
    }

    private final class Room: Sendable {
        private let state = Mutex((inside: 0, most: 0, passed: 0))
        var most: Int { state.withLock { $0.most } }
        var passed: Int { state.withLock { $0.passed } }

        func enter() {
            state.withLock { state in
                state.inside += 1
                state.most = max(state.most, state.inside)
            }
        }

        func leave() {
            state.withLock { state in
                state.inside -= 1
                state.passed += 1
            }
        }
    }

    @Test func `a failure inside lets the next one in`() async throws {
        let turnstile = Turnstile()
        await #expect(throws: CancellationError.self) { try await turnstile.pass { throw CancellationError() } }
        #expect(try await turnstile.pass { 7 } == 7)
    }
}
