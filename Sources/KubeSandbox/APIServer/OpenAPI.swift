import KubeCore

/// The least of OpenAPI that lets `kubectl apply` validate on the server and `kubectl explain` work.
///
/// Version 3 has one document a group version: a PATCH operation for each kind with the parameter `fieldValidation`
/// (this is how `kubectl` learns that the server checks fields itself), and schemas: the real ones of custom resources,
/// and for built-in kinds just their outermost members.
struct OpenAPI: Sendable {
    let types: [ResourceType]
    /// Changes when the documents do; for clients' caches.
    let generation: Int

    /// `/openapi/v3`
    var index: JSONValue {
        var paths: [String: JSONValue] = [:]
        for type in types {
            let path = Self.path(type.group, type.version)
            paths[path] = ["serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(generation)")]
        }
        return ["paths": .object(paths)]
    }

    private static func path(_ group: String, _ version: String) -> String {
        group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
    }

    /// `/openapi/v3/<path>`; nil when there is no such version.
    func document(_ path: String) -> JSONValue? {
        let own = types.filter { Self.path($0.group, $0.version) == path }
        guard !own.isEmpty else { return nil }
        var paths: [String: JSONValue] = [:]
        var schemas: [String: JSONValue] = [:]
        for type in own {
            let name = Self.schemaName(type)
            schemas[name] = Self.schema(type)
            paths[type.gvr.path(namespace: "{namespace}", name: "{name}")] = [
                "patch": Self.operation(type, schema: name)
            ]
        }
        return [
            "openapi": "3.0.0", "info": ["title": "Kubernetes", "version": "unversioned"], "paths": .object(paths),
            "components": ["schemas": .object(schemas)],
        ]
    }

    private static func groupVersionKind(_ type: ResourceType) -> JSONValue {
        ["group": .string(type.group), "version": .string(type.version), "kind": .string(type.kind)]
    }

    private static func operation(_ type: ResourceType, schema: String) -> JSONValue {
        func parameter(_ name: String) -> JSONValue {
            ["name": .string(name), "in": "query", "schema": ["type": "string"]]
        }
        return [
            "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": groupVersionKind(type),
            "parameters": .array(["dryRun", "fieldManager", "fieldValidation", "force"].map(parameter)),
            "responses": [
                "200": [
                    "description": "OK",
                    "content": ["application/json": ["schema": ["$ref": .string("#/components/schemas/\(schema)")]]],
                ]
            ],
        ]
    }

    /// Reversed group, version and kind: `io.k8s.api.apps.v1.Deployment`, `dev.heddle.v1alpha1.Canary`.
    private static func schemaName(_ type: ResourceType) -> String {
        if type.custom == nil {
            let group = type.group.prefix { $0 != "." }
            return "io.k8s.api.\(group.isEmpty ? "core" : group).\(type.version).\(type.kind)"
        }
        return type.group.split(separator: ".").reversed().joined(separator: ".") + ".\(type.version).\(type.kind)"
    }

    private static func schema(_ type: ResourceType) -> JSONValue {
        var schema: JSONValue = type.custom?.schema.root ?? ["description": .string(type.kind), "type": "object"]
        schema["x-root"] = nil
        schema.change("properties") { properties in
            properties.setDefault(
                "apiVersion", ["type": "string", "description": "Version of this representation of the object."])
            properties.setDefault("kind", ["type": "string", "description": "Kind of the object."])
            properties["metadata"] = [
                "type": "object", "description": "Standard object's metadata.",
                "x-kubernetes-preserve-unknown-fields": true,
            ]
            guard type.custom == nil else { return }
            for name in ["spec", "status"] {
                properties[name] = ["type": "object", "x-kubernetes-preserve-unknown-fields": true]
            }
        }
        if type.custom == nil { schema["x-kubernetes-preserve-unknown-fields"] = true }
        schema["x-kubernetes-group-version-kind"] = [groupVersionKind(type)]
        return schema
    }

    /// `/openapi/v2` in the protobuf form, which is the only one that `kubectl` asks for: a document that says
    /// `swagger: "2.0"` and defines nothing, so that clients use what they know themselves.
    static let emptyVersion2: [UInt8] = [0x0A, 0x03] + Array("2.0".utf8)
}
