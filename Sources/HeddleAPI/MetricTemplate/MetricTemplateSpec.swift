package import KubeCore

/// A PromQL query that several Canaries share.
package struct MetricTemplateSpec: ResourceSpec {
    package static let resource = GroupVersionResource.metricTemplates

    /// The variables that a query may use, as `{{ name }}`.
    package enum Variable: String, Sendable, CaseIterable {
        /// The Canary's namespace.
        case namespace
        /// The Deployment's name.
        case target
        /// The Service's name.
        case service
        /// The time since the step started, as a PromQL duration.
        case interval
        /// `pod-template-hash` of the canary pods.
        case track
    }

    package var description: String?
    package var query: String

    package init(query: String, description: String? = nil) {
        self.query = query
        self.description = description
    }
}

package struct MetricTemplateStatus: SchemaDescribed {
    package var observedGeneration = 0
    package var conditions: [Condition] = []

    package init() {}
}
