package import EnvoyAPI
package import FoundationEssentials
import SwiftProtobuf

/// Who a proxy is: what its certificate proves, and what it says of itself.
package struct ProxyIdentity: Sendable, Hashable, Codable {
    /// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`, from the certificate.
    package let spiffeID: String
    package let namespace: String
    package let serviceAccount: String
    /// Envoy's node id. It names the proxy in reports and need not be unique.
    package let nodeID: String
    package let podName: String
    package let podIP: String
    package let nodeName: String
    package let labels: [String: String]
    /// When the certificate lapses with which the proxy opened its stream; nil when there is none to look at.
    package var certificateNotAfter: Date?

    package init(
        spiffeID: String, namespace: String, serviceAccount: String, nodeID: String, podName: String = "",
        podIP: String = "", nodeName: String = "", labels: [String: String] = [:]
    ) {
        self.spiffeID = spiffeID
        self.namespace = namespace
        self.serviceAccount = serviceAccount
        self.nodeID = nodeID
        self.podName = podName
        self.podIP = podIP
        self.nodeName = nodeName
        self.labels = labels
    }
}

/// The keys of the node metadata in a proxy's bootstrap.
package enum NodeMetadataKey {
    package static let namespace = "NAMESPACE"
    package static let serviceAccount = "SERVICE_ACCOUNT"
    package static let podName = "POD_NAME"
    package static let podIP = "POD_IP"
    package static let nodeName = "NODE_NAME"
    /// An object of strings.
    package static let labels = "LABELS"
}

/// Why a proxy is not served.
package struct ProxyRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    package let message: String
    package var description: String { message }
}

extension ProxyIdentity {
    /// Reads a proxy's node and checks it against its certificate.
    ///
    /// - Parameter trustDomain: The only trust domain that is served; nil serves every one that the certificate
    ///   authorities vouch for.
    /// - Throws: When the certificate's id is not of the mesh's form, or the node claims another namespace or service
    ///   account than the certificate proves, or none.
    package init(
        spiffeID: String, node: Envoy_Config_Core_V3_Node, trustDomain: String? = nil
    ) throws(ProxyRefusal) {
        let parts = spiffeID.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 7, parts[0] == "spiffe:", parts[1].isEmpty, parts[3] == "ns", parts[5] == "sa" else {
            throw ProxyRefusal(message: "the certificate's id \"\(spiffeID)\" names no workload of the mesh")
        }
        if let trustDomain, parts[2] != trustDomain {
            throw ProxyRefusal(
                message: "the certificate's id \"\(spiffeID)\" is not of trust domain \"\(trustDomain)\"")
        }
        func claim(_ key: String) -> String { node.metadata.fields[key]?.stringValue ?? "" }
        for (key, proven) in [(NodeMetadataKey.namespace, parts[4]), (NodeMetadataKey.serviceAccount, parts[6])]
        where claim(key) != proven {
            throw ProxyRefusal(
                message: "node \"\(node.id)\" claims \(key) \"\(claim(key))\", its certificate proves \"\(proven)\"")
        }
        self.init(
            spiffeID: spiffeID, namespace: parts[4], serviceAccount: parts[6], nodeID: node.id,
            podName: claim(NodeMetadataKey.podName), podIP: claim(NodeMetadataKey.podIP),
            nodeName: claim(NodeMetadataKey.nodeName),
            labels: node.metadata.fields[NodeMetadataKey.labels]?.structValue.fields.mapValues(\.stringValue) ?? [:])
    }
}
