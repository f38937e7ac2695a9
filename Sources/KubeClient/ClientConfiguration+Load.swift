import FoundationEssentials

extension ClientConfiguration {
    /// Where a pod finds its service account.
    package static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// As kubectl and client-go choose: an explicit kubeconfig, else `KUBECONFIG` (a list), else the pod's service
    /// account when inside a cluster, else `~/.kube/config`. `HTTPS_PROXY` and `NO_PROXY` hold unless the kubeconfig
    /// names a proxy.
    package static func load(
        kubeconfig: String? = nil, context: String? = nil, environment: [String: String],
        serviceAccountDirectory: String = serviceAccountDirectory
    ) throws(ConfigurationError) -> ClientConfiguration {
        let isInCluster = !(environment["KUBERNETES_SERVICE_HOST"] ?? "").isEmpty && context == nil
        if let kubeconfig {
            return try Kubeconfig.load([kubeconfig], isExplicit: true)
                .configuration(context: context, environment: environment)
        }
        if let list = environment["KUBECONFIG"], !list.isEmpty {
            let files = list.split(separator: ":").map(String.init)
            if isInCluster, !files.contains(where: FileManager.default.fileExists(atPath:)) {
                return try inCluster(environment: environment, directory: serviceAccountDirectory)
            }
            return try Kubeconfig.load(files, isExplicit: false)
                .configuration(context: context, environment: environment)
        }
        if isInCluster { return try inCluster(environment: environment, directory: serviceAccountDirectory) }
        guard let home = environment["HOME"] else {
            throw ConfigurationError(file: "kubeconfig", message: "no cluster is configured: set KUBECONFIG or HOME")
        }
        return try Kubeconfig.load([home + "/.kube/config"], isExplicit: true)
            .configuration(context: context, environment: environment)
    }

    /// The service account of the pod that this runs in. Its token and the cluster's authority are read again as they
    /// change.
    package static func inCluster(environment: [String: String], directory: String = serviceAccountDirectory)
        throws(ConfigurationError) -> ClientConfiguration
    {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty else {
            throw ConfigurationError(
                file: directory, field: "KUBERNETES_SERVICE_HOST", message: "is not set: this does not run in a pod")
        }
        let port = environment["KUBERNETES_SERVICE_PORT_HTTPS"] ?? environment["KUBERNETES_SERVICE_PORT"] ?? "443"
        let authority = directory + "/ca.crt"
        let token = directory + "/token"
        guard FileManager.default.isReadableFile(atPath: token) else {
            throw ConfigurationError(
                file: token, message: "cannot be read; is automountServiceAccountToken false?")
        }
        let namespace = (try? readFile(directory + "/namespace", field: "namespace")).map {
            String(decoding: $0, as: UTF8.self).filter { !$0.isWhitespace }
        }
        let server = "https://\(host.contains(":") ? "[\(host)]" : host):\(port)"
        return ClientConfiguration(
            server: server, namespace: namespace.flatMap { $0.isEmpty ? nil : $0 } ?? "default",
            credential: .tokenFile(token), certificateAuthority: try readFile(authority, field: "ca.crt"),
            files: CertificateFiles(authority: authority),
            proxy: try Proxy.inEnvironment(environment, for: server))
    }

    static func readFile(_ path: String, context: String? = nil, field: String) throws(ConfigurationError) -> Data {
        do {
            return try Data(contentsOf: URL(filePath: path))
        } catch {
            throw ConfigurationError(file: path, context: context, field: field, message: "cannot be read: \(error)")
        }
    }
}
