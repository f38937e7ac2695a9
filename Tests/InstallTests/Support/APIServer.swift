import AsyncHTTPClient
import Foundation
import KubeCore
import NIOCore
import NIOHTTP1
import NIOSSL
import Yams

/// A real API server, spoken to with plain HTTP requests: what is tested here is the server's answer, so Heddle's own
/// client stays out of it.
struct APIServer: Sendable {
    /// Names a kubeconfig of an API server that may be changed: CRDs are installed, and objects of the tests' namespaces.
    static let variable = "HEDDLE_TEST_KUBECONFIG"
    /// Names a kubeconfig of a server for custom resources, where the first one's is too old for CEL; else the first one's.
    static let definitionsVariable = "HEDDLE_CRD_KUBECONFIG"

    struct Answer: Sendable {
        var status: Int
        var body: JSONValue
        var message: String { body["message"]?.string ?? body.serialized() }
        var isSuccess: Bool { (200..<300).contains(status) }
    }

    /// Sends a method, a path with its query, a content type (nil: JSON) and a body.
    typealias Send = (HTTPMethod, String, String?, JSONValue?) async throws -> Answer

    let kubeconfig: String
    private let address: String
    private let tls: TLSConfiguration
    private let token: String?

    static var main: String? { path(variable) }
    static var definitions: String? { path(definitionsVariable) ?? main }

    private static func path(_ variable: String) -> String? {
        ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Reads the current context of a kubeconfig with embedded certificates.
    init(kubeconfig path: String) throws {
        kubeconfig = path
        let file = try objects(inYAML: String(contentsOfFile: path, encoding: .utf8)).first?.json ?? [:]
        func entry(_ list: String, _ name: String?, _ member: String) -> JSONValue? {
            file[list]?.array?.first { $0["name"]?.string == name }?[member]
        }
        let context = entry("contexts", file["current-context"]?.string, "context")
        let cluster = entry("clusters", context?["cluster"]?.string, "cluster")
        let user = entry("users", context?["user"]?.string, "user")
        func pem(_ value: JSONValue?) -> [UInt8]? { value?.string.flatMap { Data(base64Encoded: $0) }.map(Array.init) }
        address = cluster?["server"]?.string ?? ""
        var tls = TLSConfiguration.makeClientConfiguration()
        if let roots = pem(cluster?["certificate-authority-data"]) {
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(roots))
        }
        if let chain = pem(user?["client-certificate-data"]), let key = pem(user?["client-key-data"]) {
            tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(chain).map { .certificate($0) }
            tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem))
        }
        self.tls = tls
        token = user?["token"]?.string
    }

    private init(_ other: APIServer, token: String) {
        kubeconfig = other.kubeconfig
        address = other.address
        var tls = other.tls
        tls.certificateChain = []
        tls.privateKey = nil
        self.tls = tls
        self.token = token
    }

    /// The same server as another user sees it.
    func with(token: String) -> APIServer { APIServer(self, token: token) }

    /// Runs `body` with a function that sends one request.
    func use<T>(
        _ body: (_ send: Send) async throws -> T
    ) async throws -> T {
        var options = HTTPClient.Configuration()
        options.tlsConfiguration = tls
        options.httpVersion = .http1Only
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
        do {
            let result = try await body { method, path, contentType, json in
                try await send(client, method, path, contentType, json)
            }
            try await client.shutdown()
            return result
        } catch {
            try await client.shutdown()
            throw error
        }
    }

    private func send(
        _ client: HTTPClient, _ method: HTTPMethod, _ path: String, _ contentType: String?, _ json: JSONValue?
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: address + path)
        request.method = method
        request.headers.add(name: "Accept", value: "application/json")
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let json {
            request.headers.add(name: "Content-Type", value: contentType ?? "application/json")
            request.body = .bytes(ByteBuffer(bytes: json.serializedBytes()))
        }
        let response = try await client.execute(request, timeout: .seconds(30))
        let bytes = try await response.body.collect(upTo: 64 << 20)
        let body = (try? JSONValue.parse(bytes.readableBytesView)) ?? .string(String(buffer: bytes))
        return Answer(status: Int(response.status.code), body: body)
    }
}
