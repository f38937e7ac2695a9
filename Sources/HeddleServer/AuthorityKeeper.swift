package import FoundationEssentials
import HeddleAPI
package import KubeCore
package import MeshIdentity
import MeshPlan

/// Keeps the mesh's certificate authority in a Secret, so that all replicas sign with one key, and its roots where pods
/// find them.
///
/// Every replica runs one. They agree through the Secret's resource version: whoever writes second reads again and
/// takes what the first one wrote.
package struct AuthorityKeeper: Sendable {
    package static let secretName = "heddle-ca"
    /// A pass reads and perhaps writes; another replica can come between as often as there are replicas.
    private static let passes = 8

    let api: any ClusterAPI
    let namespace: String

    package init(api: any ClusterAPI, namespace: String) {
        self.api = api
        self.namespace = namespace
    }

    /// The authority of the Secret at a replica's start; makes both when there is none, and a new authority when the
    /// Secret is damaged or has lapsed.
    package func load(trustDomain: String, now: Date) async throws -> CertificateAuthority {
        try await refresh(AuthorityPlan(trustDomain: trustDomain), known: nil, now: now).state.authority
    }

    /// Looks at the Secret, and mends it or moves a rotation on where that is due.
    ///
    /// - Parameter known: What this replica held before; nil at its start.
    /// - Returns: The state, and why the Secret was written, if it was.
    /// - Throws: `FieldError` when a Secret that Heddle may not write holds no usable authority and none is known;
    ///   `APIError` when the API server refuses.
    package func refresh(
        _ plan: AuthorityPlan, known: AuthorityState?, now: Date
    ) async throws -> (state: AuthorityState, written: String?) {
        for _ in 0..<Self.passes {
            let found = try await api.find(.secrets, namespace: namespace, name: Self.secretName)
            let outcome: AuthorityPlan.Outcome
            do throws(IdentityError) {
                outcome = try plan.decide(found.map(AuthoritySecret.init), known: known, now: now)
            } catch {
                throw FieldError(
                    path: "data",
                    message:
                        "Secret \(namespace)/\(Self.secretName) holds no usable authority: \(error.message). It is "
                        + "not Heddle's to write: put a valid CA certificate and its EC P-256 key there, or delete it")
            }
            guard let write = outcome.write else { return (outcome.state, nil) }
            let base = found ?? KubeObject(.secrets, namespace: namespace, name: Self.secretName)
            if try await isFirst(write.written(into: base), isNew: found == nil) {
                return (outcome.state, outcome.reason)
            }
        }
        throw APIError(
            code: 0, reason: "Unknown", message: "the Secret \(namespace)/\(Self.secretName) changes all the time")
    }

    /// Writes the Secret; false when another replica, or a person, was first.
    private func isFirst(_ secret: KubeObject, isNew: Bool) async throws -> Bool {
        do {
            _ = isNew ? try await api.create(.secrets, secret) : try await api.update(.secrets, secret)
            return true
        } catch {
            if error.isAlreadyExists || error.isConflict || error.isNotFound { return false }
            throw error
        }
    }

    /// Puts the root certificates into a namespace, where the sidecars' agents read them.
    package func publishRoot(of authority: CertificateAuthority, in namespace: String) async throws {
        try await publish(try authority.trustBundle.pem, in: namespace)
    }

    /// Puts root certificates, in PEM, into a namespace, where the sidecars' agents read them.
    package func publish(_ pem: String, in namespace: String) async throws {
        let current = try await api.find(.configMaps, namespace: namespace, name: SidecarInjector.rootConfigMap)
        if current?.json[path: "data", "root.pem"]?.string == pem { return }
        var map = KubeObject(.configMaps, namespace: namespace, name: SidecarInjector.rootConfigMap)
        map.json["data"] = ["root.pem": .string(pem)]
        try await api.apply(.configMaps, map, fieldManager: HeddleFieldManager.mesh, force: true)
    }
}
