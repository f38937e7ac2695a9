import KubeCore

/// CustomResourceDefinitions: what they make the server serve, and their status.
enum CustomResources {
    /// The types of the served versions.
    static func types(of definition: JSONValue) -> [ResourceType] {
        let spec = definition["spec"] ?? [:]
        let names = spec["names"] ?? [:]
        let group = spec["group"]?.string ?? ""
        let kind = names["kind"]?.string ?? ""
        let resource = names["plural"]?.string ?? ""
        return (spec["versions"]?.array ?? []).filter { $0["served"] == true }.map { version in
            var type = ResourceType(
                kind, resource, group: group, version: version["name"]?.string ?? "",
                namespaced: spec["scope"]?.string == "Namespaced")
            type.singular = names["singular"]?.string ?? kind.lowercased()
            type.shortNames = names["shortNames"]?.array?.compactMap(\.string) ?? []
            type.categories = names["categories"]?.array?.compactMap(\.string) ?? []
            type.hasStatus = version[path: "subresources", "status"] != nil
            type.hasGeneration = true
            type.scale = version[path: "subresources", "scale"].map(scale)
            type.selectableFields = Set(
                (version["selectableFields"]?.array ?? []).compactMap { $0["jsonPath"]?.string }
                    .map { String($0.drop { $0 == "." }) })
            type.custom = CustomVersion(
                listKind: names["listKind"]?.string ?? kind + "List",
                schema: CRDSchema(version[path: "schema", "openAPIV3Schema"] ?? [:]),
                columns: version["additionalPrinterColumns"]?.array ?? [])
            return type
        }
    }

    private static func scale(_ json: JSONValue) -> ResourceType.Scale {
        func path(_ field: String) -> [String]? {
            json[field]?.string.map { $0.split(separator: ".").map(String.init) }
        }
        var scale = ResourceType.Scale()
        scale.specReplicas = path("specReplicasPath") ?? scale.specReplicas
        scale.statusReplicas = path("statusReplicasPath") ?? scale.statusReplicas
        scale.selector = path("labelSelectorPath") ?? []
        return scale
    }

    /// Accepts the names at once: definitions that fight over a name are not told apart here.
    static func established(_ definition: JSONValue, time: String) -> JSONValue {
        var definition = definition
        let spec = definition["spec"] ?? [:]
        let storage = (spec["versions"]?.array ?? []).first { $0["storage"] == true }?["name"]
        definition.change("status") { status in
            status["acceptedNames"] = spec["names"]
            var stored = status["storedVersions"]?.array ?? []
            if let storage, !stored.contains(storage) { stored.append(storage) }
            status["storedVersions"] = .array(stored)
            if status["conditions"] == nil {
                status["conditions"] = [
                    condition("NamesAccepted", "NoConflicts", "no conflicts found", time),
                    condition("Established", "InitialNamesAccepted", "the initial names have been accepted", time),
                ]
            }
        }
        return definition
    }

    private static func condition(_ type: String, _ reason: String, _ message: String, _ time: String) -> JSONValue {
        [
            "type": .string(type), "status": "True", "reason": .string(reason), "message": .string(message),
            "lastTransitionTime": .string(time),
        ]
    }
}
