import KubeCore

/// One resource in one version: what the API server must know to store and show its objects.
struct ResourceType: Sendable {
    /// Where the scale subresource finds its numbers.
    struct Scale: Sendable {
        var specReplicas: [String] = ["spec", "replicas"]
        var statusReplicas: [String] = ["status", "replicas"]
        /// A string selector (custom resources); nil: `spec.selector` as a label selector.
        var selector: [String]?
    }

    var group = ""
    var version = "v1"
    /// Plural, lower case.
    var resource: String
    var kind: String
    var isNamespaced = true
    var singular: String
    var shortNames: [String] = []
    var categories: [String] = []
    /// Whether `status` is written through its own subresource only.
    var hasStatus = false
    /// Whether `metadata.generation` counts changes of what is neither metadata nor status.
    var hasGeneration = false
    var scale: Scale?
    /// Other subresources, with the kind that they speak and its group and version.
    var actions: [(name: String, kind: String, groupVersion: String)] = []
    /// Nothing is stored: a `create` computes an answer (reviews).
    var isVirtual = false
    /// Field selectors beside `metadata.name` and `metadata.namespace`.
    var selectableFields: Set<String> = []
    /// The version's schema and columns, for a custom resource.
    var custom: CustomVersion?
    /// The store's name for the resource's objects, whatever the version.
    var collection: String

    init(_ kind: String, _ resource: String, group: String = "", version: String = "v1", namespaced: Bool = true) {
        self.group = group
        self.version = version
        self.resource = resource
        self.kind = kind
        isNamespaced = namespaced
        singular = kind.lowercased()
        collection = group.isEmpty ? resource : "\(resource).\(group)"
    }

    /// As messages name it: `deployments.apps`.
    var qualifiedName: String { group.isEmpty ? resource : "\(resource).\(group)" }
    var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    var listKind: String { custom?.listKind ?? kind + "List" }
    var gvr: GroupVersionResource {
        GroupVersionResource(
            group: group, version: version, resource: resource, kind: kind, isNamespaced: isNamespaced)
    }
    var supportedFields: Set<String> {
        selectableFields.union(isNamespaced ? ["metadata.name", "metadata.namespace"] : ["metadata.name"])
    }
    /// Whether an update may replace the object without naming the version that it replaces.
    var allowsUnconditionalUpdate: Bool {
        custom == nil
            && ![
                "leases.coordination.k8s.io", "customresourcedefinitions.apiextensions.k8s.io",
                "mutatingwebhookconfigurations.admissionregistration.k8s.io",
                "validatingwebhookconfigurations.admissionregistration.k8s.io", "poddisruptionbudgets.policy",
            ].contains(qualifiedName)
    }
    var verbs: [String] {
        isVirtual
            ? ["create"] : ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    }

    func with(_ change: (inout Self) -> Void) -> Self {
        var copy = self
        change(&copy)
        return copy
    }
}

/// What a CustomResourceDefinition says about one of its versions.
struct CustomVersion: Sendable {
    var listKind: String
    var schema: CRDSchema
    /// `additionalPrinterColumns`, as in the definition.
    var columns: [JSONValue]
}
