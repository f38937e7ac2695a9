package import KubeCore

/// What a dialect made of one object: the model's value, and what it could not take over.
package struct Reading<Value: Sendable>: Sendable {
    /// Nil when the object says nothing to the mesh (or is invalid as a whole: then `problems` says why).
    package var value: Value?
    /// Fields that are wrong, or that this mesh cannot express. The rest of the object holds all the same.
    package var problems: [FieldError]

    package init(_ value: Value?, problems: [FieldError] = []) {
        self.value = value
        self.problems = problems
    }
}

extension KubeObject {
    /// As problems name it: `VirtualService shop/catalog`.
    package var reference: String { "\(kind) \(key)" }
}
