package import MeshModel

/// How Heddle names Envoy's resources. The names appear in statistics, logs and refusals, so they are part of what a
/// person sees; clusters are named as Istio names them.
package enum ResourceNames {
    package static let virtualOutbound = "virtualOutbound"
    package static let virtualInbound = "virtualInbound"
    /// Forwards a connection to where it was going.
    package static let passthroughCluster = "PassthroughCluster"
    /// The same for what comes in on a port that nothing declares.
    package static let inboundPassthroughCluster = "InboundPassthroughCluster"
    /// Has no endpoints.
    package static let blackHoleCluster = "BlackHoleCluster"

    /// `outbound|80|canary|catalog.shop.svc.cluster.local`
    package static func outboundCluster(
        _ service: ServiceID, port: Int, subset: String? = nil, clusterDomain: String
    ) -> String {
        "outbound|\(port)|\(subset ?? "")|\(service.host(clusterDomain: clusterDomain))"
    }

    /// The service that an outbound cluster leads to; nil for any other name.
    package static func service(ofCluster name: String, clusterDomain: String) -> ServiceID? {
        let parts = name.split(separator: "|", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "outbound" else { return nil }
        return ServiceID(host: String(parts[3]), in: "", clusterDomain: clusterDomain)
    }

    /// `inbound|8080||`
    package static func inboundCluster(port: Int) -> String { "inbound|\(port)||" }

    /// `80.catalog.shop.svc.cluster.local`
    package static func routes(_ service: ServiceID, port: Int, clusterDomain: String) -> String {
        "\(port).\(service.host(clusterDomain: clusterDomain))"
    }

    /// `10.96.0.12_80`
    package static func listener(address: String, port: Int) -> String { "\(address)_\(port)" }

    /// Prefix of an outbound listener's statistics. Names hold no underscore, so it is unambiguous, and no dot, which
    /// would end it in Envoy's tag expressions.
    package static func outboundStatPrefix(_ service: ServiceID, port: Int) -> String {
        "outbound_\(service.name)_\(service.namespace)_\(port)"
    }

    /// Prefix of the statistics of what arrives on a port, `inbound_mtls_8080` or `inbound_plain_8080`; `other` stands for
    /// all ports that nothing declares.
    package static func inboundStatPrefix(port: Int?, isMutualTLS: Bool) -> String {
        "inbound_\(isMutualTLS ? "mtls" : "plain")_\(port.map(String.init) ?? "other")"
    }
}
