/// Everything that one proxy should have.
package struct ResourceSet: Sendable, Equatable {
    private var byType: [TypeURL: [String: XDSResource]] = [:]
    private var versions: [TypeURL: UInt64] = [:]

    package init() {}

    /// Of two resources of one type and name the later one counts.
    package init(_ resources: some Sequence<XDSResource>) {
        for resource in resources { insert(resource) }
    }

    package mutating func insert(_ resource: XDSResource) {
        let old = byType[resource.type, default: [:]].updateValue(resource, forKey: resource.name)
        // A sum does not depend on the order of what is summed.
        versions[resource.type, default: 0] &+= Self.weight(resource)
        if let old { versions[resource.type, default: 0] &-= Self.weight(old) }
    }

    /// The resources of one type by name.
    package subscript(type: TypeURL) -> [String: XDSResource] { byType[type] ?? [:] }

    package var types: some Collection<TypeURL> { byType.keys }

    /// The version of all resources of one type together.
    package func version(of type: TypeURL) -> String { ContentHash.text(versions[type] ?? 0) }

    private static func weight(_ resource: XDSResource) -> UInt64 {
        ContentHash.of(resource.name.utf8, seed: resource.fingerprint)
    }
}
