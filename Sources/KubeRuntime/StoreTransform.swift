package import KubeCore

/// What of an object a store keeps: less memory for what nobody reads.
package struct StoreTransform: Sendable {
    private let body: @Sendable (inout KubeObject) -> Void

    package init(_ body: @escaping @Sendable (inout KubeObject) -> Void) { self.body = body }

    package func callAsFunction(_ object: KubeObject) -> KubeObject {
        var object = object
        body(&object)
        return object
    }

    /// `metadata.managedFields` is a third of a typical object, and nobody reads it from a cache.
    package static let dropManagedFields = dropping(["metadata", "managedFields"])

    /// Leaves out the members at these paths, and `metadata.managedFields`. An object so trimmed must not be sent back whole.
    package static func dropping(_ paths: [String]...) -> Self {
        Self { object in
            object.json.set(nil, at: ["metadata", "managedFields"])
            for path in paths { object.json.set(nil, at: path[...]) }
        }
    }

    package static let keepEverything = Self { _ in }
}
