/// Who the names and addresses in a mesh's metrics are, for one Adoption at one moment.
package struct MetricNames: Sendable, Hashable {
    /// The Adoption's.
    package var namespace: String
    /// The Adoption's workloads by the label `app` of their pods.
    package var workloadByApp: [String: String]
    /// Apps of the namespace that the Adoption does not select.
    package var otherApps: Set<String>
    /// `namespace/name` of workloads by the addresses of their living pods.
    package var clientByAddress: [String: String]
    /// The Adoption's workloads behind each Service of the namespace.
    package var workloadsByService: [String: [String]]

    package init(
        namespace: String, workloadByApp: [String: String] = [:], otherApps: Set<String> = [],
        clientByAddress: [String: String] = [:], workloadsByService: [String: [String]] = [:]
    ) {
        self.namespace = namespace
        self.workloadByApp = workloadByApp
        self.otherApps = otherApps
        self.clientByAddress = clientByAddress
        self.workloadsByService = workloadsByService
    }

    /// - Parameter service: as in `destination_service`: `name.namespace`, or a longer host name.
    func workloads(ofDestination service: String?) -> [String] {
        let parts = (service ?? "").split(separator: ".")
        guard let name = parts.first, parts.count < 2 || parts[1] == namespace else { return [] }
        return workloadsByService[String(name)] ?? []
    }
}
