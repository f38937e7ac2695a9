package import FoundationEssentials
import SwiftASN1
import X509

/// Signs the certificates of one trust domain.
///
/// It holds a certificate and its key and does no I/O: who may have which identity is decided by the caller, who also
/// brings the time.
package struct CertificateAuthority: Sendable {
    package let trustDomain: String
    package let lifetimes: LifetimePolicy
    /// The signing certificate first, then what leads from it towards a root. PEM of all is `certificatePEM`.
    let chain: [Certificate]
    private let privateKey: PrivateKey

    /// How long a new root lives: 10 years.
    package static let rootLifetime: Duration = .seconds(3650 * 24 * 3600)

    /// Makes a new root with a new EC P-256 key.
    ///
    /// - Throws: `invalidIdentity` when `trustDomain` breaks the grammar of SPIFFE.
    package static func selfSigned(
        trustDomain: String, now: Date, lifetimes: LifetimePolicy = LifetimePolicy()
    ) throws(IdentityError) -> CertificateAuthority {
        try SPIFFEIdentity.checkTrustDomain(trustDomain)
        let privateKey = PrivateKey()
        let root = try Issuer.root(
            trustDomain: trustDomain, privateKey: privateKey,
            validity: .init(now: now, end: now.addingTimeInterval(rootLifetime.inSeconds)))
        return CertificateAuthority(
            trustDomain: trustDomain, lifetimes: lifetimes, chain: [root], privateKey: privateKey)
    }

    /// Loads an authority: its certificate, followed by its own issuers when it is not a root, and its key.
    ///
    /// - Throws: `invalidCertificate` or `invalidPrivateKey` when a text cannot be read; `unusableAuthority` when the
    ///   first certificate is no CA, has lapsed at `now`, or belongs to another key.
    package init(
        trustDomain: String, certificatePEM: String, privateKeyPEM: String, now: Date,
        lifetimes: LifetimePolicy = LifetimePolicy()
    ) throws(IdentityError) {
        try SPIFFEIdentity.checkTrustDomain(trustDomain)
        let chain = try PEM.certificates(certificatePEM, what: "authority's certificate")
        let privateKey = try PrivateKey(pem: privateKeyPEM)
        let signer = chain[0]
        guard signer.publicKey == privateKey.certificateKey.publicKey else {
            throw IdentityError(.unusableAuthority, "authority: the private key does not belong to the certificate")
        }
        guard case .isCertificateAuthority = (try? signer.extensions.basicConstraints) ?? .notCertificateAuthority
        else {
            throw IdentityError(
                .unusableAuthority,
                "authority: the certificate (\(signer.subject)) is not a CA: basicConstraints lacks CA:TRUE")
        }
        guard signer.notValidAfter > now else {
            throw IdentityError(.unusableAuthority, "authority: the certificate lapsed at \(signer.notValidAfter)")
        }
        self.init(trustDomain: trustDomain, lifetimes: lifetimes, chain: chain, privateKey: privateKey)
    }

    private init(trustDomain: String, lifetimes: LifetimePolicy, chain: [Certificate], privateKey: PrivateKey) {
        self.trustDomain = trustDomain
        self.lifetimes = lifetimes
        self.chain = chain
        self.privateKey = privateKey
    }

    /// The signing certificate and its issuers in PEM, as `init(trustDomain:certificatePEM:…)` reads them.
    package var certificatePEM: String {
        get throws(IdentityError) { try PEM.text(chain) }
    }

    /// The key in PEM, for the Secret that keeps the authority. A log never prints it.
    package var privateKeyPEM: String { privateKey.pem }

    /// What verifies this authority's certificates: the last certificate of its chain.
    package var trustBundle: TrustBundle { TrustBundle(roots: Array(chain.suffix(1))) }

    /// When the signing certificate lapses.
    package var notAfter: Date { chain[0].notValidAfter }

    /// Signs a workload's request.
    ///
    /// Of the request only the key counts: whatever names or extensions it asks for are ignored, and the certificate
    /// carries `identity` alone.
    ///
    /// - Parameters:
    ///   - ttl: The wished lifetime, clamped to `lifetimes` and to the authority's own end; nil for the standard one.
    /// - Throws: `invalidRequest` when the request cannot be read or its sender does not hold the key;
    ///   `invalidIdentity` when `identity` is of another trust domain; `unusableAuthority` when the authority has
    ///   lapsed.
    package func sign(
        csrPEM: String, identity: SPIFFEIdentity, ttl: Duration? = nil, now: Date
    ) throws(IdentityError) -> IssuedCertificate {
        guard identity.trustDomain == trustDomain else {
            throw IdentityError(
                .invalidIdentity, "\(identity) is not of this authority's trust domain \"\(trustDomain)\"")
        }
        let publicKey = try CertificateRequest.verifiedPublicKey(csrPEM: csrPEM)
        return try issue(
            to: publicKey, names: [.uniformResourceIdentifier(identity.uri)], usages: [.serverAuth, .clientAuth],
            ttl: ttl,
            now: now)
    }

    /// Makes a key and a certificate for a server that is known by name, such as the operator's own ports.
    ///
    /// - Parameters:
    ///   - dnsNames: The names that clients dial; at least one name or address.
    ///   - ipAddresses: IPv4 or IPv6 addresses that clients dial.
    package func serverCertificate(
        dnsNames: [String], ipAddresses: [String] = [], ttl: Duration? = nil, now: Date
    ) throws(IdentityError) -> ServerCertificate {
        var names: [GeneralName] = dnsNames.map { .dnsName($0) }
        for address in ipAddresses {
            guard let bytes = IPAddressBytes(address) else {
                throw IdentityError(.invalidIdentity, "server certificate: \"\(address)\" is not an IP address")
            }
            names.append(.ipAddress(ASN1OctetString(contentBytes: bytes.bytes[...])))
        }
        guard !names.isEmpty else {
            throw IdentityError(.invalidIdentity, "server certificate: give at least one DNS name or IP address")
        }
        let key = PrivateKey()
        let issued = try issue(
            to: key.certificateKey.publicKey, names: names, usages: [.serverAuth], ttl: ttl, now: now)
        return ServerCertificate(certificate: issued, privateKey: key)
    }

    private func issue(
        to publicKey: Certificate.PublicKey, names: [GeneralName], usages: [ExtendedKeyUsage.Usage], ttl: Duration?,
        now: Date
    ) throws(IdentityError) -> IssuedCertificate {
        guard notAfter > now else {
            throw IdentityError(.unusableAuthority, "authority: its certificate lapsed at \(notAfter); rotate the root")
        }
        let end = lifetimes.end(for: ttl, now: now, limit: notAfter)
        let leaf = try Issuer.leaf(
            publicKey: publicKey, names: names, usages: usages, issuer: chain[0], issuerKey: privateKey,
            validity: .init(now: now, end: end))
        // A root is left out of the chain: who trusts it has it.
        let issuers = chain.count == 1 ? [] : chain.dropLast()
        return IssuedCertificate(
            chainPEM: try PEM.text([leaf] + issuers), serial: leaf.serialNumber.description,
            notBefore: leaf.notValidBefore, notAfter: leaf.notValidAfter)
    }
}

extension CertificateAuthority: CustomStringConvertible {
    package var description: String { "CertificateAuthority(\(trustDomain), until \(notAfter), key [redacted])" }
}
