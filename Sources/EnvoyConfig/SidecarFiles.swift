/// The files through which a sidecar's agent hands Envoy its identity, and the secret names inside them.
///
/// The agent writes all of them; Envoy only reads. Every TLS context, in the bootstrap and in what xDS sends, names its
/// secrets through ``identitySecret`` and ``trustSecret`` with a `path_config_source`, so that no key ever crosses the
/// network. Certificates are replaced by one rename inside ``certificates``, which is the directory Envoy watches.
package struct SidecarFiles: Equatable, Sendable {
    /// Secret name of the workload's certificate and key.
    package static let identitySecret = "identity"
    /// Secret name of the trust bundle.
    package static let trustSecret = "trust"
    /// Where everything lives in a pod: a memory-backed volume shared by the agent and Envoy.
    package static let standard = SidecarFiles(root: "/run/heddle")

    package let root: String

    package init(root: String) { self.root = root }

    package var bootstrap: String { root + "/envoy.json" }
    package var certificates: String { root + "/certs" }
    package var certificateChain: String { certificates + "/cert.pem" }
    package var privateKey: String { certificates + "/key.pem" }
    package var trustBundle: String { certificates + "/root.pem" }
    package var identitySDS: String { root + "/sds/identity.json" }
    package var trustSDS: String { root + "/sds/trust.json" }

    /// The discovery response file behind ``identitySDS``.
    package var identitySecretDocument: BootstrapJSON {
        secretDocument(
            name: Self.identitySecret, kind: "tls_certificate",
            [
                "certificate_chain": ["filename": .string(certificateChain)],
                "private_key": ["filename": .string(privateKey)],
                "watched_directory": ["path": .string(certificates)],
            ])
    }

    /// The discovery response file behind ``trustSDS``.
    package var trustSecretDocument: BootstrapJSON {
        secretDocument(
            name: Self.trustSecret, kind: "validation_context",
            [
                "trusted_ca": ["filename": .string(trustBundle)],
                "watched_directory": ["path": .string(certificates)],
            ])
    }

    private func secretDocument(name: String, kind: String, _ body: BootstrapJSON) -> BootstrapJSON {
        [
            "resources": [
                [
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                    "name": .string(name),
                    kind: body,
                ]
            ]
        ]
    }
}
