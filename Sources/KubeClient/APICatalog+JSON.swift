import KubeCore

extension APICatalog {
    /// Adds an `APIGroupDiscoveryList` (`apidiscovery.k8s.io/v2` or `v2beta1`).
    mutating func add(aggregated list: JSONValue) {
        for item in list["items"]?.array ?? [] {
            let group = item[path: "metadata", "name"]?.string ?? ""
            for entry in item["versions"]?.array ?? [] {
                guard let version = entry["version"]?.string else { continue }
                let name = group.isEmpty ? version : "\(group)/\(version)"
                if entry["freshness"]?.string == "Stale" {
                    failures[name] =
                        "the API server has only an old view of it, as the server behind it does not answer"
                }
                for resource in entry["resources"]?.array ?? [] {
                    add(aggregated: resource, group: group, version: version)
                }
            }
        }
    }

    private mutating func add(aggregated json: JSONValue, group: String, version: String) {
        // A resource without a kind exists only for its subresources.
        guard let name = json["resource"]?.string, let kind = json[path: "responseKind", "kind"]?.string, !kind.isEmpty
        else { return }
        resources.append(
            Resource(
                resource: GroupVersionResource(
                    group: group, version: version, resource: name, kind: kind,
                    isNamespaced: json["scope"]?.string == "Namespaced"),
                singular: json["singularResource"]?.string ?? "", shortNames: json.texts("shortNames"),
                categories: json.texts("categories"), verbs: json.texts("verbs"),
                subresources: (json["subresources"]?.array ?? []).compactMap { $0["subresource"]?.string }))
    }

    /// Adds an `APIResourceList`, where subresources stand beside their resources as `deployments/status`.
    mutating func add(list: JSONValue, group: String, version: String) {
        let entries = list["resources"]?.array ?? []
        var subresources: [String: [String]] = [:]
        for entry in entries {
            let parts = (entry["name"]?.string ?? "").split(separator: "/", maxSplits: 1).map(String.init)
            if parts.count == 2 { subresources[parts[0], default: []].append(parts[1]) }
        }
        for entry in entries {
            guard let name = entry["name"]?.string, !name.contains("/"), let kind = entry["kind"]?.string else {
                continue
            }
            resources.append(
                Resource(
                    resource: GroupVersionResource(
                        group: group, version: version, resource: name, kind: kind,
                        isNamespaced: entry["namespaced"]?.bool ?? false),
                    singular: entry["singularName"]?.string ?? "", shortNames: entry.texts("shortNames"),
                    categories: entry.texts("categories"), verbs: entry.texts("verbs"),
                    subresources: subresources[name] ?? []))
        }
    }
}

extension JSONValue {
    fileprivate func texts(_ name: String) -> [String] { (self[name]?.array ?? []).compactMap(\.string) }
}
