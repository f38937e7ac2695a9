package import FoundationEssentials
import HeddleAPI
package import KubeCore
package import MeshIdentity
import MeshPlan

/// Keeps the mesh's certificate authority in a Secret, so that all replicas sign with one key, and its root where pods
/// find it.
package struct AuthorityKeeper: Sendable {
    package static let secretName = "heddle-ca"
    private static let certificateKey = "tls.crt"
    private static let privateKeyKey = "tls.key"

    let api: any ClusterAPI
    let namespace: String

    package init(api: any ClusterAPI, namespace: String) {
        self.api = api
        self.namespace = namespace
    }

    /// The authority of the Secret; makes both when there is none. Of replicas that start at once, the first to create the
    /// Secret decides.
    package func load(trustDomain: String, now: Date) async throws -> CertificateAuthority {
        for _ in 0..<5 {
            if let secret = try await api.find(.secrets, namespace: namespace, name: Self.secretName) {
                return try read(secret, trustDomain: trustDomain, now: now)
            }
            let authority = try CertificateAuthority.selfSigned(trustDomain: trustDomain, now: now)
            var secret = KubeObject(.secrets, namespace: namespace, name: Self.secretName)
            secret.json["type"] = "kubernetes.io/tls"
            secret.json["data"] = [
                Self.certificateKey: .string(Base64.encode(try authority.certificatePEM)),
                Self.privateKeyKey: .string(Base64.encode(authority.privateKeyPEM)),
            ]
            if try await isFirst(secret) { return authority }
        }
        throw APIError(
            code: 0, reason: "Unknown", message: "the Secret \(namespace)/\(Self.secretName) appears and vanishes")
    }

    /// Creates the Secret; false when another replica was first.
    private func isFirst(_ secret: KubeObject) async throws -> Bool {
        do {
            _ = try await api.create(.secrets, secret)
            return true
        } catch {
            if error.isAlreadyExists { return false }
            throw error
        }
    }

    /// Puts the root certificates into a namespace, where the sidecars' agents read them.
    package func publishRoot(of authority: CertificateAuthority, in namespace: String) async throws {
        let pem = try authority.trustBundle.pem
        let current = try await api.find(.configMaps, namespace: namespace, name: SidecarInjector.rootConfigMap)
        if current?.json[path: "data", "root.pem"]?.string == pem { return }
        var map = KubeObject(.configMaps, namespace: namespace, name: SidecarInjector.rootConfigMap)
        map.json["data"] = ["root.pem": .string(pem)]
        try await api.apply(.configMaps, map, fieldManager: HeddleFieldManager.mesh, force: true)
    }

    private func read(_ secret: KubeObject, trustDomain: String, now: Date) throws -> CertificateAuthority {
        let certificate = try text(Self.certificateKey, of: secret)
        let key = try text(Self.privateKeyKey, of: secret)
        do throws(IdentityError) {
            return try CertificateAuthority(
                trustDomain: trustDomain, certificatePEM: certificate, privateKeyPEM: key, now: now)
        } catch {
            throw FieldError(
                path: "data",
                message:
                    "Secret \(secret.key) holds no usable authority: \(error.message). Put a valid certificate and key "
                    + "there, or delete the Secret to have a new authority made")
        }
    }

    private func text(_ key: String, of secret: KubeObject) throws -> String {
        guard let text = secret.json["data"]?[key]?.string.flatMap(Base64.decodeText) else {
            throw FieldError(
                path: "data[\(key)]",
                message: "Secret \(secret.key) has no such text; delete the Secret to have a new authority made")
        }
        return text
    }
}
