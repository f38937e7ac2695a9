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

    @Test func aReplicaThatIsGoneIsForgottenAtOnce() {
        let peers = PeerProxies()
        peers.note(["proxies": [["proxy": ["podName": "x", "namespace": "shop"]]]], from: "a", at: now)
        peers.keep(["b"])
        #expect(peers.proxies(at: now).isEmpty)
    }

    @Test func anAnswerFromBeforeAChangeSaysNothingOfIt() {
        let peers = PeerProxies()
        #expect(peers.isSynced(since: now, at: now), "without peers there is nothing to wait for")
        func note(_ isSynced: Bool, at: Date) {
            peers.note(
                ["proxies": [["proxy": ["podName": "x", "namespace": "shop"], "synced": .bool(isSynced)]]], from: "a",
                at: at)
        }
        note(true, at: now)
        #expect(!peers.isSynced(since: now, at: now))
        note(true, at: now.addingTimeInterval(PeerProxies.lag))
        #expect(peers.isSynced(since: now, at: now.addingTimeInterval(1)))
        note(false, at: now.addingTimeInterval(2))
        #expect(!peers.isSynced(since: now, at: now.addingTimeInterval(2)))
        peers.note(["proxies": []], from: "a", at: now)
        #expect(peers.isSynced(since: now, at: now), "a replica without proxies holds nobody up")
    }

    @Test func theNewestCertificateCountsWhoeverSignedIt() throws {
        let issued = IssuedCertificates()
        let pod = ObjectKey(namespace: "shop", name: "x")
        issued.note(pod, notAfter: now.addingTimeInterval(600), now: now)
        // The page of the replica that signed; the stream, opened with an older one, is another's.
        let page = try JSONValue.parse(Array(PeerProxies.page("{\"proxies\": []}", issued: issued).utf8))
        let peers = PeerProxies()
        peers.note(page, from: "a", at: now)
        #expect(peers.certificateNotAfter(of: pod, at: now) == now.addingTimeInterval(600))
        let stream: JSONValue = [
            "proxy": ["podName": "x", "namespace": "shop", "certificateNotAfter": 1050], "synced": true,
        ]
        peers.note(["proxies": [stream]], from: "b", at: now)
        #expect(peers.certificateNotAfter(of: pod, at: now) == now.addingTimeInterval(600))
        #expect(peers.certificateNotAfter(of: ObjectKey(namespace: "shop", name: "y"), at: now) == nil)
    }

    @Test func aNewAnswerReplacesTheOld() {
        let peers = PeerProxies()
        peers.note(
            ["proxies": [["proxy": ["podName": "x", "namespace": "shop"], "synced": false]]], from: "a", at: now)
        peers.note(["proxies": []], from: "a", at: now)
        #expect(peers.proxies(at: now).isEmpty)
    }
}
