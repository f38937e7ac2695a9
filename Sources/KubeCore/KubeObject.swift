package import FoundationEssentials

/// Any Kubernetes object: its JSON, with the common metadata as typed views. Fields that Heddle does not know are kept.
package struct KubeObject: Sendable, Hashable {
    package var json: JSONValue

    package init(json: JSONValue) { self.json = json }

    /// A new object of a kind, to be filled in.
    package init(_ resource: GroupVersionResource, namespace: String? = nil, name: String) {
        json = [
            "apiVersion": .string(resource.apiVersion), "kind": .string(resource.kind),
            "metadata": ["name": .string(name)],
        ]
        if resource.isNamespaced, let namespace { self.namespace = namespace }
    }

    package var apiVersion: String { json["apiVersion"]?.string ?? "" }
    package var kind: String { json["kind"]?.string ?? "" }
    package var key: ObjectKey { ObjectKey(namespace: namespace, name: name) }

    package var name: String {
        get { metadata("name")?.string ?? "" }
        set { json[path: "metadata", "name"] = .string(newValue) }
    }
    /// Empty for a cluster-scoped object.
    package var namespace: String {
        get { metadata("namespace")?.string ?? "" }
        set { json[path: "metadata", "namespace"] = newValue.isEmpty ? .none : .string(newValue) }
    }
    package var uid: String { metadata("uid")?.string ?? "" }
    package var resourceVersion: String {
        get { metadata("resourceVersion")?.string ?? "" }
        set { json[path: "metadata", "resourceVersion"] = newValue.isEmpty ? .none : .string(newValue) }
    }
    package var generation: Int { metadata("generation")?.int ?? 0 }
    package var creationTimestamp: Date? { metadata("creationTimestamp")?.string.flatMap(KubeTime.parse) }
    package var deletionTimestamp: Date? { metadata("deletionTimestamp")?.string.flatMap(KubeTime.parse) }
    package var isBeingDeleted: Bool { metadata("deletionTimestamp")?.string != nil }

    package var labels: [String: String] {
        get { metadata("labels")?.stringMap ?? [:] }
        set { json[path: "metadata", "labels"] = newValue.isEmpty ? .none : JSONValue(newValue) }
    }
    package var annotations: [String: String] {
        get { metadata("annotations")?.stringMap ?? [:] }
        set { json[path: "metadata", "annotations"] = newValue.isEmpty ? .none : JSONValue(newValue) }
    }
    package var finalizers: [String] {
        get { metadata("finalizers")?.array?.compactMap(\.string) ?? [] }
        set { json[path: "metadata", "finalizers"] = newValue.isEmpty ? .none : JSONValue(newValue) }
    }
    package var ownerReferences: [OwnerReference] {
        get { metadata("ownerReferences")?.array?.compactMap { try? $0.decode(OwnerReference.self) } ?? [] }
        set {
            json[path: "metadata", "ownerReferences"] =
                newValue.isEmpty ? .none : .array(newValue.compactMap { try? JSONValue(encoding: $0) })
        }
    }
    /// The owner that manages this object (`controller: true`).
    package var controllerReference: OwnerReference? { ownerReferences.first { $0.controller == true } }

    package var spec: JSONValue {
        get { json["spec"] ?? [:] }
        set { json["spec"] = newValue }
    }
    package var status: JSONValue {
        get { json["status"] ?? [:] }
        set { json["status"] = newValue }
    }

    /// A reference that makes `self` the controlling owner of another object.
    package var asController: OwnerReference {
        OwnerReference(
            apiVersion: apiVersion, kind: kind, name: name, uid: uid, controller: true, blockOwnerDeletion: true)
    }

    private func metadata(_ field: String) -> JSONValue? { json["metadata"]?[field] }
}

/// Namespace and name: an object's key within its kind. The namespace is empty for cluster-scoped objects.
package struct ObjectKey: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    package var namespace: String
    package var name: String

    package init(namespace: String, name: String) {
        self.namespace = namespace
        self.name = name
    }

    package var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
    package static func < (a: Self, b: Self) -> Bool { (a.namespace, a.name) < (b.namespace, b.name) }
}

package struct OwnerReference: Sendable, Hashable, Codable {
    package var apiVersion: String
    package var kind: String
    package var name: String
    package var uid: String
    package var controller: Bool?
    package var blockOwnerDeletion: Bool?

    package init(
        apiVersion: String, kind: String, name: String, uid: String, controller: Bool? = nil,
        blockOwnerDeletion: Bool? = nil
    ) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.uid = uid
        self.controller = controller
        self.blockOwnerDeletion = blockOwnerDeletion
    }
}
