package import FoundationEssentials

/// A certificate that an authority signed, with what leads from it to the root.
package struct IssuedCertificate: Sendable, Equatable {
    /// The leaf, then its issuers below the root, in PEM.
    package let chainPEM: String
    package let serial: String
    /// Backdated by `LifetimePolicy.backdating`: schedule renewals from the time of receipt, not from here.
    package let notBefore: Date
    package let notAfter: Date
}

/// A certificate for a server that is known by name, with its key.
package struct ServerCertificate: Sendable {
    package let certificate: IssuedCertificate
    package let privateKey: PrivateKey

    package var chainPEM: String { certificate.chainPEM }
    package var notAfter: Date { certificate.notAfter }
    /// The key in PEM. A log never prints it.
    package var keyPEM: String { privateKey.pem }
}
