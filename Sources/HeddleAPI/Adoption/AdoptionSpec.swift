package import KubeCore

/// How the workloads of one namespace enter the mesh.
package struct AdoptionSpec: ResourceSpec {
    package static let resource = GroupVersionResource.adoptions

    package enum Approval: String, Sendable, Codable, CaseIterable {
        case automatic = "Automatic"
        case manual = "Manual"
    }

    /// Over the labels of the namespace's Deployments; empty selects all.
    package var selector = LabelSelector()
    /// The phase to reach; never `pending`.
    package var targetPhase = AdoptionPhase.observe
    package var approval = Approval.automatic
    /// With `Manual`: the furthest phase that a person has approved.
    package var approvedPhase: AdoptionPhase?
    /// Holds everything where it is.
    package var paused = false
    package var batch = AdoptionBatch()
    package var observe = ObserveGates()
    package var strict = StrictGates()
    package var resilience = ResilienceGates()
    package var traffic = TrafficGates()
    package var exceptions: [AdoptionException] = []
    /// Longest time that a phase may take before the Adoption reports itself as stuck; nil for no limit.
    package var phaseDeadline: GoDuration?

    package init() {}
}

/// How many workloads change at once.
package struct AdoptionBatch: SchemaDescribed {
    package var maxWorkloads = 1
    /// Between the end of a batch and the start of the next.
    package var pause: GoDuration = "10s"
    /// Longest time for one workload to become ready after a restart; then it is stepped back.
    package var workloadDeadline: GoDuration = "5m"

    package init() {}
}

/// What lets the Observe phase end.
package struct ObserveGates: SchemaDescribed {
    /// Time that all gates must hold.
    package var soak: GoDuration = "10m"
    /// Highest latency that the mesh may add to the 99th percentile, per hop.
    package var maxAddedLatencyP99: GoDuration = "10ms"
    /// Highest memory of one sidecar.
    package var maxProxyMemory: Quantity = "150Mi"
    /// Traces must arrive too, not only metrics.
    package var requireTraces = false

    package init() {}
}

/// What lets the Strict phase start and end.
package struct StrictGates: SchemaDescribed {
    /// Time without plaintext from clients that have no exception.
    package var window: GoDuration = "168h"
    /// Time after each step before the next.
    package var soak: GoDuration = "10m"
    /// Failed connections to a workload, after it became strict and beyond what it had before, that undo the step.
    package var maxConnectionFailures = 0
    /// Certificates must be valid for at least this long.
    package var minCertificateValidity: GoDuration = "1h"

    package init() {}
}

/// What lets the Resilience phase end.
package struct ResilienceGates: SchemaDescribed {
    package var soak: GoDuration = "10m"
    /// Highest rise of the error ratio (0 to 1) over the phase's baseline.
    package var maxErrorRatioIncrease = 0.01
    /// Highest ratio of tries to requests.
    package var retryAmplificationMax = 1.2

    package init() {}
}

/// What the Traffic phase watches. It is the end state: there is nothing to advance to.
package struct TrafficGates: SchemaDescribed {
    /// Regressions after this time in the phase are reported and step nothing back.
    package var soak: GoDuration = "0s"

    package init() {}
}

/// A client that may go on speaking plaintext to a workload, with the person who answers for it and an end.
package struct AdoptionException: SchemaDescribed {
    /// A workload (`name` or `namespace/name`) or an IP address.
    package var client: String
    /// The workload that the client may call; nil for all of the Adoption.
    package var workload: String?
    /// The container port; nil for all.
    package var port: Int?
    package var owner: String
    package var reason: String
    /// The last day (`2026-12-31`, UTC) on which it holds.
    package var expires: String

    package init(
        client: String, workload: String? = nil, port: Int? = nil, owner: String, reason: String, expires: String
    ) {
        self.client = client
        self.workload = workload
        self.port = port
        self.owner = owner
        self.reason = reason
        self.expires = expires
    }
}
