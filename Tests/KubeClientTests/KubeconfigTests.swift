import FoundationEssentials
import Testing

@testable import KubeClient

struct KubeconfigTests {
    static let text = """
        apiVersion: v1
        kind: Config
        current-context: dev
        clusters:
        - name: c1
          cluster: {server: "https://one:6443/", certificate-authority-data: Q0E=, tls-server-name: api}
        - name: c2
          cluster: {server: "http://two:8080", insecure-skip-tls-verify: true}
        - {name: proxy, cluster: {server: "https://x", proxy-url: "https://proxy"}}
        - {name: scheme, cluster: {server: "one:6443"}}
        - name: insecure
          cluster: {server: "https://x", insecure-skip-tls-verify: true, certificate-authority-data: Q0E=}
        - {name: proxied, cluster: {server: "https://x", proxy-url: "http://proxy:3128"}}
        contexts:
        - name: dev
          context: {cluster: c1, user: u1, namespace: shop}
        - name: two
          context: {cluster: c2, user: u2}
        - name: lost
          context: {cluster: nowhere}
        - name: plugin
          context: {cluster: c1, user: exec}
        - name: half
          context: {cluster: c1, user: half}
        - name: notbase64
          context: {cluster: c1, user: notbase64}
        - name: nofile
          context: {cluster: c1, user: nofile}
        - {name: provider, context: {cluster: c1, user: provider}}
        - {name: as, context: {cluster: c1, user: as}}
        - {name: both, context: {cluster: c1, user: both}}
        - {name: number, context: {cluster: c1, user: number}}
        - {name: proxy, context: {cluster: proxy}}
        - {name: scheme, context: {cluster: scheme}}
        - {name: insecure, context: {cluster: insecure}}
        - {name: acting, context: {cluster: proxied, user: acting}}
        users:
        - {name: provider, user: {auth-provider: {name: gcp}}}
        - {name: as, user: {as-groups: [x]}}
        - {name: both, user: {token: t, username: u, password: p}}
        - {name: number, user: {token: 12}}
        - name: acting
          user: {as: jane, as-uid: "7", as-groups: [a, b], as-user-extra: {scopes: [view]}}
        - name: u1
          user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
        - name: u2
          user: {token: "007123456789123456789"}
        - name: exec
          user:
            exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}
        - name: half
          user: {client-key-data: S0VZ}
        - name: notbase64
          user: {client-certificate-data: "***", client-key-data: S0VZ}
        - name: nofile
          user: {tokenFile: missing}
        """

    func load(_ context: String? = nil) async throws -> ClientConfiguration {
        try await withFiles(["config": Self.text]) { directory in
            try ClientConfiguration.load(kubeconfig: directory + "/config", context: context, environment: [:])
        }
    }

    @Test func `the current context gives server, authority, certificate and namespace`() async throws {
        let configuration = try await load()
        #expect(configuration.server == "https://one:6443")
        #expect(configuration.namespace == "shop" && configuration.tlsServerName == "api")
        #expect(configuration.certificateAuthority == Data("CA".utf8))
        #expect(configuration.clientCertificate?.chain == Data("CERT".utf8))
        #expect(configuration.clientCertificate?.key == Data("KEY".utf8))
        #expect(configuration.warnings.isEmpty)
        #expect(!"\(configuration)".contains("KEY"))
    }

    @Test func `a chosen context overrules, keeps a quoted number a token, and warns of skipped verification`()
        async throws
    {
        let configuration = try await load("two")
        guard case .token("007123456789123456789") = configuration.credential else { return #expect(Bool(false)) }
        #expect(configuration.skipsTLSVerification && configuration.warnings.count == 1)
        #expect(!"\(configuration)".contains("007123456789123456789"))
    }

    @Test(arguments: [
        ("lost", "contexts[lost].context.cluster"), ("plugin", "users[exec].user.exec.interactiveMode"),
        ("provider", "users[provider].user.auth-provider"), ("as", "users[as].user.as"),
        ("both", "users[both].user.username"), ("number", "users[number].user.token"),
        ("proxy", "clusters[proxy].cluster.proxy-url"), ("scheme", "clusters[scheme].cluster.server"),
        ("insecure", "clusters[insecure].cluster.insecure-skip-tls-verify"),
        ("half", "users[half].user.client-certificate"), ("notbase64", "users[notbase64].user.client-certificate-data"),
        ("nofile", "users[nofile].user.tokenFile"), ("unknown", "contexts"),
    ])
    func `errors name file, context and field`(_ context: String, _ field: String) async throws {
        await #expect {
            _ = try await load(context)
        } throws: { error in
            guard let error = error as? ConfigurationError else { return false }
            return error.field == field && error.context == context && error.file.hasSuffix("/config")
        }
    }

    @Test func `a context may have a proxy and act as somebody`() async throws {
        let configuration = try await load("acting")
        #expect(configuration.proxy == Proxy(host: "proxy", port: 3128))
        #expect(
            configuration.impersonation
                == .init(user: "jane", uid: "7", groups: ["a", "b"], extra: ["scopes": ["view"]]))
    }

    @Test func `the whole of an entry comes from the first file that has it, nothing is mixed in`() async throws {
        let first = """
            users: [{name: u, user: {username: me, password: first}}]
            """
        let second = """
            current-context: a
            clusters: [{name: c, cluster: {server: "https://x"}}]
            contexts: [{name: a, context: {cluster: c, user: u, namespace: second}}]
            users: [{name: u, user: {as: other, username: you}}]
            """
        let third = """
            current-context: b
            contexts: [{name: a, context: {cluster: gone}}]
            """
        try await withFiles(["1": first, "2": second, "3": third, "empty": ""]) { directory in
            let list = ["empty", "1", "2", "3", "1"].map { "\(directory)/\($0)" }.joined(separator: ":")
            let configuration = try ClientConfiguration.load(environment: ["KUBECONFIG": list])
            guard case .basic("me", "first") = configuration.credential else { return #expect(Bool(false)) }
            #expect(configuration.impersonation == nil && configuration.namespace == "second")
        }
    }

    @Test func `a KUBECONFIG of files that are not there leaves a pod its service account`() async throws {
        try await withFiles(["token": "t", "ca.crt": "CA"]) { directory in
            var environment = ["KUBECONFIG": directory + "/none"]
            #expect(throws: ConfigurationError.self) { try ClientConfiguration.load(environment: environment) }
            environment["KUBERNETES_SERVICE_HOST"] = "10.0.0.1"
            let configuration = try ClientConfiguration.load(
                environment: environment, serviceAccountDirectory: directory)
            #expect(configuration.server == "https://10.0.0.1:443")
            #expect(configuration.files.authority == directory + "/ca.crt")
        }
    }

    @Test func `of several files the first that has a name defines it, and paths are relative to their file`()
        async throws
    {
        let first = """
            current-context: a
            users: [{name: u, user: {tokenFile: token}}]
            """
        let second = """
            current-context: b
            clusters: [{name: c, cluster: {server: "https://x", certificate-authority: ca.pem}}]
            contexts: [{name: a, context: {cluster: c, user: u}}]
            users: [{name: u, user: {token: other}}]
            """
        try await withFiles(["1": first, "2": second, "token": "secret", "ca.pem": "CA"]) { directory in
            let list = "\(directory)/none:\(directory)/1:\(directory)/2"
            let configuration = try ClientConfiguration.load(environment: ["KUBECONFIG": list])
            guard case .tokenFile(directory + "/token") = configuration.credential else { return #expect(Bool(false)) }
            #expect(configuration.certificateAuthority == Data("CA".utf8))
        }
    }

    @Test func `a pod's service account is found`() async throws {
        try await withFiles(["token": "t", "ca.crt": "CA", "namespace": "heddle-system"]) { directory in
            let configuration = try ClientConfiguration.load(
                environment: ["KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"],
                serviceAccountDirectory: directory)
            #expect(configuration.server == "https://[fd00::1]:443" && configuration.namespace == "heddle-system")
        }
    }

    @Test func `a pod without a token says what may be wrong`() async throws {
        try await withFiles(["ca.crt": "CA"]) { directory in
            #expect {
                _ = try ClientConfiguration.inCluster(
                    environment: ["KUBERNETES_SERVICE_HOST": "10.0.0.1"], directory: directory)
            } throws: { "\($0)".contains("automountServiceAccountToken") }
        }
    }

    @Test func `text that is not YAML is refused with the file's name`() async throws {
        try await withFiles(["config": "clusters: ["]) { directory in
            #expect {
                _ = try ClientConfiguration.load(kubeconfig: directory + "/config", environment: [:])
            } throws: { "\($0)".hasPrefix(directory + "/config: is not YAML") }
        }
    }
}
