import AsyncHTTPClient
import KubeCore
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Carries out probes and lifecycle hooks: from the node to the pod's address, or inside a container.
struct ProbeRunner: Sendable {
    let processes: ChildProcesses
    let launcher: ContainerLauncher
    let group: any EventLoopGroup
    let client: HTTPClient

    static func client(group: any EventLoopGroup) -> HTTPClient {
        var tls = TLSConfiguration.makeClientConfiguration()
        // As kubelet: a probe asks whether something answers, not who.
        tls.certificateVerification = .none
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls, redirectConfiguration: .disallow)
        configuration.connectionPool.idleTimeout = .milliseconds(10)
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
    }

    /// Nil when the probe succeeds, else why it failed.
    func check(
        _ action: JSONValue, _ container: ContainerSpec, podIP: String, running: LaunchedContainer, timeout: Duration
    ) async
        -> String?
    {
        if let http = action["httpGet"] { return await get(http, container, podIP: podIP, timeout: timeout) }
        if let tcp = action["tcpSocket"] ?? action["grpc"] {
            // A gRPC probe is taken for a connection check: the health protocol is not spoken.
            return await connect(to: tcp["host"]?.string ?? podIP, container.port(tcp["port"]), timeout: timeout)
        }
        if let exec = action["exec"] {
            return await execute(
                exec["command"]?.array?.compactMap(\.string) ?? [], container, running: running, timeout: timeout)
        }
        return "the probe has no action that the sandbox knows (httpGet, tcpSocket, grpc, exec)"
    }

    private func get(_ http: JSONValue, _ container: ContainerSpec, podIP: String, timeout: Duration) async -> String? {
        guard let port = container.port(http["port"]) else { return "the probe names no port of the container" }
        let scheme = http["scheme"]?.string?.lowercased() ?? "http"
        let host = http["host"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? podIP
        let path = http["path"]?.string ?? "/"
        var request = HTTPClientRequest(url: "\(scheme)://\(host):\(port)\(path.hasPrefix("/") ? path : "/" + path)")
        request.headers = ["User-Agent": "kube-probe/1.32", "Connection": "close", "Accept": "*/*"]
        for header in http["httpHeaders"]?.array ?? [] {
            request.headers.replaceOrAdd(name: header["name"]?.string ?? "", value: header["value"]?.string ?? "")
        }
        do {
            let response = try await client.execute(request, timeout: TimeAmount(timeout))
            let status = Int(response.status.code)
            return (200..<400).contains(status) ? nil : "HTTP probe failed with statuscode: \(status)"
        } catch {
            return "Get \"\(request.url)\": \(error)"
        }
    }

    private func connect(to host: String, _ port: Int?, timeout: Duration) async -> String? {
        guard let port else { return "the probe names no port of the container" }
        do {
            let channel = try await ClientBootstrap(group: group).connectTimeout(TimeAmount(timeout)).connect(
                host: host, port: port
            ).get()
            try? await channel.close()
            return nil
        } catch {
            return "dial tcp \(host):\(port): \(error)"
        }
    }

    private func execute(
        _ command: [String], _ container: ContainerSpec, running: LaunchedContainer, timeout: Duration
    ) async -> String? {
        do {
            let result = try await processes.run(
                launcher.executing(command, in: running.process, of: container), environment: running.environment,
                timeout: timeout)
            return result.isSuccess
                ? nil : "command \(command) ended with \(result.exit.code): \(result.output.prefix(500))"
        } catch {
            return "\(error)"
        }
    }

    /// Runs a lifecycle hook; nil when it succeeded.
    func run(hook: JSONValue, _ container: ContainerSpec, podIP: String, running: LaunchedContainer, timeout: Duration)
        async
        -> String?
    {
        if let seconds = hook[path: "sleep", "seconds"]?.int {
            try? await Task.sleep(for: min(.seconds(seconds), timeout))
            return nil
        }
        return await check(hook, container, podIP: podIP, running: running, timeout: timeout)
    }
}
