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
    /// - Parameter environment: for proxies, and what a credential plugin gets.
    func configuration(context chosen: String?, environment: [String: String] = [:]) throws(ConfigurationError)
        -> ClientConfiguration
    {
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
        let clusterReader = KubeconfigReader(
            entry: cluster, context: name, prefix: "clusters[\(clusterName)].cluster")
        var configuration = try clusterReader.cluster(environment: environment)
        configuration.namespace =
            context.value["namespace"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? "default"
        if let userName = context.value["user"]?.string, !userName.isEmpty {
            guard let user = users[userName] else {
                throw ConfigurationError(
                    file: context.file, context: name, field: "contexts[\(name)].context.user",
                    message: "names no user that is defined")
            }
            let userReader = KubeconfigReader(entry: user, context: name, prefix: "users[\(userName)].user")
            try userReader.identify(&configuration, cluster: cluster, environment: environment)
        }
        return configuration
    }
}
