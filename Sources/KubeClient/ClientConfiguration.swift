package import FoundationEssentials

/// How to reach one cluster, and as whom: what a kubeconfig context or a pod's service account comes to.
package struct ClientConfiguration: Sendable {
    package enum Credential: Sendable, CustomStringConvertible {
        case none
        case token(String)
        /// A token that is read again as the file changes.
        case tokenFile(String)
        case basic(user: String, password: String)

        package var description: String {
            switch self {
            case .none: "none"
            case .token: "token [redacted]"
            case .tokenFile(let path): "token file \(path)"
            case .basic(let user, _): "user \(user), password [redacted]"
            }
        }
    }

    /// PEM certificate chain and private key.
    package struct ClientCertificate: Sendable, CustomStringConvertible {
        package var chain: Data
        package var key: Data

        package init(chain: Data, key: Data) {
            self.chain = chain
            self.key = key
        }

        package var description: String { "client certificate, key [redacted]" }
    }

    /// `https://host:port`, perhaps with a path, without a slash at the end.
    package var server: String
    /// The context's namespace, `default` when it names none.
    package var namespace: String
    package var credential: Credential
    /// PEM; nil trusts the system's authorities.
    package var certificateAuthority: Data?
    package var clientCertificate: ClientCertificate?
    /// Checked against the server's certificate in place of the host name.
    package var tlsServerName: String?
    package var skipsTLSVerification: Bool
    /// What a person should know about this configuration; `KubeClient` logs them.
    package var warnings: [String]

    package init(
        server: String, namespace: String = "default", credential: Credential = .none,
        certificateAuthority: Data? = nil,
        clientCertificate: ClientCertificate? = nil, tlsServerName: String? = nil, skipsTLSVerification: Bool = false,
        warnings: [String] = []
    ) {
        self.server = server.hasSuffix("/") ? String(server.dropLast()) : server
        self.namespace = namespace
        self.credential = credential
        self.certificateAuthority = certificateAuthority
        self.clientCertificate = clientCertificate
        self.tlsServerName = tlsServerName
        self.skipsTLSVerification = skipsTLSVerification
        self.warnings = warnings
    }
}

/// Why there is no usable configuration: the file, the context and the field, and what to do.
package struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package var file: String
    package var context: String?
    /// As in the kubeconfig, e.g. `users[dev].user.exec`.
    package var field: String?
    package var message: String

    package init(file: String, context: String? = nil, field: String? = nil, message: String) {
        self.file = file
        self.context = context
        self.field = field
        self.message = message
    }

    package var description: String {
        [file, context.map { "context \($0)" }, field, message].compactMap { $0 }.joined(separator: ": ")
    }
}

extension ClientConfiguration {
    /// Where a pod finds its service account.
    package static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// As kubectl and client-go choose: an explicit kubeconfig, else `KUBECONFIG` (a list), else the pod's service account
    /// when inside a cluster, else `~/.kube/config`.
    package static func load(
        kubeconfig: String? = nil, context: String? = nil, environment: [String: String],
        serviceAccountDirectory: String = serviceAccountDirectory
    ) throws(ConfigurationError) -> ClientConfiguration {
        if let kubeconfig { return try Kubeconfig.load([kubeconfig], isExplicit: true).configuration(context: context) }
        if let list = environment["KUBECONFIG"], !list.isEmpty {
            let files = list.split(separator: ":").map(String.init)
            return try Kubeconfig.load(files, isExplicit: false).configuration(context: context)
        }
        if context == nil, environment["KUBERNETES_SERVICE_HOST"] != nil {
            return try inCluster(environment: environment, directory: serviceAccountDirectory)
        }
        guard let home = environment["HOME"] else {
            throw ConfigurationError(file: "kubeconfig", message: "no cluster is configured: set KUBECONFIG or HOME")
        }
        return try Kubeconfig.load([home + "/.kube/config"], isExplicit: true).configuration(context: context)
    }

    /// The service account of the pod that this runs in.
    package static func inCluster(environment: [String: String], directory: String = serviceAccountDirectory)
        throws(ConfigurationError) -> ClientConfiguration
    {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty else {
            throw ConfigurationError(
                file: directory, field: "KUBERNETES_SERVICE_HOST", message: "is not set: this does not run in a pod")
        }
        let port = environment["KUBERNETES_SERVICE_PORT_HTTPS"] ?? environment["KUBERNETES_SERVICE_PORT"] ?? "443"
        let authority = try readFile(directory + "/ca.crt", field: "ca.crt")
        let token = directory + "/token"
        guard FileManager.default.isReadableFile(atPath: token) else {
            throw ConfigurationError(
                file: token, message: "cannot be read; is automountServiceAccountToken false?")
        }
        let namespace = (try? readFile(directory + "/namespace", field: "namespace")).map {
            String(decoding: $0, as: UTF8.self)
        }
        return ClientConfiguration(
            server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)", namespace: namespace ?? "default",
            credential: .tokenFile(token), certificateAuthority: authority)
    }

    static func readFile(_ path: String, context: String? = nil, field: String) throws(ConfigurationError) -> Data {
        do {
            return try Data(contentsOf: URL(filePath: path))
        } catch {
            throw ConfigurationError(file: path, context: context, field: field, message: "cannot be read: \(error)")
        }
    }
}
