import KubeCore

/// How the lists and maps below a point of an object merge: one table for strategic merge patch and server-side apply.
///
/// Built-in kinds come from the table below (upstream's `patchMergeKey` and `x-kubernetes-list-type` marks, for the lists
/// that clients write); custom resources from their schema. A list that neither names is atomic.
struct MergeSchema: Sendable {
    enum List: Sendable, Equatable {
        case atomic
        /// Elements are their own identity.
        case set
        /// Elements are objects known by these fields.
        case map(keys: [String])
    }

    private enum Source: Sendable {
        /// Name of the field that leads here, and of the one above it.
        case builtin(field: String, parent: String)
        case custom(JSONValue)
    }

    private var source: Source

    /// The root of an object of a type.
    init(_ type: ResourceType) {
        source = type.custom.map { .custom($0.schema.root) } ?? .builtin(field: "", parent: type.kind)
    }

    /// The schema of a member of an object.
    func member(_ name: String) -> MergeSchema {
        switch source {
        case .builtin(let field, let parent):
            return MergeSchema(.builtin(field: name, parent: field.isEmpty ? parent : field))
        case .custom(let schema):
            // Metadata is the same for all kinds; the schema rarely describes it.
            if name == "metadata", schema["x-root"] != nil { return MergeSchema(.builtin(field: name, parent: "")) }
            if let child = schema["properties"]?[name] { return MergeSchema(.custom(child)) }
            if let child = schema["additionalProperties"], child.object != nil { return MergeSchema(.custom(child)) }
            return MergeSchema(.custom([:]))
        }
    }

    /// The schema of a list's elements.
    var element: MergeSchema {
        switch source {
        case .builtin: self
        case .custom(let schema): MergeSchema(.custom(schema["items"] ?? [:]))
        }
    }

    var list: List {
        switch source {
        case .builtin(let field, let parent):
            return Self.lists["\(parent).\(field)"] ?? Self.lists[field] ?? .atomic
        case .custom(let schema):
            return List(schema)
        }
    }

    /// The key field that strategic merge patch uses for this list; nil: the list is replaced.
    var strategicKey: String? {
        if case .builtin(let field, _) = source, let key = Self.strategicOnly[field] { return key }
        if case .map(let keys) = list { return keys.first }
        return nil
    }

    /// Whether an object here is owned and replaced as one value.
    var isAtomicMap: Bool {
        switch source {
        case .builtin(let field, let parent):
            Self.atomicMaps.contains(field) || Self.atomicMaps.contains("\(parent).\(field)")
        case .custom(let schema):
            schema["x-kubernetes-map-type"]?.string == "atomic"
        }
    }

    /// A key field's value when the element does not carry it.
    static func keyDefault(_ key: String) -> JSONValue? { key == "protocol" ? .some("TCP") : .none }

    private init(_ source: Source) { self.source = source }

    /// By field name, or by `parent.field` where a name alone is ambiguous.
    private static let lists: [String: List] = [
        "containers": .map(keys: ["name"]), "initContainers": .map(keys: ["name"]),
        "ephemeralContainers": .map(keys: ["name"]), "volumes": .map(keys: ["name"]), "env": .map(keys: ["name"]),
        "volumeMounts": .map(keys: ["mountPath"]), "volumeDevices": .map(keys: ["devicePath"]),
        "containers.ports": .map(keys: ["containerPort", "protocol"]),
        "initContainers.ports": .map(keys: ["containerPort", "protocol"]),
        "spec.ports": .map(keys: ["port", "protocol"]),
        "conditions": .map(keys: ["type"]), "ownerReferences": .map(keys: ["uid"]), "finalizers": .set,
        "imagePullSecrets": .map(keys: ["name"]), "secrets": .map(keys: ["name"]), "hostAliases": .map(keys: ["ip"]),
        "topologySpreadConstraints": .map(keys: ["topologyKey", "whenUnsatisfiable"]),
        "podIPs": .map(keys: ["ip"]), "schedulingGates": .map(keys: ["name"]), "resourceClaims": .map(keys: ["name"]),
        "status.addresses": .map(keys: ["type"]), "webhooks": .map(keys: ["name"]),
        "matchConditions": .map(keys: ["name"]), "resources.claims": .map(keys: ["name"]),
    ]

    /// Merged by key in a strategic merge patch though server-side apply treats them as one value.
    private static let strategicOnly = ["taints": "key"]

    private static let atomicMaps: Set<String> = [
        "spec.selector", "nodeSelector", "labelSelector", "namespaceSelector", "objectSelector",
        "podSelector", "fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "scaleTargetRef",
        "involvedObject", "targetRef", "claimRef", "secretRef", "roleRef",
    ]
}
