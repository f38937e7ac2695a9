import AsyncHTTPClient
import Foundation
import Hummingbird
import HummingbirdTLS
import KubeCore
import NIOCore
import NIOHTTP1
import NIOSSL
import Synchronization
import Testing

@testable import KubeSandbox

struct APIServerHTTPTests {
    private func client(_ identity: ServingIdentity) throws -> HTTPClient {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(identity.authority.utf8)))
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: .init(tlsConfiguration: tls))
    }

    private func request(_ port: Int, _ path: String, token: String? = "admin", accept: String? = nil)
        -> HTTPClientRequest
    {
        var request = HTTPClientRequest(url: "https://127.0.0.1:\(port)\(path)")
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let accept { request.headers.add(name: "Accept", value: accept) }
        return request
    }

    /// Opens a watch and reads its first event: the object's name and version.
    private func nextEvent(_ client: HTTPClient, _ port: Int, since version: String) async throws -> (String, String) {
        let path = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=\(version)"
        let response = try await client.execute(request(port, path), timeout: .seconds(20))
        var text = ""
        for try await chunk in response.body {
            text += String(buffer: chunk)
            if text.hasSuffix("\n") { break }
        }
        let metadata = try JSONValue.parse(text)[path: "object", "metadata"]
        return (metadata?["name"]?.string ?? "", metadata?["resourceVersion"]?.string ?? "")
    }

    @Test func `callers authenticate, and protobuf is refused`() async throws {
        let api = APIServer()
        let identity = try ServingIdentity.make()
        let account = try await api.perform(
            APIRequest(
                .create, .serviceAccounts, namespace: "default", name: "default", subresource: "token", body: [:]))
        try await withFrontEnd(of: api, identity: identity) { front in
            let port = await front.port()
            let client = try client(identity)
            func status(_ request: HTTPClientRequest) async throws -> UInt {
                try await client.execute(request, timeout: .seconds(10)).status.code
            }
            #expect(try await status(request(port, "/healthz", token: nil)) == 200)
            #expect(try await status(request(port, "/api/v1/pods", token: nil)) == 401)
            #expect(try await status(request(port, "/api/v1/pods", token: "wrong")) == 401)
            #expect(
                try await status(request(port, "/api/v1/pods", token: account[path: "status", "token"]?.string)) == 200)
            #expect(
                try await status(request(port, "/api/v1/pods", accept: "application/vnd.kubernetes.protobuf")) == 406)
            #expect(
                try await status(request(port, "/api/v1/pods", accept: "application/vnd.kubernetes.protobuf, */*"))
                    == 200)
            var post = request(port, "/api/v1/namespaces/default/configmaps")
            post.method = .POST
            post.headers.add(name: "Content-Type", value: "application/vnd.kubernetes.protobuf")
            post.body = .bytes(ByteBuffer(string: "k8s"))
            #expect(try await status(post) == 415)
            #expect(try await status(request(port, "/apis/none.example/v1/things")) == 404)
            try await client.shutdown()
        }
    }

    private func watcherCount(_ api: APIServer) -> Int {
        api.store.state.withLock { $0.collections.values.reduce(0) { $0 + $1.hub.watchers.count } }
    }

    @Test func `a watch leaves with its client, and ends in good order with the server`() async throws {
        let api = APIServer()
        let identity = try ServingIdentity.make()
        let client = try client(identity)
        let response = try await withFrontEnd(of: api, identity: identity) { front in
            let port = await front.port()
            let version = try await api.list(.configMaps, namespace: "default").resourceVersion
            _ = try await api.create(.configMaps, configMap("a"))
            _ = try await nextEvent(client, port, since: version)
            // The reader above has gone; nothing is written to it any more.
            for _ in 0..<200 where watcherCount(api) > 0 { try await Task.sleep(for: .milliseconds(20)) }
            #expect(watcherCount(api) == 0)
            return try await client.execute(
                request(port, "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=\(api.store.revision)"),
                timeout: .seconds(20))
        }
        for try await _ in response.body {}
        #expect(watcherCount(api) == 0)
        try await client.shutdown()
    }

    @Test func `a watch resumes on another front end over the same store`() async throws {
        let api = APIServer()
        let identity = try ServingIdentity.make()
        let start = try await api.list(.configMaps, namespace: "default").resourceVersion
        let client = try client(identity)
        let (port, version) = try await withFrontEnd(of: api, identity: identity) { front in
            let port = await front.port()
            _ = try await api.create(.configMaps, configMap("a"))
            let (name, version) = try await nextEvent(client, port, since: start)
            #expect(name == "a")
            return (port, version)
        }
        _ = try await api.create(.configMaps, configMap("b"))
        try await withFrontEnd(of: api, port: port, identity: identity) { _ in
            let (name, _) = try await nextEvent(client, port, since: version)
            #expect(name == "b")
        }
        try await client.shutdown()
    }

    @Test(arguments: [
        ("/api/v1/namespaces/a/pods/b/log?follow=true", "a", "pods", "b", "log"),
        ("/api/v1/namespaces/a", nil, "namespaces", "a", nil),
        ("/api/v1/namespaces/a/finalize", nil, "namespaces", "a", "finalize"),
        ("/apis/apps/v1/deployments", nil, "deployments", nil, nil),
        ("/apis/heddle.dev/v1alpha1/namespaces/n%2Dx/canaries/c/status", "n-x", "canaries", "c", "status"),
    ])
    func `paths name resources`(path: String, namespace: String?, resource: String, name: String?, subresource: String?)
    {
        let found = RequestPath(path).resource
        #expect(found?.namespace == namespace && found?.resource == resource)
        #expect(found?.name == name && found?.subresource == subresource)
    }

    @Test(arguments: [
        (nil, AnswerForm.json), ("*/*", .json), ("application/vnd.kubernetes.protobuf", .none),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", .table),
        ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", .partialMetadata),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", .aggregatedDiscovery),
    ])
    func `the accept header chooses the form`(header: String?, expected: AnswerForm) {
        #expect(AnswerForm(accept: header) == expected)
    }
}
