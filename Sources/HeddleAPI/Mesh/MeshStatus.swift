package import KubeCore

package struct MeshStatus: SchemaDescribed {
    package struct Proxies: SchemaDescribed {
        /// With an open stream to any replica of the operator.
        package var connected = 0
        /// That acknowledged their newest configuration.
        package var synced = 0

        package init() {}
    }
    package struct CertificateAuthority: SchemaDescribed {
        /// End of the signing certificate.
        package var notAfter: Timestamp?

        package init() {}
    }

    package var observedGeneration = 0
    package var proxies = Proxies()
    package var certificateAuthority = CertificateAuthority()
    package var conditions: [Condition] = []

    package init() {}
}
