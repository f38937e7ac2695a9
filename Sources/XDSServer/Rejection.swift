/// A refusal (NACK): what a proxy would not take, and its reason.
package struct Rejection: Sendable, Equatable {
    package let type: TypeURL
    /// Envoy's own words.
    package let message: String
    /// The refused resources by name, with their versions.
    package let versions: [String: String]

    package var resourceNames: [String] { versions.keys.sorted() }
}
