import EnvoyAPI
import SwiftProtobuf
import Testing

@testable import XDSServer

@Suite struct ProxyIdentityTests {
    private func node(_ metadata: [String: String]) -> Envoy_Config_Core_V3_Node {
        .with {
            $0.id = "cart-1.shop"
            $0.metadata.fields = metadata.mapValues { .init(stringValue: $0) }
            $0.metadata.fields["LABELS"] = .with { $0.structValue.fields = ["app": .init(stringValue: "cart")] }
        }
    }

    @Test func aNodeThatAgreesWithItsCertificateIsKnown() throws {
        let proxy = try ProxyIdentity(
            spiffeID: "spiffe://cluster.local/ns/shop/sa/cart",
            node: node(["NAMESPACE": "shop", "SERVICE_ACCOUNT": "cart", "POD_NAME": "cart-1", "POD_IP": "10.1.0.3"]),
            trustDomain: "cluster.local")
        #expect(proxy.namespace == "shop" && proxy.serviceAccount == "cart")
        #expect(proxy.podName == "cart-1" && proxy.podIP == "10.1.0.3" && proxy.labels == ["app": "cart"])
    }

    @Test(arguments: [
        (
            "spiffe://cluster.local/ns/shop/sa/cart", ["NAMESPACE": "bank", "SERVICE_ACCOUNT": "cart"],
            "claims NAMESPACE"
        ),
        (
            "spiffe://cluster.local/ns/shop/sa/cart", ["NAMESPACE": "shop", "SERVICE_ACCOUNT": "root"],
            "claims SERVICE_ACCOUNT"
        ),
        ("spiffe://cluster.local/ns/shop/sa/cart", ["NAMESPACE": "shop"], "claims SERVICE_ACCOUNT \"\""),
        (
            "spiffe://elsewhere/ns/shop/sa/cart", ["NAMESPACE": "shop", "SERVICE_ACCOUNT": "cart"],
            "not of trust domain"
        ),
        ("spiffe://cluster.local/shop/cart", ["NAMESPACE": "shop", "SERVICE_ACCOUNT": "cart"], "names no workload"),
    ])
    func anyOtherIsRefusedWithTheReason(id: String, claims: [String: String], reason: String) {
        #expect {
            try ProxyIdentity(spiffeID: id, node: node(claims), trustDomain: "cluster.local")
        } throws: { "\($0)".contains(reason) }
    }

    @Test func theVersionOfAResourceIsItsContent() {
        #expect(resource(.cluster, "a", "1").version == resource(.cluster, "a", "1").version)
        #expect(resource(.cluster, "a", "1").version != resource(.cluster, "a", "2").version)
        // FNV-1a of "foobar", from the authors' test vectors.
        #expect(ContentHash.text(ContentHash.of("foobar".utf8)) == "85944171f73967e8")
        let forth = ResourceSet([resource(.cluster, "a"), resource(.cluster, "b")])
        let back = ResourceSet([resource(.cluster, "b"), resource(.cluster, "a", "2"), resource(.cluster, "a")])
        #expect(forth.version(of: .cluster) == back.version(of: .cluster))
        #expect(forth.version(of: .cluster) != ResourceSet([resource(.cluster, "a")]).version(of: .cluster))
    }
}
