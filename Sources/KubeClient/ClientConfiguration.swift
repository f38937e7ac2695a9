package import FoundationEssentials

/// How to reach one cluster, and as whom: what a kubeconfig context or a pod's service account comes to.
package struct ClientConfiguration: Sendable {
    package enum Credential: Sendable, CustomStringConvertible {
        case none
        case token(String)
        /// A token that is read again as the file changes.
        case tokenFile(String)
        case basic(user: String, password: String)
        /// A program that gives tokens or certificates as they are needed.
        case plugin(ExecPlugin)

        package var description: String {
            switch self {
            case .none: "none"
            case .token: "token [redacted]"
            case .tokenFile(let path): "token file \(path)"
            case .basic(let user, _): "user \(user), password [redacted]"
            case .plugin(let plugin): "credential plugin \(plugin.command)"
            }
        }
    }

    /// PEM certificate chain and private key.
    package struct ClientCertificate: Sendable, Hashable, CustomStringConvertible {
        package var chain: Data
        package var key: Data

        package init(chain: Data, key: Data) {
            self.chain = chain
            self.key = key
        }

        package var description: String { "client certificate, key [redacted]" }
    }

    /// PEM files that are read again as they change; each overrules the data beside it.
    package struct CertificateFiles: Sendable, Hashable {
        package var authority: String?
        package var clientCertificate: String?
        package var clientKey: String?

        package init(authority: String? = nil, clientCertificate: String? = nil, clientKey: String? = nil) {
            self.authority = authority
            self.clientCertificate = clientCertificate
            self.clientKey = clientKey
        }
    }

    /// Whom the credential's owner acts as; the server must allow it by RBAC's verb `impersonate`.
    package struct Impersonation: Sendable, Hashable {
        package var user: String
        package var uid: String?
        package var groups: [String]
        package var extra: [String: [String]]

        package init(user: String, uid: String? = nil, groups: [String] = [], extra: [String: [String]] = [:]) {
            self.user = user
            self.uid = uid
            self.groups = groups
            self.extra = extra
        }
    }

    /// `https://host:port`, perhaps with a path, without a slash at the end.
    package var server: String
    /// The context's namespace, `default` when it names none.
    package var namespace: String
    package var credential: Credential
    /// PEM; nil trusts the system's authorities.
    package var certificateAuthority: Data?
    package var clientCertificate: ClientCertificate?
    package var files: CertificateFiles
    /// Checked against the server's certificate in place of the host name.
    package var tlsServerName: String?
    package var skipsTLSVerification: Bool
    package var proxy: Proxy?
    package var impersonation: Impersonation?
    /// What a person should know about this configuration; `KubeClient` logs them.
    package var warnings: [String]

    package init(
        server: String, namespace: String = "default", credential: Credential = .none,
        certificateAuthority: Data? = nil, clientCertificate: ClientCertificate? = nil,
        files: CertificateFiles = CertificateFiles(), tlsServerName: String? = nil, skipsTLSVerification: Bool = false,
        proxy: Proxy? = nil, impersonation: Impersonation? = nil, warnings: [String] = []
    ) {
        self.server = server.hasSuffix("/") ? String(server.dropLast()) : server
        self.namespace = namespace
        self.credential = credential
        self.certificateAuthority = certificateAuthority
        self.clientCertificate = clientCertificate
        self.files = files
        self.tlsServerName = tlsServerName
        self.skipsTLSVerification = skipsTLSVerification
        self.proxy = proxy
        self.impersonation = impersonation
        self.warnings = warnings
    }
}
