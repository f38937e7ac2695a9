package import KubeCore

package struct ServicePolicyStatus: SchemaDescribed {
    package var observedGeneration = 0
    /// The mesh objects that carry the policy.
    package var rendered: [RenderedObject] = []
    package var conditions: [Condition] = []

    package init() {}
}

package struct RenderedObject: SchemaDescribed {
    package var apiVersion: String
    package var kind: String
    package var name: String

    package init(apiVersion: String, kind: String, name: String) {
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
    }
}
