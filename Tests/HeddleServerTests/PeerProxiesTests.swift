import FoundationEssentials
import KubeCore
import Testing
import XDSServer

@testable import HeddleServer

@Suite struct PeerProxiesTests {
    private let now = Date(timeIntervalSinceReferenceDate: 1000)

    @Test func anotherReplicasPageTellsItsProxies() throws {
        var identity = ProxyIdentity(
            spiffeID: "spiffe://cluster.local/ns/shop/sa/cart", namespace: "shop", serviceAccount: "cart", nodeID: "n",
            podName: "cart-1")
        identity.certificateNotAfter = Date(timeIntervalSinceReferenceDate: 5000)
        // As `/debug/proxies` writes it.
        let encoded = try JSONValue.parse(Array(JSONEncoder().encode(identity)))
        let peers = PeerProxies()
        peers.note(["proxies": [["proxy": encoded, "synced": true], ["synced": true]]], from: "a", at: now)
        let expected = PeerProxies.Proxy(
            pod: ObjectKey(namespace: "shop", name: "cart-1"), isSynced: true,
            certificateNotAfter: Date(timeIntervalSinceReferenceDate: 5000))
        #expect(peers.proxies(at: now) == [expected])
    }

    @Test func aReplicaThatIsSilentIsForgotten() {
        let peers = PeerProxies()
        peers.note(
            ["proxies": [["proxy": ["podName": "x", "namespace": "shop"], "synced": true]]], from: "a", at: now)
        #expect(peers.proxies(at: now.addingTimeInterval(PeerProxies.lifetime - 1)).count == 1)
        #expect(peers.proxies(at: now.addingTimeInterval(PeerProxies.lifetime)).isEmpty)
    }

    @Test func aNewAnswerReplacesTheOld() {
        let peers = PeerProxies()
        peers.note(
            ["proxies": [["proxy": ["podName": "x", "namespace": "shop"], "synced": false]]], from: "a", at: now)
        peers.note(["proxies": []], from: "a", at: now)
        #expect(peers.proxies(at: now).isEmpty)
    }
}
