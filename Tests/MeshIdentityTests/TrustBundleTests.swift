import Foundation
import Testing

@testable import MeshIdentity

@Suite struct TrustBundleTests {
    let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func authority() throws -> CertificateAuthority {
        try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: now)
    }

    @Test func aBundleIsReadBackFromItsPEMWithoutDoubles() throws {
        let first = try authority().trustBundle
        let second = try authority().trustBundle
        let both = first.merging(second).merging(first)
        #expect(both.roots.count == 2)
        #expect(try TrustBundle(pem: both.pem) == both)
        #expect(both.removing(first) == second)
    }

    @Test func rootsThatLapsedArePruned() throws {
        let old = try authority()
        let later = old.notAfter.addingTimeInterval(1)
        let young = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: later)
        #expect(old.trustBundle.merging(young.trustBundle).pruned(at: later) == young.trustBundle)
    }

    @Test func anErrorSaysWhichBlockIsWrong() throws {
        let good = try authority().certificatePEM
        let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        #expect { try TrustBundle(pem: "") } throws: { "\($0)" == "trust bundle: no CERTIFICATE block in it" }
        #expect { try TrustBundle(pem: good + bad) } throws: { "\($0)".hasPrefix("trust bundle: certificate 2 of 2") }
        #expect {
            try TrustBundle(pem: good + PrivateKey().pem)
        } throws: { "\($0)" == "trust bundle: block 2 of 2 is a PRIVATE KEY, not a CERTIFICATE" }
    }

    @Test func aChainOfAnotherAuthorityOrAnotherTimeDoesNotVerify() async throws {
        let mine = try authority()
        let other = try authority()
        let cart = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart")
        let request = try CertificateRequest(identity: cart)
        let issued = try other.sign(csrPEM: request.csrPEM, identity: cart, ttl: .seconds(60), now: now)
        await #expect(throws: IdentityError.self) {
            try await mine.trustBundle.verify(chainPEM: issued.chainPEM, at: now)
        }
        await #expect(throws: IdentityError.self) {
            try await other.trustBundle.verify(chainPEM: issued.chainPEM, at: now.addingTimeInterval(61))
        }
        let both = mine.trustBundle.merging(other.trustBundle)
        #expect(try await both.verify(chainPEM: issued.chainPEM, at: now) == cart)
    }

    @Test func duringARotationEveryLeafVerifiesAtEveryStage() async throws {
        let old = try authority()
        let new = try authority()
        let cart = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart")
        let request = try CertificateRequest(identity: cart)
        var rotation = RootRotation(distribution: .seconds(600), leafLifetime: .seconds(3600))
        rotation.begin(now: now)
        var bundles = [old.trustBundle]
        var chains = [try old.sign(csrPEM: request.csrPEM, identity: cart, ttl: .seconds(3600), now: now)]
        var stages = 0
        for minute in stride(from: 5, through: 90, by: 5) {
            let time = now.addingTimeInterval(Double(minute) * 60)
            if rotation.advance(now: time, isNewRootEverywhere: minute > 5) { stages += 1 }
            let bundle = rotation.stage == .stable ? new.trustBundle : old.trustBundle.merging(new.trustBundle)
            bundles.append(bundle)
            let signer = rotation.isNewRootSigning || rotation.stage == .stable ? new : old
            chains.append(try signer.sign(csrPEM: request.csrPEM, identity: cart, ttl: .seconds(3600), now: time))
            // A workload may hold a bundle that is five minutes old, and any leaf that has not lapsed.
            let seen = [bundle, bundles[bundles.count - 2]]
            for chain in chains where chain.notAfter > time {
                for bundle in seen { _ = try await bundle.verify(chainPEM: chain.chainPEM, at: time) }
            }
        }
        #expect(stages == 2)
        #expect(rotation.stage == .stable)
    }

    @Test func aRotationWaitsUntilTheNewRootIsEverywhere() {
        var rotation = RootRotation(distribution: .seconds(10), leafLifetime: .seconds(10))
        rotation.begin(now: now)
        let early = rotation.advance(now: now.addingTimeInterval(1000), isNewRootEverywhere: false)
        #expect(!early)
        #expect(!rotation.isNewRootSigning)
        let ready = rotation.advance(now: now.addingTimeInterval(1000), isNewRootEverywhere: true)
        #expect(ready)
        #expect(rotation.isNewRootSigning)
    }
}
