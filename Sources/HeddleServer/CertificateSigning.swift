package import FoundationEssentials
package import KubeCore
package import MeshIdentity
import MeshPlan

/// Signs workload certificates: the pod proves who it is with its projected service-account token, which the API server
/// checks. The certificate names the token's service account, whatever the request asks for.
package struct CertificateSigning: Sendable {
    /// Why a request is refused: an HTTP status and a sentence.
    package struct Refusal: Error, Sendable, Equatable {
        package var status: Int
        package var message: String
    }

    let api: any ClusterAPI
    let authority: @Sendable () -> CertificateAuthority
    let roots: @Sendable () -> String?
    let issued: IssuedCertificates
    let lifetime: @Sendable () -> Duration?
    let now: @Sendable () -> Date

    /// - Parameters:
    ///   - roots: What the caller is to trust, in PEM: more than the authority's own root while that is being replaced;
    ///     nil for that one alone.
    ///   - issued: is told of every certificate that is signed for a pod.
    ///   - lifetime: the longest life of a certificate, whatever the request asks for; nil: the authority's own bounds.
    package init(
        api: any ClusterAPI, authority: @escaping @Sendable () -> CertificateAuthority,
        roots: @escaping @Sendable () -> String? = { nil },
        issued: IssuedCertificates = IssuedCertificates(), lifetime: @escaping @Sendable () -> Duration? = { nil },
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.api = api
        self.authority = authority
        self.roots = roots
        self.issued = issued
        self.lifetime = lifetime
        self.now = now
    }

    /// - Parameters:
    ///   - token: from the `Authorization: Bearer` header.
    ///   - body: `{"csr": PEM, "ttlSeconds": n}`.
    /// - Returns: `{"certificateChain": PEM, "trustBundle": PEM, "notAfter": RFC 3339}`.
    package func sign(token: String?, body: JSONValue) async throws(Refusal) -> JSONValue {
        guard let token, !token.isEmpty else {
            throw Refusal(status: 401, message: "the request carries no bearer token; send the pod's projected token")
        }
        guard let csr = body["csr"]?.string else {
            throw Refusal(status: 400, message: "the field csr (PEM) is required")
        }
        let (account, pod) = try await caller(of: token)
        let authority = authority()
        do throws(IdentityError) {
            let identity = try SPIFFEIdentity(
                trustDomain: authority.trustDomain, namespace: account.namespace, serviceAccount: account.name)
            let wish = body["ttlSeconds"]?.int.map { Duration.seconds($0) }
            let ttl = [wish, lifetime()].compactMap { $0 }.min()
            let certificate = try authority.sign(csrPEM: csr, identity: identity, ttl: ttl, now: now())
            let bundle = if let roots = roots() { roots } else { try authority.trustBundle.pem }
            issued.note(pod, notAfter: certificate.notAfter, now: now())
            return [
                "certificateChain": .string(certificate.chainPEM), "trustBundle": .string(bundle),
                "notAfter": .string(KubeTime.format(certificate.notAfter)),
            ]
        } catch {
            // A lapsed authority is no fault of the pod's.
            let isRequest = error.code == .invalidRequest || error.code == .invalidIdentity
            throw Refusal(status: isRequest ? 400 : 503, message: error.message)
        }
    }

    /// The service account that a token is for, and the pod that it is bound to.
    private func caller(of token: String) async throws(Refusal) -> (account: ObjectKey, pod: ObjectKey?) {
        let review: JSONValue
        do {
            review = try await api.perform(
                APIRequest(
                    .create, .tokenReviews,
                    body: [
                        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                        "spec": ["token": .string(token), "audiences": [.string(SidecarInjector.tokenAudience)]],
                    ]))
        } catch {
            throw Refusal(status: 503, message: "the token cannot be checked just now: \(error)")
        }
        let status = review["status"]
        guard status?["authenticated"]?.bool == true else {
            let why = status?["error"]?.string ?? "it is not valid for the audience \(SidecarInjector.tokenAudience)"
            throw Refusal(status: 401, message: "the token is refused: \(why)")
        }
        let audiences = status?["audiences"]?.array?.compactMap(\.string) ?? []
        guard audiences.contains(SidecarInjector.tokenAudience) else {
            throw Refusal(
                status: 401, message: "the token is for another audience than \(SidecarInjector.tokenAudience)")
        }
        let parts = (status?[path: "user", "username"]?.string ?? "").split(separator: ":").map(String.init)
        guard parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount" else {
            throw Refusal(status: 403, message: "only service accounts get certificates")
        }
        let pod = status?[path: "user", "extra", "authentication.kubernetes.io/pod-name"]?[0]?.string
        return (ObjectKey(namespace: parts[2], name: parts[3]), pod.map { ObjectKey(namespace: parts[2], name: $0) })
    }
}
