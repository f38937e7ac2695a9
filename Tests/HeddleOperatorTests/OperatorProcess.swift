import AsyncHTTPClient
import Foundation
import KubeTesting
import NIOCore
import NIOHTTP1

/// A `heddle-operator` as a process of its own, which a test stops, lets go on and ends by its pid.
final class OperatorProcess {
    static let executable = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: ".build/debug/heddle-operator")

    let name: String
    let plainPort: Int
    let log: URL
    private let process = Process()
    private let output: FileHandle

    init(_ name: String, kubeconfig: String, directory: URL) throws {
        self.name = name
        let ports = try Self.freePorts(3)
        plainPort = ports[0]
        log = directory.appending(path: "\(name).log")
        try Data().write(to: log)
        output = try FileHandle(forWritingTo: log)
        process.executableURL = Self.executable
        process.arguments = [
            "--kubeconfig", kubeconfig, "--identity", name, "--address", "127.0.0.1", "--plain-port", "\(ports[0])",
            "--secure-port", "\(ports[1])", "--xds-port", "\(ports[2])",
        ]
        process.standardOutput = output
        process.standardError = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    var isRunning: Bool { process.isRunning }
    var exitStatus: Int32 { process.terminationStatus }
    var logText: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

    /// SIGSTOP: time goes on for it, and it does nothing.
    func stop() { kill(process.processIdentifier, SIGSTOP) }
    /// SIGCONT.
    func goOn() { kill(process.processIdentifier, SIGCONT) }
    /// SIGTERM.
    func terminate() { process.terminate() }

    func end() {
        if process.isRunning {
            goOn()
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        try? output.close()
    }

    func page(_ path: String, _ client: HTTPClient) async -> (status: Int, text: String)? {
        let request = HTTPClientRequest(url: "http://127.0.0.1:\(plainPort)\(path)")
        guard let response = try? await client.execute(request, timeout: .seconds(3)),
            let body = try? await response.body.collect(upTo: 4 << 20)
        else { return nil }
        return (Int(response.status.code), String(buffer: body))
    }

    func isReady(_ client: HTTPClient) async -> Bool { await page("/readyz", client)?.status == 200 }

    /// What the replica says of itself; nil when it does not answer.
    func isLeading(_ client: HTTPClient) async -> Bool? {
        await page("/metrics", client)?.text.split(separator: "\n").first { $0.hasPrefix("heddle_leader ") }
            .map { $0.hasSuffix(" 1") }
    }

    /// Ports that are free now; another process may take one before it is used, which a test then says.
    private static func freePorts(_ count: Int) throws -> [Int] {
        var sockets: [Int32] = []
        defer { for socket in sockets { close(socket) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            sockets.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                }
            }
            guard descriptor >= 0, status else { throw CocoaError(.fileReadUnknown) }
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
}
