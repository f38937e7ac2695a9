import Testing

@testable import MeshIdentity

@Suite struct SPIFFEIdentityTests {
    @Test func anIdentityIsReadBackFromItsURI() throws {
        let identity = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart")
        #expect(identity.uri == "spiffe://cluster.local/ns/shop/sa/cart")
        #expect(try SPIFFEIdentity(uri: identity.uri) == identity)
    }

    @Test(arguments: [
        "", "spiffe://", "http://cluster.local/ns/a/sa/b", "spiffe://cluster.local", "spiffe://cluster.local/ns/a",
        "spiffe://cluster.local/ns/a/sa/", "spiffe://cluster.local/ns//sa/b", "spiffe://cluster.local/ns/a/sa/b/",
        "spiffe://cluster.local/sa/a/ns/b", "spiffe://Cluster.local/ns/a/sa/b", "spiffe:///ns/a/sa/b",
        "spiffe://cluster.local/ns/../sa/b", "spiffe://cluster.local/ns/a b/sa/c", "spiffe://a/ns/b/sa/c?d",
        "spiffe://a/ns/b/sa/ü",
    ])
    func aURIOfAnotherFormIsRefused(uri: String) {
        #expect(throws: IdentityError.self) { try SPIFFEIdentity(uri: uri) }
    }

    @Test func aPartThatWouldChangeThePathIsRefusedByName() {
        #expect {
            try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "a/sa/admin", serviceAccount: "b")
        } throws: { error in
            (error as? IdentityError)?.message.contains("namespace \"a/sa/admin\"") == true
        }
    }
}
