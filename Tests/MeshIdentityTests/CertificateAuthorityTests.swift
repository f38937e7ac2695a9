import Crypto
import Foundation
import SwiftASN1
import Testing
@_spi(FixedExpiryValidationTime) import X509

@testable import MeshIdentity

@Suite struct CertificateAuthorityTests {
    let now = Date(timeIntervalSince1970: 1_800_000_000)
    let cart: SPIFFEIdentity
    let authority: CertificateAuthority

    init() throws {
        cart = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart")
        authority = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: now)
    }

    private func leaf(_ issued: IssuedCertificate) throws -> Certificate {
        try #require(PEM.certificates(issued.chainPEM, what: "chain").first)
    }

    @Test func aSignedRequestVerifiesAgainstTheBundleAndCarriesTheIdentity() async throws {
        let request = try CertificateRequest(identity: cart)
        let issued = try authority.sign(csrPEM: request.csrPEM, identity: cart, now: now)
        let found = try await authority.trustBundle.verify(chainPEM: issued.chainPEM, at: now)
        #expect(found == cart)
        #expect(try leaf(issued).publicKey == request.privateKey.certificateKey.publicKey)
    }

    @Test func theLeafHasTheUsagesOfAWorkload() throws {
        let request = try CertificateRequest(identity: cart)
        let leaf = try leaf(authority.sign(csrPEM: request.csrPEM, identity: cart, now: now))
        #expect(try leaf.extensions.basicConstraints == .notCertificateAuthority)
        #expect(try leaf.extensions.keyUsage == KeyUsage(digitalSignature: true))
        let usages = try #require(try leaf.extensions.extendedKeyUsage)
        #expect(Array(usages) == [.serverAuth, .clientAuth])
        #expect(leaf.extensions[oid: .X509ExtensionID.subjectAlternativeName]?.critical == true)
        let authorityKey = try leaf.extensions.authorityKeyIdentifier?.keyIdentifier
        let signerKey = try authority.chain[0].extensions.subjectKeyIdentifier?.keyIdentifier
        #expect(authorityKey == signerKey)
    }

    @Test func namesThatARequestAsksForAreIgnored() throws {
        let key = PrivateKey()
        let greedy = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { CommonName("admin") }, privateKey: key.certificateKey,
            attributes: .init([
                .init(
                    ExtensionRequest(
                        extensions: Certificate.Extensions {
                            BasicConstraints.isCertificateAuthority(maxPathLength: nil)
                            SubjectAlternativeNames([
                                .uniformResourceIdentifier("spiffe://cluster.local/ns/kube-system/sa/admin"),
                                .dnsName("heddle-operator.heddle-system.svc"),
                            ])
                        }))
            ]))
        let issued = try authority.sign(csrPEM: greedy.serializeAsPEM().pemString, identity: cart, now: now)
        let leaf = try leaf(issued)
        let names = try #require(try leaf.extensions.subjectAlternativeNames)
        #expect(Array(names) == [.uniformResourceIdentifier(cart.uri)])
        #expect(leaf.subject.isEmpty)
        #expect(try leaf.extensions.basicConstraints == .notCertificateAuthority)
    }

    @Test func aRequestSignedByAnotherKeyIsRefused() throws {
        let mine = PrivateKey()
        let other = PrivateKey()
        let honest = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName(), privateKey: other.certificateKey, attributes: .init([]))
        let forged = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName(), publicKey: mine.certificateKey.publicKey, attributes: .init([]),
            signatureAlgorithm: .ecdsaWithSHA256, signature: honest.signature)
        let pem = try forged.serializeAsPEM().pemString
        #expect {
            try authority.sign(csrPEM: pem, identity: cart, now: now)
        } throws: { error in
            let error = error as? IdentityError
            return error?.code == .invalidRequest && error?.message.contains("signature does not match") == true
        }
    }

    @Test func aKeyOfAnotherKindIsRefused() throws {
        let key = Certificate.PrivateKey(Curve25519.Signing.PrivateKey())
        let request = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName(), privateKey: key, attributes: .init([]))
        let pem = try request.serializeAsPEM().pemString
        #expect {
            try authority.sign(csrPEM: pem, identity: cart, now: now)
        } throws: { "\($0)".contains("use EC P-256 or P-384") }
    }

    @Test(arguments: ["", "hello", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"])
    func textThatIsNoRequestIsNamedAsSuch(text: String) {
        #expect {
            try authority.sign(csrPEM: text, identity: cart, now: now)
        } throws: { "\($0)".hasPrefix("certificate request: not a CERTIFICATE REQUEST in PEM") }
    }

    @Test func anIdentityOfAnotherTrustDomainIsRefused() throws {
        let stranger = try SPIFFEIdentity(trustDomain: "elsewhere", namespace: "shop", serviceAccount: "cart")
        let request = try CertificateRequest(identity: stranger)
        #expect(throws: IdentityError.self) {
            try authority.sign(csrPEM: request.csrPEM, identity: stranger, now: now)
        }
    }

    @Test(
        arguments: [
            (nil, 86_400.0), (.seconds(3600), 3600), (.seconds(1), 60), (.seconds(-5), 60),
            (.seconds(365 * 86_400), 7 * 86_400),
        ] as [(Duration?, Double)])
    func theLifetimeIsClamped(wish: Duration?, granted: Double) throws {
        let request = try CertificateRequest(identity: cart)
        let issued = try authority.sign(csrPEM: request.csrPEM, identity: cart, ttl: wish, now: now)
        #expect(issued.notAfter == now.addingTimeInterval(granted))
        #expect(issued.notBefore == now.addingTimeInterval(-60))
    }

    @Test func aLeafNeverOutlivesItsAuthority() throws {
        let late = authority.notAfter.addingTimeInterval(-600)
        let request = try CertificateRequest(identity: cart)
        #expect(try authority.sign(csrPEM: request.csrPEM, identity: cart, now: late).notAfter == authority.notAfter)
        let after = authority.notAfter
        #expect {
            try authority.sign(csrPEM: request.csrPEM, identity: cart, now: after)
        } throws: { ($0 as? IdentityError)?.code == .unusableAuthority }
    }

    @Test func anAuthorityThatWasSavedSignsAgain() async throws {
        let loaded = try CertificateAuthority(
            trustDomain: "cluster.local", certificatePEM: authority.certificatePEM,
            privateKeyPEM: authority.privateKeyPEM,
            now: now)
        let request = try CertificateRequest(identity: cart)
        let issued = try loaded.sign(csrPEM: request.csrPEM, identity: cart, now: now)
        #expect(try await authority.trustBundle.verify(chainPEM: issued.chainPEM, at: now) == cart)
    }

    @Test func anAuthorityWithTheKeyOfAnotherIsRefused() throws {
        let other = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: now)
        #expect {
            try CertificateAuthority(
                trustDomain: "cluster.local", certificatePEM: authority.certificatePEM,
                privateKeyPEM: other.privateKeyPEM,
                now: now)
        } throws: { "\($0)".contains("does not belong to the certificate") }
    }

    @Test func aLeafIsNoAuthority() throws {
        let server = try authority.serverCertificate(dnsNames: ["a.b"], now: now)
        #expect {
            try CertificateAuthority(
                trustDomain: "cluster.local", certificatePEM: server.chainPEM, privateKeyPEM: server.keyPEM, now: now)
        } throws: { "\($0)".contains("is not a CA") }
    }

    @Test func aServerCertificateHasItsNamesAndAddresses() async throws {
        let server = try authority.serverCertificate(
            dnsNames: ["heddle-operator.heddle-system.svc"], ipAddresses: ["127.0.0.1"], ttl: .seconds(3600), now: now)
        let leaf = try leaf(server.certificate)
        for name in ["heddle-operator.heddle-system.svc", "other.svc"] {
            var verifier = Verifier(rootCertificates: CertificateStore(authority.trustBundle.roots)) {
                RFC5280Policy(fixedExpiryValidationTime: now)
                ServerIdentityPolicy(serverHostname: name, serverIP: nil)
            }
            let result = await verifier.validate(leaf: leaf, intermediates: CertificateStore())
            if case .validCertificate = result {
                #expect(name == "heddle-operator.heddle-system.svc")
            } else {
                #expect(name == "other.svc")
            }
        }
        #expect(throws: IdentityError.self) { try authority.serverCertificate(dnsNames: [], now: now) }
        #expect(throws: IdentityError.self) {
            try authority.serverCertificate(dnsNames: [], ipAddresses: ["300.1.1.1"], now: now)
        }
    }

    @Test func aKeyNeverPrintsItself() throws {
        let key = PrivateKey()
        let secret = key.pem.split(separator: "\n")[1]
        var dumped = ""
        dump(authority, to: &dumped)
        dump(key, to: &dumped)
        let texts = ["\(key)", String(reflecting: key), "\(authority)", String(reflecting: authority), dumped]
        for text in texts { #expect(!text.contains(secret)) }
        #expect("\(key)" == "[redacted]")
        #expect("\(try CertificateRequest(identity: cart, privateKey: key))".contains("[redacted]"))
        #expect {
            try PrivateKey(pem: "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----")
        } throws: { "\($0)".hasPrefix("private key: not an EC P-256 key") && !"\($0)".contains("c2VjcmV0") }
    }
}
