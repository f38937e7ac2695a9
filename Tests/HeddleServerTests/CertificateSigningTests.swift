import FoundationEssentials
import KubeCore
import KubeTesting
import MeshIdentity
import Testing

@testable import HeddleServer

struct CertificateSigningTests {
    private let now = Date(timeIntervalSince1970: 1_800_000_000)
    private let authority: CertificateAuthority
    private let issued = IssuedCertificates()

    init() throws {
        authority = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: now)
    }

    private func signing(_ api: TokenCluster = TokenCluster(), authority other: CertificateAuthority? = nil)
        -> CertificateSigning
    {
        CertificateSigning(
            api: api, authority: { [authority] in other ?? authority }, issued: issued, now: { [now] in now })
    }

    private func request(for account: String = "catalog") throws -> JSONValue {
        let identity = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: account)
        return ["csr": .string(try CertificateRequest(identity: identity).csrPEM), "ttlSeconds": 3600]
    }

    private func refusal(_ token: String?, _ body: JSONValue, _ signing: CertificateSigning) async -> CertificateSigning
        .Refusal?
    {
        do throws(CertificateSigning.Refusal) {
            _ = try await signing.sign(token: token, body: body)
            return nil
        } catch {
            return error
        }
    }

    @Test func `the certificate names the token's account, whatever the request asks for`() async throws {
        let answer = try await signing().sign(token: "catalog-token", body: request(for: "admin"))
        let chain = try #require(answer["certificateChain"]?.string)
        let identity = try await authority.trustBundle.verify(chainPEM: chain, at: now)
        #expect(identity.uri == "spiffe://cluster.local/ns/shop/sa/catalog")
        #expect(try answer["trustBundle"]?.string == authority.trustBundle.pem)
        #expect(answer["notAfter"]?.string.flatMap(KubeTime.parse) == now.addingTimeInterval(3600))
    }

    @Test func `no certificate lives longer than the mesh allows, and a shorter wish is granted`() async throws {
        let limit = Duration.seconds(120)
        let signing = CertificateSigning(
            api: TokenCluster(), authority: { [authority] in authority }, issued: issued, lifetime: { limit },
            now: { [now] in now })
        let long = try await signing.sign(token: "catalog-token", body: request())
        #expect(long["notAfter"]?.string.flatMap(KubeTime.parse) == now.addingTimeInterval(120))
        var body = try request()
        body["ttlSeconds"] = nil
        let unasked = try await signing.sign(token: "catalog-token", body: body)
        #expect(unasked["notAfter"]?.string.flatMap(KubeTime.parse) == now.addingTimeInterval(120))
        body["ttlSeconds"] = 90
        let short = try await signing.sign(token: "catalog-token", body: body)
        #expect(short["notAfter"]?.string.flatMap(KubeTime.parse) == now.addingTimeInterval(90))
        #expect(issued.count == 3)
    }

    @Test func `until when a pod's certificate is valid is remembered`() async throws {
        let pod = ObjectKey(namespace: "shop", name: "catalog-1")
        #expect(issued.notAfter(of: pod) == nil)
        _ = try await signing().sign(token: "catalog-token", body: request())
        #expect(issued.notAfter(of: pod) == now.addingTimeInterval(3600))
        issued.note(
            ObjectKey(namespace: "shop", name: "b"), notAfter: now.addingTimeInterval(9000),
            now: now.addingTimeInterval(7200))
        #expect(issued.notAfter(of: pod) == nil, "lapsed ones are forgotten")
    }

    @Test(arguments: [
        (nil, 401, "no bearer token"), ("", 401, "no bearer token"), ("forged", 401, "invalid bearer token"),
        ("other-audience", 401, "another audience"), ("a-person", 403, "only service accounts"),
        ("odd", 403, "only service accounts"), ("a-node", 403, "only service accounts"),
    ])
    func `a token that proves no account of the mesh is refused`(token: String?, status: Int, words: String)
        async throws
    {
        let refusal = try #require(await refusal(token, request(), signing()))
        #expect(refusal.status == status)
        #expect(refusal.message.contains(words))
    }

    @Test func `an API server that is away is said to be, and nothing is signed`() async throws {
        var api = TokenCluster()
        api.isDown = true
        let refusal = try #require(await refusal("catalog-token", request(), signing(api)))
        #expect(refusal.status == 503)
        #expect(refusal.message.contains("connection refused"))
    }

    @Test func `a request without a usable CSR is the sender's mistake`() async throws {
        #expect(await refusal("catalog-token", [:], signing())?.status == 400)
        #expect(await refusal("catalog-token", ["csr": "-----BEGIN NONSENSE-----"], signing())?.status == 400)
    }

    @Test func `an authority that has lapsed is not the sender's mistake`() async throws {
        let old = try CertificateAuthority.selfSigned(
            trustDomain: "cluster.local", now: now.addingTimeInterval(-4000 * 86_400))
        #expect(try await refusal("catalog-token", request(), signing(authority: old))?.status == 503)
    }
}
