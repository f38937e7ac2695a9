package import KubeCore

extension KubeClient {
    /// The API server's build, as `/version` has it.
    package struct ServerVersion: Sendable, Hashable, CustomStringConvertible {
        package var major: Int
        package var minor: Int
        /// E.g. `v1.36.2`.
        package var text: String

        package var description: String { text }
    }

    /// - Throws: `APIError`, of reason `InvalidAnswer` when there is no number.
    package func serverVersion() async throws(APIError) -> ServerVersion {
        let json = try await json(HTTPCall(get: "/version", resource: "/version"))
        // Some providers write "31+".
        func number(_ name: String) -> Int? { Int((json[name]?.string ?? "").prefix { $0.isNumber }) }
        guard let major = number("major"), let minor = number("minor") else {
            throw APIError(code: 0, reason: "InvalidAnswer", message: "get /version: the answer has no version")
        }
        return ServerVersion(major: major, minor: minor, text: json["gitVersion"]?.string ?? "v\(major).\(minor)")
    }

    /// All that the server serves: two requests where it has aggregated discovery (Kubernetes 1.26 and newer), else one
    /// for each group and version.
    /// - Throws: `APIError` when the server gives no list of groups; a single group's failure is noted in the catalog.
    package func discover() async throws(APIError) -> APICatalog {
        var catalog = APICatalog()
        try await discover(root: "/api", into: &catalog)
        try await discover(root: "/apis", into: &catalog)
        return catalog
    }

    private static let aggregated = ["v2", "v2beta1"].map {
        "application/json;g=apidiscovery.k8s.io;v=\($0);as=APIGroupDiscoveryList"
    }

    private func discover(root: String, into catalog: inout APICatalog) async throws(APIError) {
        let accept = (Self.aggregated + ["application/json"]).joined(separator: ",")
        var answer: JSONValue
        do {
            answer = try await json(HTTPCall(get: root, accept: accept, resource: "discovery"))
        } catch {
            guard error.code == 406 else { throw error }
            answer = try await json(HTTPCall(get: root, resource: "discovery"))
        }
        if answer["kind"] == "APIGroupDiscoveryList" {
            catalog.add(aggregated: answer)
            return
        }
        var versions: [(group: String, version: String)] = []
        for version in (answer["versions"]?.array ?? []).compactMap(\.string) { versions.append(("", version)) }
        for group in answer["groups"]?.array ?? [] {
            let name = group["name"]?.string ?? ""
            var own = (group["versions"]?.array ?? []).compactMap { $0["version"]?.string }
            if let preferred = group[path: "preferredVersion", "version"]?.string,
                let index = own.firstIndex(of: preferred)
            {
                own.insert(own.remove(at: index), at: 0)
            }
            versions += own.map { (name, $0) }
        }
        await addLists(of: versions, into: &catalog)
    }

    private func addLists(of versions: [(group: String, version: String)], into catalog: inout APICatalog) async {
        let answers = await withTaskGroup(of: (Int, Result<JSONValue, APIError>).self) { tasks in
            for (index, (group, version)) in versions.enumerated() {
                let path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
                tasks.addTask { [self] in
                    do throws(APIError) {
                        return (index, .success(try await json(HTTPCall(get: path, resource: "discovery"))))
                    } catch {
                        return (index, .failure(error))
                    }
                }
            }
            return await tasks.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (index, (group, version)) in versions.enumerated() {
            switch answers[index] {
            case .success(let list): catalog.add(list: list, group: group, version: version)
            case .failure(let error):
                catalog.failures[group.isEmpty ? version : "\(group)/\(version)"] = error.description
            case nil: break
            }
        }
    }
}
