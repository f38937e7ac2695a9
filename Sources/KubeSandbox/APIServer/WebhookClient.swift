import AsyncHTTPClient
import KubeCore
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization

/// Calls one webhook over HTTPS, trusting only the authority that its configuration names.
struct WebhookClient: Sendable {
    let server: APIServer

    /// - Throws: `WebhookFailure` or a transport error; both mean that there is no answer.
    func post(_ review: JSONValue, to hook: AdmissionWebhook) async throws -> JSONValue {
        let target = try await target(of: hook.clientConfig)
        var tls = TLSConfiguration.makeClientConfiguration()
        if let bundle = hook.clientConfig["caBundle"]?.string, !bundle.isEmpty {
            guard let pem = Base64.decode(bundle) else { throw WebhookFailure(message: "its caBundle is not base64") }
            tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(pem))
        }
        var configuration = HTTPClient.Configuration(tlsConfiguration: tls)
        configuration.timeout = .init(connect: .seconds(Int64(hook.timeoutSeconds)))
        // A refused connection is an answer; the client would else try on until the timeout.
        configuration.connectionPool.retryConnectionEstablishment = false
        if let address = target.address { configuration.dnsOverride[address.name] = address.host }
        // One client a call: each webhook has its own trust, and calls are rare.
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let answer = try await send(review, to: target.url, timeoutSeconds: hook.timeoutSeconds, with: client)
            try await client.shutdown()
            return answer
        } catch {
            try? await client.shutdown()
            throw error
        }
    }

    private func send(_ review: JSONValue, to url: String, timeoutSeconds: Int, with client: HTTPClient) async throws
        -> JSONValue
    {
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "Accept", value: "application/json, */*")
        request.body = .bytes(ByteBuffer(bytes: review.serializedBytes()))
        let response = try await client.execute(request, timeout: .seconds(Int64(timeoutSeconds)))
        let body = try await response.body.collect(upTo: 8 << 20)
        guard response.status.code == 200 else {
            throw WebhookFailure(
                message:
                    "Post \"\(url)\": the server answered \(response.status.code): \(String(buffer: body).prefix(200))")
        }
        return try JSONValue.parse(body.readableBytesView)
    }

    /// Where to connect, and under which name to expect the server.
    private func target(of config: JSONValue) async throws -> (url: String, address: (name: String, host: String)?) {
        if let url = config["url"]?.string { return (url, nil) }
        guard let service = config["service"], let namespace = service["namespace"]?.string,
            let name = service["name"]?.string
        else { throw WebhookFailure(message: "its clientConfig has neither url nor service") }
        var port = service["port"]?.int ?? 443
        let path = service["path"]?.string ?? "/"
        let host = "\(name).\(namespace).svc"
        var address: String?
        if let resolve = server.hooks.withLock({ $0.resolveService }), let found = await resolve(namespace, name, port)
        {
            address = found.host
            port = found.port
        } else {
            guard let found = server.store.get("services", ObjectKey(namespace: namespace, name: name)) else {
                throw WebhookFailure(message: "service \"\(name)\" not found")
            }
            address = found.json[path: "spec", "clusterIP"]?.string
        }
        guard let address, !address.isEmpty, address != "None" else {
            throw WebhookFailure(message: "service \"\(name)\" has no cluster address")
        }
        return ("https://\(host):\(port)\(path.hasPrefix("/") ? path : "/" + path)", (host, address))
    }
}
