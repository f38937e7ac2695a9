/// The type of a resource, as the protocol writes it.
package struct TypeURL: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: String

    package init(rawValue: String) {
        self.rawValue = rawValue
    }

    package static let cluster = TypeURL(rawValue: "type.googleapis.com/envoy.config.cluster.v3.Cluster")
    package static let endpoints = TypeURL(
        rawValue: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment")
    package static let secret = TypeURL(
        rawValue: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret")
    package static let listener = TypeURL(rawValue: "type.googleapis.com/envoy.config.listener.v3.Listener")
    package static let route = TypeURL(rawValue: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration")

    /// The order in which additions are sent: what is referred to before what refers. Other types come last.
    static let additionOrder: [TypeURL] = [.cluster, .endpoints, .secret, .listener, .route]

    /// The order in which what others refer to is removed, after everything else.
    static let lateRemovalOrder: [TypeURL] = [.cluster, .endpoints, .secret]

    /// Whether others refer to resources of this type, so that their removal waits for the others.
    var isReferredTo: Bool { self == .cluster || self == .endpoints || self == .secret }

    /// Whether a first request without names asks for all: an old rule of the protocol, for these two types only.
    var allowsLegacyWildcard: Bool { self == .cluster || self == .listener }

    /// The last part: `Cluster`.
    package var shortName: String { String(rawValue.split(separator: ".").last ?? "") }

    package var description: String { rawValue }
}
