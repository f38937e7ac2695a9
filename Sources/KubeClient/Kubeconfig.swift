import FoundationEssentials
import KubeCore
import Yams

/// One or several kubeconfig files, merged as kubectl merges them: the first file that has a name defines it.
struct Kubeconfig {
    /// A named entry and the file that defines it; paths in it are relative to that file.
    struct Entry {
        var file: String
        var value: JSONValue
    }

    /// All files, for messages.
    var files: [String]
    var currentContext: String?
    var clusters: [String: Entry] = [:]
    var contexts: [String: Entry] = [:]
    var users: [String: Entry] = [:]

    /// Reads and merges.
    /// - Parameter isExplicit: a file that is not there is an error; else it is passed over, as in a `KUBECONFIG` list.
    static func load(_ files: [String], isExplicit: Bool) throws(ConfigurationError) -> Kubeconfig {
        var merged = Kubeconfig(files: files)
        var found = false
        for file in files {
            if !isExplicit, !FileManager.default.fileExists(atPath: file) { continue }
            found = true
            let text = String(decoding: try ClientConfiguration.readFile(file, field: "kubeconfig"), as: UTF8.self)
            try merged.merge(text, file: file)
        }
        guard found else {
            throw ConfigurationError(
                file: files.joined(separator: ":"), field: "KUBECONFIG", message: "none of these files exists")
        }
        return merged
    }

    mutating func merge(_ text: String, file: String) throws(ConfigurationError) {
        let root: JSONValue
        do {
            root = try Yams.compose(yaml: text).map(JSONValue.init(yaml:)) ?? [:]
        } catch {
            throw ConfigurationError(file: file, message: "is not YAML: \(error)")
        }
        guard root.object != nil else { throw ConfigurationError(file: file, message: "is not a kubeconfig") }
        if currentContext == nil, let name = root["current-context"]?.string, !name.isEmpty { currentContext = name }
        try merge(root["clusters"], "cluster", into: \.clusters, file: file)
        try merge(root["contexts"], "context", into: \.contexts, file: file)
        try merge(root["users"], "user", into: \.users, file: file)
    }

    private mutating func merge(
        _ list: JSONValue?, _ member: String, into map: WritableKeyPath<Kubeconfig, [String: Entry]>, file: String
    ) throws(ConfigurationError) {
        for (index, item) in (list?.array ?? []).enumerated() {
            guard let name = item["name"]?.string else {
                throw ConfigurationError(file: file, field: "\(member)s[\(index)].name", message: "is required")
            }
            if self[keyPath: map][name] == nil {
                self[keyPath: map][name] = Entry(file: file, value: item[member] ?? [:])
            }
        }
    }

    /// What a context comes to; nil takes the current one.
    func configuration(context chosen: String?) throws(ConfigurationError) -> ClientConfiguration {
        let all = files.joined(separator: ":")
        guard let name = chosen ?? currentContext else {
            throw ConfigurationError(file: all, field: "current-context", message: "is not set; choose a context")
        }
        guard let context = contexts[name] else {
            let known = contexts.keys.sorted().joined(separator: ", ")
            throw ConfigurationError(
                file: all, context: name, field: "contexts", message: "there is no such context; there are: \(known)")
        }
        guard let clusterName = context.value["cluster"]?.string, let cluster = clusters[clusterName] else {
            throw ConfigurationError(
                file: context.file, context: name, field: "contexts[\(name)].context.cluster",
                message: "names no cluster that is defined")
        }
        let clusterReader = Reader(entry: cluster, context: name, prefix: "clusters[\(clusterName)].cluster")
        guard let server = cluster.value["server"]?.string, server.hasPrefix("https://") || server.hasPrefix("http://")
        else {
            throw clusterReader.failure("server", "must be an http:// or https:// address")
        }
        var configuration = ClientConfiguration(
            server: server, namespace: context.value["namespace"]?.string ?? "default",
            certificateAuthority: try clusterReader.data("certificate-authority"),
            tlsServerName: cluster.value["tls-server-name"]?.string,
            skipsTLSVerification: cluster.value["insecure-skip-tls-verify"]?.bool ?? false)
        if configuration.skipsTLSVerification {
            if configuration.certificateAuthority != nil {
                throw clusterReader.failure(
                    "insecure-skip-tls-verify", "cannot be true together with a certificate authority")
            }
            configuration.warnings.append(
                "\(cluster.file): context \(name): insecure-skip-tls-verify is true, so anyone on the way can read and change "
                    + "the traffic and take the credential; set certificate-authority-data instead")
        }
        if let proxy = cluster.value["proxy-url"]?.string, !proxy.isEmpty {
            throw clusterReader.failure("proxy-url", "proxies are not supported")
        }
        if let userName = context.value["user"]?.string, !userName.isEmpty {
            guard let user = users[userName] else {
                throw ConfigurationError(
                    file: context.file, context: name, field: "contexts[\(name)].context.user",
                    message: "names no user that is defined")
            }
            try Reader(entry: user, context: name, prefix: "users[\(userName)].user").identify(&configuration)
        }
        return configuration
    }
}

/// Reads the fields of one entry and names them in errors.
private struct Reader {
    var entry: Kubeconfig.Entry
    var context: String
    var prefix: String

    func failure(_ field: String, _ message: String) -> ConfigurationError {
        ConfigurationError(file: entry.file, context: context, field: "\(prefix).\(field)", message: message)
    }

    private func text(_ field: String) -> String? { entry.value[field]?.string.flatMap { $0.isEmpty ? nil : $0 } }

    private func path(_ file: String) -> String {
        if file.hasPrefix("/") { return file }
        let directory = entry.file.lastIndex(of: "/").map { String(entry.file[...$0]) } ?? ""
        return directory + file
    }

    /// `<field>-data` in Base64, or else the contents of the file that `<field>` names.
    func data(_ field: String) throws(ConfigurationError) -> Data? {
        if let embedded = text(field + "-data") {
            guard let data = Data(base64Encoded: embedded) else { throw failure(field + "-data", "is not Base64") }
            return data
        }
        guard let file = text(field) else { return nil }
        return try ClientConfiguration.readFile(path(file), context: context, field: "\(prefix).\(field)")
    }

    func identify(_ configuration: inout ClientConfiguration) throws(ConfigurationError) {
        for plugin in ["exec", "auth-provider"] where entry.value[plugin]?.object != nil {
            throw failure(
                plugin,
                "credential plugins are not supported; use a token, a tokenFile or a client certificate, "
                    + "e.g. from 'kubectl create token'")
        }
        for impersonation in ["as", "as-uid", "as-groups", "as-user-extra"] where entry.value[impersonation] != nil {
            throw failure(impersonation, "impersonation is not supported")
        }
        switch (try data("client-certificate"), try data("client-key")) {
        case (let chain?, let key?): configuration.clientCertificate = .init(chain: chain, key: key)
        case (nil, nil): break
        case (nil, _?): throw failure("client-certificate", "is required together with client-key")
        case (_?, nil): throw failure("client-key", "is required together with client-certificate")
        }
        // As in client-go, the file wins over the token beside it.
        if let file = text("tokenFile") {
            let path = path(file)
            guard FileManager.default.isReadableFile(atPath: path) else {
                throw failure("tokenFile", "\(path) cannot be read")
            }
            configuration.credential = .tokenFile(path)
        } else if let token = text("token") {
            configuration.credential = .token(token)
        } else if let user = text("username") {
            configuration.credential = .basic(user: user, password: text("password") ?? "")
        }
    }
}

extension JSONValue {
    /// A YAML node with the plain scalars of the JSON schema resolved.
    init(yaml node: Node) {
        switch node {
        case .mapping(let mapping):
            self = .object(
                Dictionary(
                    mapping.compactMap { key, value in key.string.map { ($0, JSONValue(yaml: value)) } },
                    uniquingKeysWith: { $1 }))
        case .sequence(let sequence): self = .array(sequence.map(JSONValue.init(yaml:)))
        case .scalar(let scalar):
            guard scalar.style == .plain || scalar.style == .any else {
                self = .string(scalar.string)
                return
            }
            switch scalar.string {
            case "", "~", "null": self = .null
            case "true": self = .bool(true)
            case "false": self = .bool(false)
            case let text: self = Int(text).map(JSONValue.int) ?? .string(text)
            }
        case .alias: self = .null
        }
    }
}
