package import KubeCore

/// What of an object a store keeps: less memory for what nobody reads.
package struct StoreTransform: Sendable {
    /// What the API is asked for: the rest is not even read where the API sends text.
    let selection: FieldSelection
    private let body: @Sendable (inout KubeObject) -> Void

    package init(
        selection: FieldSelection = .everything, _ body: @escaping @Sendable (inout KubeObject) -> Void = { _ in }
    ) {
        self.selection = selection
        self.body = body
    }

    package func callAsFunction(_ object: KubeObject) -> KubeObject {
        // Also for what comes from an API that keeps more, as one in process does.
        var object = selection == .everything ? object : KubeObject(json: selection(object.json))
        body(&object)
        return object
    }

    /// `metadata.managedFields` is a third of a typical object, and nobody reads it from a cache.
    package static let dropManagedFields = keeping(.whole)

    /// Keeps some fields only. An object so trimmed must not be sent back whole.
    package static func keeping(_ selection: FieldSelection) -> Self { Self(selection: selection) }

    /// Leaves out the members at these paths, and `metadata.managedFields`. An object so trimmed must not be sent back whole.
    package static func dropping(_ paths: [String]...) -> Self {
        Self(selection: .whole) { object in
            for path in paths { object.json.set(nil, at: path[...]) }
        }
    }

    package static let keepEverything = Self()
}
