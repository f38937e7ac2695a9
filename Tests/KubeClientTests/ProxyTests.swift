import FoundationEssentials
import KubeCore
import Testing
import X509

@testable import KubeClient

struct ProxyTests {
    @Test(arguments: [
        ("http://proxy:3128", Proxy(host: "proxy", port: 3128)), ("http://proxy/", Proxy(host: "proxy", port: 80)),
        ("http://u:p%40ss@[::1]:8080", Proxy(host: "::1", port: 8080, user: "u", password: "p@ss")),
        ("socks5://127.0.0.1", Proxy(kind: .socks5, host: "127.0.0.1", port: 1080)),
    ])
    func `addresses are read`(_ text: String, _ proxy: Proxy) throws {
        let read = try Proxy(address: text)
        #expect(read == proxy && !"\(read)".contains("p@ss"))
    }

    @Test(arguments: [
        ("https://proxy:3128", "over TLS"), ("socks5://u:p@proxy", "with SOCKS"), ("ftp://proxy", "scheme ftp"),
        ("proxy", "is not an address"), ("http://proxy:port", "is not an address"),
    ])
    func `what cannot be used is refused with a sentence`(_ text: String, _ part: String) {
        #expect { try Proxy(address: text) } throws: { ($0 as? Proxy.Fault)?.message.contains(part) == true }
    }

    @Test(arguments: [
        ("", "api.example.com", false), ("*", "api.example.com", true), ("example.com", "api.example.com", true),
        ("example.com", "example.com", true), ("example.com", "notexample.com", false),
        (".example.com", "api.example.com", true), (".example.com", "example.com", false),
        ("*.example.com", "api.example.com", true), ("EXAMPLE.com ,x", "Api.Example.COM", true),
        ("example.com:6443", "api.example.com", true), ("example.com:443", "api.example.com", false),
        ("10.0.0.0/8", "10.1.2.3", true), ("10.0.0.0/8", "11.1.2.3", false), ("10.0.0.128/25", "10.0.0.127", false),
        ("10.0.0.1", "10.0.0.1", true), ("10.0.0.1:6443", "10.0.0.1", true), ("10.0.0.1:80", "10.0.0.1", false),
        ("fd00::/8", "fd12::1", true), ("fd00::1", "fd00:0:0::1", true), ("fd00::/8", "10.0.0.1", false),
        ("", "localhost", true), ("", "127.9.9.9", true), ("", "::1", true), ("", "128.0.0.1", false),
    ])
    func `exceptions follow Go's rules`(_ list: String, _ host: String, _ isDirect: Bool) {
        #expect(NoProxy(list).covers(host: host, port: 6443) == isDirect)
    }

    @Test func `the environment's proxy holds for the scheme of the server, unless an exception does`() throws {
        let environment = ["HTTPS_PROXY": "proxy:3128", "http_proxy": "http://other:1", "no_proxy": "10.0.0.0/8"]
        #expect(try Proxy.inEnvironment(environment, for: "https://api:6443") == Proxy(host: "proxy", port: 3128))
        #expect(try Proxy.inEnvironment(environment, for: "http://api:6443") == Proxy(host: "other", port: 1))
        #expect(try Proxy.inEnvironment(environment, for: "https://10.9.9.9:6443") == nil)
        #expect {
            try Proxy.inEnvironment(["HTTPS_PROXY": "https://p"], for: "https://api")
        } throws: { ($0 as? ConfigurationError)?.field == "HTTPS_PROXY" }
    }

    @Test func `a pod's way out may be a proxy too, but not past NO_PROXY`() async throws {
        try await withFiles(["token": "t", "ca.crt": "CA"]) { directory in
            for (exceptions, host) in [("", "proxy"), ("10.0.0.0/16", nil)] {
                let configuration = try ClientConfiguration.inCluster(
                    environment: [
                        "KUBERNETES_SERVICE_HOST": "10.0.0.1", "HTTPS_PROXY": "http://proxy:3128",
                        "NO_PROXY": exceptions,
                    ], directory: directory)
                #expect(configuration.proxy?.host == host)
            }
        }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct ProxyTrafficTests {
    /// Serves TLS as `kubernetes.default.svc`, and a proxy before it.
    func withProxy(
        requires user: String? = nil,
        _ body: (_ configuration: ClientConfiguration, _ proxy: ConnectProxy) async throws -> Void
    ) async throws {
        let authority = try TestAuthority()
        let context = try authority.serverContext(names: [.dnsName("kubernetes.default.svc")])
        try await LocalServer.serving(tls: context) { _, _ in
            .ok(#"{"metadata":{"name":"a"}}"#)
        } during: { _, port in
            try await ConnectProxy.running(requiring: user) { proxy, proxyPort in
                let configuration = ClientConfiguration(
                    server: "https://127.0.0.1:\(port)", certificateAuthority: Data(try authority.pem.utf8),
                    tlsServerName: "kubernetes.default.svc", proxy: Proxy(host: "127.0.0.1", port: proxyPort))
                try await body(configuration, proxy)
            }
        }
    }

    @Test func `requests and watches go through the proxy, and TLS ends at the server`() async throws {
        try await withProxy { configuration, proxy in
            try await withClient(of: configuration) { client in
                #expect(try await client.get(.pods, name: "a").name == "a")
                _ = try await client.watch(APIRequest(.watch, .pods))
            }
            let port = configuration.server.split(separator: ":").last ?? ""
            #expect(proxy.asked == ["CONNECT 127.0.0.1:\(port)", "CONNECT 127.0.0.1:\(port)"])
        }
    }

    @Test func `a SOCKS proxy leads there too`() async throws {
        try await withProxy { configuration, proxy in
            var configuration = configuration
            configuration.proxy?.kind = .socks5
            try await withClient(of: configuration) { _ = try await $0.get(.pods, name: "a") }
            #expect(proxy.asked.count == 1 && proxy.asked.first?.hasPrefix("SOCKS 127.0.0.1:") == true)
        }
    }

    @Test func `a proxy that wants a user gets the one of the address, else the error says so`() async throws {
        try await withProxy(requires: "me:secret") { configuration, _ in
            var configuration = configuration
            try await withClient(of: configuration) { client in
                let error = try await failure { _ = try await client.get(.pods, name: "a") }
                #expect(error.code == 0 && error.message.contains("the proxy asks for a user and password"))
            }
            configuration.proxy?.user = "me"
            configuration.proxy?.password = "secret"
            try await withClient(of: configuration) { _ = try await $0.get(.pods, name: "a") }
        }
    }
}
