import AsyncHTTPClient
import Foundation
import KubeCore
import NIOCore
import NIOHTTP1
import NIOSSL

/// HTTP as no typed client would speak it: headers and bodies of the test's choice.
struct RawHTTP: Sendable {
    struct Answer: Sendable {
        var code: Int
        var type: String
        var headers: [(name: String, value: String)]
        var text: String

        /// Null when the body is not JSON.
        var json: JSONValue { (try? JSONValue.parse(text)) ?? .null }

        func values(_ name: String) -> [String] {
            headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
        }
    }

    /// `https://host:port`.
    let server: String
    /// A bearer token with all rights.
    let token: String
    let client: HTTPClient

    var host: String { URL(string: server)?.host() ?? "" }

    init(server: String, authority: Data?, token: String) throws {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authority { tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(authority))) }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.httpVersion = .http1Only
        self.server = server
        self.token = token
        client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// - Parameter token: nil: the one with all rights; empty: none.
    func callAsFunction(
        _ method: HTTPMethod = .GET, _ path: String, accept: String? = nil, token: String? = nil,
        headers: [String: String] = [:], type: String = "application/json", body: String? = nil
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: server + path)
        request.method = method
        let token = token ?? self.token
        if !token.isEmpty { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let accept { request.headers.add(name: "Accept", value: accept) }
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let body {
            request.headers.add(name: "Content-Type", value: type)
            request.body = .bytes(ByteBuffer(string: body))
        }
        let response = try await client.execute(request, timeout: .seconds(60))
        let text = String(buffer: try await response.body.collect(upTo: 64 << 20))
        return Answer(
            code: Int(response.status.code), type: response.headers.first(name: "content-type") ?? "",
            headers: response.headers.map { ($0.name, $0.value) }, text: text)
    }
}
