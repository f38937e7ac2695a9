import FoundationEssentials
import KubeCore

/// Reads the fields of one entry of a kubeconfig and names them in errors.
struct KubeconfigReader {
    var entry: Kubeconfig.Entry
    var context: String
    /// E.g. `users[dev].user`.
    var prefix: String

    func failure(_ field: String, _ message: String) -> ConfigurationError {
        ConfigurationError(file: entry.file, context: context, field: "\(prefix).\(field)", message: message)
    }

    /// Nil for an empty text too.
    func text(_ field: String) throws(ConfigurationError) -> String? {
        switch entry.value[field] {
        case nil, .null: nil
        case .string(let text): text.isEmpty ? nil : text
        default: throw failure(field, "must be a text; put it in quotation marks")
        }
    }

    func texts(_ field: String) throws(ConfigurationError) -> [String] {
        guard let value = entry.value[field], value != .null else { return [] }
        guard let list = value.array else { throw failure(field, "must be a list of texts") }
        var texts: [String] = []
        for item in list {
            guard let text = item.string else { throw failure(field, "must be a list of texts") }
            texts.append(text)
        }
        return texts
    }

    func flag(_ field: String) throws(ConfigurationError) -> Bool {
        switch entry.value[field] {
        case nil, .null: false
        case .bool(let flag): flag
        default: throw failure(field, "must be true or false")
        }
    }

    /// A path in a file is relative to that file's folder.
    func path(_ file: String) -> String {
        if file.hasPrefix("/") { return file }
        let directory = entry.file.lastIndex(of: "/").map { String(entry.file[...$0]) } ?? ""
        return directory + file
    }

    /// `<field>-data` in Base64, or else the contents of the file that `<field>` names, and its path.
    func pem(_ field: String) throws(ConfigurationError) -> (data: Data, file: String?)? {
        if let embedded = try text(field + "-data") {
            guard let data = Data(base64Encoded: embedded.filter { !$0.isWhitespace }) else {
                throw failure(field + "-data", "is not Base64")
            }
            return (data, nil)
        }
        guard let file = try text(field) else { return nil }
        let path = path(file)
        do {
            return (try Data(contentsOf: URL(filePath: path)), path)
        } catch {
            throw failure(field, "\(path) cannot be read: \(error)")
        }
    }
}

extension KubeconfigReader {
    /// The configuration that an entry of `clusters` comes to, without a user.
    func cluster(environment: [String: String]) throws(ConfigurationError) -> ClientConfiguration {
        guard let server = try text("server"), let address = ServerAddress(server),
            ["http", "https"].contains(address.scheme)
        else {
            throw failure("server", "must be an http:// or https:// address")
        }
        let authority = try pem("certificate-authority")
        var configuration = ClientConfiguration(
            server: server, certificateAuthority: authority?.data,
            files: .init(authority: authority?.file), tlsServerName: try text("tls-server-name"),
            skipsTLSVerification: try flag("insecure-skip-tls-verify"))
        if configuration.skipsTLSVerification {
            if authority != nil {
                throw failure("insecure-skip-tls-verify", "cannot be true together with a certificate authority")
            }
            configuration.warnings.append(
                "\(entry.file): context \(context): insecure-skip-tls-verify is true, so anyone on the way can read "
                    + "and change the traffic and take the credential; set certificate-authority-data instead")
        }
        if let proxy = try text("proxy-url") {
            do {
                configuration.proxy = try Proxy(address: proxy)
            } catch {
                throw failure("proxy-url", error.message)
            }
        } else {
            configuration.proxy = try Proxy.inEnvironment(environment, for: server)
        }
        return configuration
    }

    /// Adds what an entry of `users` says: who one is, and by what.
    func identify(
        _ configuration: inout ClientConfiguration, cluster: Kubeconfig.Entry, environment: [String: String]
    ) throws(ConfigurationError) {
        if let provider = entry.value["auth-provider"], provider != .null {
            throw failure(
                "auth-provider",
                "is gone from Kubernetes since 1.26; use the provider's exec plugin (kubectl's own message names it)")
        }
        switch (try pem("client-certificate"), try pem("client-key")) {
        case (let chain?, let key?):
            configuration.clientCertificate = .init(chain: chain.data, key: key.data)
            configuration.files.clientCertificate = chain.file
            configuration.files.clientKey = key.file
        case (nil, nil): break
        case (nil, _?): throw failure("client-certificate", "is required together with client-key")
        case (_?, nil): throw failure("client-key", "is required together with client-certificate")
        }
        let user = try text("username")
        let (tokenFile, token) = (try text("tokenFile"), try text("token"))
        let hasToken = tokenFile != nil || token != nil
        if hasToken, user != nil { throw failure("username", "cannot be set together with a token") }
        if let exec = entry.value["exec"], exec != .null {
            if hasToken || user != nil { throw failure("exec", "cannot be set together with a token or a username") }
            let plugin = KubeconfigReader(
                entry: .init(file: entry.file, value: exec), context: context, prefix: prefix + ".exec")
            configuration.credential = .plugin(
                try plugin.execPlugin(cluster: cluster, configuration: configuration, environment: environment))
        } else if let file = tokenFile {
            // As in client-go, the file wins over the token beside it.
            let path = path(file)
            guard FileManager.default.isReadableFile(atPath: path) else {
                throw failure("tokenFile", "\(path) cannot be read")
            }
            configuration.credential = .tokenFile(path)
        } else if let token {
            configuration.credential = .token(token)
        } else if let user {
            configuration.credential = .basic(user: user, password: try text("password") ?? "")
        }
        configuration.impersonation = try impersonation()
    }

    private func impersonation() throws(ConfigurationError) -> ClientConfiguration.Impersonation? {
        let uid = try text("as-uid")
        let groups = try texts("as-groups")
        var extra: [String: [String]] = [:]
        if let value = entry.value["as-user-extra"], value != .null {
            guard let members = value.object else { throw failure("as-user-extra", "must map names to lists of texts") }
            let reader = KubeconfigReader(
                entry: .init(file: entry.file, value: value), context: context, prefix: prefix + ".as-user-extra")
            for key in members.keys { extra[key] = try reader.texts(key) }
        }
        guard let user = try text("as") else {
            if uid != nil || !groups.isEmpty || !extra.isEmpty {
                throw failure("as", "is required together with as-uid, as-groups or as-user-extra")
            }
            return nil
        }
        return .init(user: user, uid: uid, groups: groups, extra: extra)
    }

    /// Reads a user's `exec`; `cluster` is told to the plugin when it asks for it.
    private func execPlugin(
        cluster: Kubeconfig.Entry, configuration: ClientConfiguration, environment: [String: String]
    ) throws(ConfigurationError) -> ExecPlugin {
        let origin = "\(entry.file): context \(context): \(prefix)"
        guard let command = try text("command") else { throw failure("command", "is required") }
        guard let versionText = try text("apiVersion") else { throw failure("apiVersion", "is required") }
        guard let version = ExecPlugin.Version(rawValue: versionText) else {
            let known = ExecPlugin.Version.allCases.map(\.rawValue).joined(separator: " and ")
            throw failure("apiVersion", "is \(versionText); supported are \(known)")
        }
        let modeText = try text("interactiveMode")
        let mode = modeText.flatMap(ExecPlugin.InteractiveMode.init) ?? .ifAvailable
        if modeText == nil, version == .v1 {
            throw failure("interactiveMode", "is required with \(version.rawValue): Never, IfAvailable or Always")
        }
        if let modeText, ExecPlugin.InteractiveMode(rawValue: modeText) == nil {
            throw failure("interactiveMode", "is \(modeText); it can be Never, IfAvailable or Always")
        }
        var variables = environment
        for (index, item) in (entry.value["env"]?.array ?? []).enumerated() {
            guard let name = item["name"]?.string, !name.isEmpty, let value = item["value"]?.string else {
                throw failure("env[\(index)]", "needs a name and a value, both texts")
            }
            variables[name] = value
        }
        var info: JSONValue?
        if try flag("provideClusterInfo") {
            var known: JSONValue = ["server": .string(configuration.server)]
            for (field, name) in [
                ("certificate-authority-data", "certificate-authority-data"), ("proxy-url", "proxy-url"),
                ("tls-server-name", "tls-server-name"), ("insecure-skip-tls-verify", "insecure-skip-tls-verify"),
            ] {
                known[name] = cluster.value[field]
            }
            if let authority = configuration.certificateAuthority {
                known["certificate-authority-data"] = .string(authority.base64EncodedString())
            }
            let extensions = cluster.value["extensions"]?.array ?? []
            known["config"] =
                extensions.first { $0["name"] == "client.authentication.k8s.io/exec" }?["extension"]
            info = known
        }
        return ExecPlugin(
            origin: origin, version: version, command: command.contains("/") ? path(command) : command,
            arguments: try texts("args"), environment: variables, cluster: info, interactiveMode: mode,
            installHint: try text("installHint"))
    }
}
