package import FoundationEssentials
import HeddleAPI
package import MeshIdentity

/// What follows from the authority's Secret: who signs, what is trusted, and what is to be written. Pure.
///
/// The Secret is the truth that all replicas share; what a replica still has in memory (`known`) mends a Secret that is
/// gone or damaged, so that nothing in the mesh notices. Only where no replica has it any more a new root is made, and
/// whatever root can still be read stays trusted.
package struct AuthorityPlan: Sendable {
    package var trustDomain: String
    /// How long before its end a root is replaced. Standard: 90 days (a root lives for 10 years).
    package var renewBefore: Duration = .seconds(90 * 24 * 3600)
    /// How long a new root is handed out before it signs. Standard: the longest lifetime of a leaf, 7 days: by then every
    /// workload has renewed its certificate, and got the new root with it.
    package var distribution: Duration = LifetimePolicy().maximum
    /// The longest lifetime of a leaf.
    package var leafLifetime: Duration = LifetimePolicy().maximum

    package init(trustDomain: String) { self.trustDomain = trustDomain }

    package struct Outcome: Sendable {
        package var state: AuthorityState
        /// What the Secret must become; nil: it is right.
        package var write: AuthoritySecret?
        /// Why it is written, for a log.
        package var reason: String?
    }

    /// - Parameters:
    ///   - secret: Nil when there is none.
    ///   - known: What this replica last held.
    /// - Throws: `IdentityError` when a Secret that Heddle may not write holds no usable authority and none is known, or
    ///   when the trust domain breaks the grammar of SPIFFE.
    package func decide(
        _ secret: AuthoritySecret?, known: AuthorityState?, now: Date
    ) throws(IdentityError) -> Outcome {
        let known = known.flatMap { $0.authority.notAfter > now ? $0 : nil }
        guard let secret else {
            guard let known else { return try renewed(keeping: TrustBundle(), now: now, reason: "there was none") }
            return try restored(known, now: now, reason: "the Secret was gone")
        }
        let authority: CertificateAuthority
        do throws(IdentityError) {
            authority = try secret.authority(trustDomain: trustDomain, now: now)
        } catch {
            return try mended(secret, fault: error, known: known, now: now)
        }
        let roots = authority.trustBundle.merging(secret.otherRoots(now: now))
        let forgotten = (known?.bundle ?? TrustBundle()).removing(roots).pruned(at: now)
        if secret.isForeign {
            // Whoever replaces it keeps no record of the roots before: this replica does, as long as it lives.
            return Outcome(state: AuthorityState(authority: authority, bundle: roots.merging(forgotten)))
        }
        if let known, !known.authority.trustBundle.removing(roots).roots.isEmpty {
            var next = secret
            next.nextPEM = nil
            next.nextKeyPEM = nil
            next.previousPEM = try secret.otherRoots(now: now).merging(known.authority.trustBundle).pem
            next.stageSince = Timestamp(now)
            return outcome(authority, next, now: now, reason: "another authority was put there")
        }
        return try rotated(secret, authority, now: now)
    }

    // MARK: Rotation

    private func rotated(
        _ secret: AuthoritySecret, _ authority: CertificateAuthority, now: Date
    ) throws(IdentityError) -> Outcome {
        var secret = secret
        var rotation = RootRotation(stage: stage(of: secret), distribution: distribution, leafLifetime: leafLifetime)
        switch rotation.stage {
        case .stable:
            guard now >= rotationStart(of: authority) else { break }
            rotation.begin(now: now)
            try addNext(to: &secret, now: now)
            return outcome(authority, secret, now: now, reason: "its end is near: a new root is handed out")
        case .distributing:
            guard let next = nextAuthority(in: secret, now: now) else {
                try addNext(to: &secret, now: now)
                return outcome(authority, secret, now: now, reason: "the next root was damaged: another is handed out")
            }
            guard rotation.advance(now: now, isNewRootEverywhere: true) else { break }
            secret.previousPEM = try authority.trustBundle.merging(secret.previousRoots(now: now)).pem
            secret.certificatePEM = try next.certificatePEM
            secret.keyPEM = next.privateKeyPEM
            secret.issuerPEM = nil
            secret.nextPEM = nil
            secret.nextKeyPEM = nil
            secret.stageSince = Timestamp(now)
            return outcome(next, secret, now: now, reason: "the new root signs")
        case .resigning:
            if secret.stageSince == nil {
                secret.stageSince = Timestamp(now)
                return outcome(
                    authority, secret, now: now, reason: "since when the new root signs was not written down")
            }
            guard rotation.advance(now: now, isNewRootEverywhere: true) else { break }
            secret.previousPEM = nil
            secret.stageSince = nil
            return outcome(authority, secret, now: now, reason: "nothing that the old root signed can be alive")
        }
        return outcome(authority, secret, now: now, reason: nil)
    }

    private func stage(of secret: AuthoritySecret) -> RootRotation.Stage {
        // Without its start a stage begins anew: later than needed, never earlier.
        let since = secret.stageSince?.date ?? .distantFuture
        if secret.nextPEM != nil || secret.nextKeyPEM != nil { return .distributing(since: since) }
        return secret.previousPEM != nil ? .resigning(since: since) : .stable
    }

    private func rotationStart(of authority: CertificateAuthority) -> Date {
        authority.notAfter.addingTimeInterval(-seconds(renewBefore))
    }

    private func nextAuthority(in secret: AuthoritySecret, now: Date) -> CertificateAuthority? {
        guard let certificate = secret.nextPEM, let key = secret.nextKeyPEM, secret.stageSince != nil else {
            return nil
        }
        return try? CertificateAuthority(
            trustDomain: trustDomain, certificatePEM: certificate, privateKeyPEM: key, now: now)
    }

    private func addNext(to secret: inout AuthoritySecret, now: Date) throws(IdentityError) {
        let next = try CertificateAuthority.selfSigned(trustDomain: trustDomain, now: now)
        secret.nextPEM = try next.certificatePEM
        secret.nextKeyPEM = next.privateKeyPEM
        secret.stageSince = Timestamp(now)
    }

    // MARK: Mending

    private func mended(
        _ secret: AuthoritySecret, fault: IdentityError, known: AuthorityState?, now: Date
    ) throws(IdentityError) -> Outcome {
        if secret.isForeign {
            guard var known else { throw fault }
            known.problem = fault.message
            return Outcome(state: known)
        }
        if let known { return try restored(known, now: now, reason: "the Secret was damaged: \(fault.message)") }
        let readable = secret.certificatePEM.flatMap { try? TrustBundle(pem: $0) } ?? TrustBundle()
        return try renewed(
            keeping: readable.merging(secret.otherRoots(now: now)).pruned(at: now), now: now,
            reason: "it could not be used: \(fault.message)")
    }

    private func restored(_ known: AuthorityState, now: Date, reason: String) throws(IdentityError) -> Outcome {
        var secret = AuthoritySecret()
        secret.certificatePEM = try known.authority.certificatePEM
        secret.keyPEM = known.authority.privateKeyPEM
        // The stage is lost with the Secret: the other roots stay trusted for a whole stage more.
        let others = known.bundle.removing(known.authority.trustBundle).pruned(at: now)
        if !others.roots.isEmpty {
            secret.previousPEM = try others.pem
            secret.stageSince = Timestamp(now)
        }
        return outcome(known.authority, secret, now: now, reason: reason)
    }

    private func renewed(keeping roots: TrustBundle, now: Date, reason: String) throws(IdentityError) -> Outcome {
        let authority = try CertificateAuthority.selfSigned(trustDomain: trustDomain, now: now)
        var secret = AuthoritySecret()
        secret.certificatePEM = try authority.certificatePEM
        secret.keyPEM = authority.privateKeyPEM
        if !roots.roots.isEmpty {
            secret.previousPEM = try roots.pem
            secret.stageSince = Timestamp(now)
        }
        return outcome(authority, secret, now: now, reason: reason)
    }

    /// - Parameter reason: Nil when the Secret is right as it is.
    private func outcome(
        _ authority: CertificateAuthority, _ secret: AuthoritySecret, now: Date, reason: String?
    ) -> Outcome {
        var state = AuthorityState(
            authority: authority, bundle: authority.trustBundle.merging(secret.otherRoots(now: now)))
        let since = secret.stageSince?.date ?? now
        switch stage(of: secret) {
        case .stable: state.nextLook = rotationStart(of: authority)
        case .distributing: state.nextLook = since.addingTimeInterval(seconds(distribution))
        case .resigning:
            state.nextLook = since.addingTimeInterval(seconds(leafLifetime) + seconds(LifetimePolicy.backdating))
        }
        return Outcome(state: state, write: reason == nil ? nil : secret, reason: reason)
    }

    private func seconds(_ duration: Duration) -> TimeInterval { duration / .seconds(1) }
}

extension AuthoritySecret {
    fileprivate func previousRoots(now: Date) -> TrustBundle {
        (previousPEM.flatMap { try? TrustBundle(pem: $0) } ?? TrustBundle()).pruned(at: now)
    }
}
