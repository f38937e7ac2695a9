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
        users:
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
        ("lost", "contexts[lost].context.cluster"), ("plugin", "users[exec].user.exec"),
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
