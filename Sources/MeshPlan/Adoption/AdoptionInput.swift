package import HeddleAPI
import KubeCore

/// Everything that an adoption decision may look at, gathered at one moment.
package struct AdoptionInput: Sendable, Hashable {
    package var now: Timestamp
    /// Of the Adoption object.
    package var generation: Int
    /// The Deployments that the selector selects, but for the ones that opted out of the mesh by their own label.
    package var workloads: [WorkloadFacts]
    /// Who calls whom; empty when not known yet.
    package var calls: [CallEdge] = []
    /// Plaintext accepted within `spec.strict.window`; nil when the metrics could not be read.
    package var plaintext: [PlaintextObservation]?
    /// Requests accepted within the same window; nil when the metrics could not be read.
    package var requests: RequestTotals?
    /// Why metrics cannot be read, as a sentence; nil when they can.
    package var metricsProblem: String?
    /// Spans that arrived from the namespace; nil when not known.
    package var tracesReceived: Int?
    package var addedLatencyP50Ms: Double?
    package var addedLatencyP99Ms: Double?
    /// Of the sidecar that uses most.
    package var proxyMemoryBytes: Int?
    /// Failed connections to each workload within the last `spec.strict.soak`, refused plaintext included; a workload that
    /// is not in it had none. Nil when not known.
    package var connectionFailures: [String: Int]?
    /// Of all requests to the namespace's services, 0 to 1.
    package var errorRatio: Double?
    package var latencyP99Ms: Double?
    /// Tries per request.
    package var retryAmplification: Double?
    /// PeerAuthentications that Heddle made, as read back.
    package var policies: [PeerPolicyIntent] = []
    /// Names of PeerAuthentications that Heddle made for workloads that no Adoption of the namespace selects any more.
    package var strayPolicies: [String] = []
    /// PeerAuthentications of others that say something about these workloads, as sentences by name.
    package var foreignPolicies: [String: String] = [:]

    package init(now: Timestamp, generation: Int = 1, workloads: [WorkloadFacts]) {
        self.now = now
        self.generation = generation
        self.workloads = workloads
    }
}

/// One Deployment and its pods.
package struct WorkloadFacts: Sendable, Hashable {
    package var name: String
    /// Labels that select its pods.
    package var selector: [String: String]
    /// Container ports that Services send to, or that containers declare.
    package var ports: [Int]
    package var desired: Int
    /// Pods that are not on their way out.
    package var podsTotal: Int
    package var podsMeshed: Int
    package var podsReady: Int
    /// All pods are of the current template and none of an older one is left.
    package var isRolloutComplete: Bool
    /// The template asks for a sidecar.
    package var isInjectionRequested: Bool
    /// `HeddleAnnotation.restartedAt` of its template: Heddle's restart is in place; nil without one.
    package var restartMark: String?
    /// Every sidecar has acknowledged its configuration.
    package var areProxiesSynced: Bool
    /// The earliest end of its pods' certificates; nil when not known.
    package var certificateNotAfter: Timestamp?
    /// Why it cannot be restarted without an interruption, as a sentence; nil when it can.
    package var restartProblem: String?

    package init(
        name: String, selector: [String: String] = [:], ports: [Int] = [], desired: Int, podsTotal: Int,
        podsMeshed: Int,
        podsReady: Int, isRolloutComplete: Bool = true, isInjectionRequested: Bool = false,
        areProxiesSynced: Bool = false,
        certificateNotAfter: Timestamp? = nil, restartProblem: String? = nil, restartMark: String? = nil
    ) {
        self.name = name
        self.selector = selector
        self.ports = ports
        self.desired = desired
        self.podsTotal = podsTotal
        self.podsMeshed = podsMeshed
        self.podsReady = podsReady
        self.isRolloutComplete = isRolloutComplete
        self.isInjectionRequested = isInjectionRequested
        self.areProxiesSynced = areProxiesSynced
        self.certificateNotAfter = certificateNotAfter
        self.restartProblem = restartProblem
        self.restartMark = restartMark
    }

    /// All of its pods are ready, and their number is right.
    package var isHealthy: Bool { isRolloutComplete && podsReady >= desired && podsTotal >= desired }
    package var isMeshed: Bool { isInjectionRequested && isRolloutComplete && podsMeshed == podsTotal }
}

/// `client` called `workload` within the window.
package struct CallEdge: Sendable, Hashable {
    /// A workload's name, or `namespace/name` in another namespace.
    package var client: String
    package var workload: String

    package init(client: String, workload: String) {
        self.client = client
        self.workload = workload
    }
}

/// Requests that a workload accepted without mutual TLS.
package struct PlaintextObservation: Sendable, Hashable {
    /// `namespace/name` of the workload where it is known, else the IP address.
    package var client: String
    package var address: String
    package var workload: String
    /// Container port.
    package var port: Int?
    package var count: Int

    package init(client: String, address: String, workload: String, port: Int?, count: Int) {
        self.client = client
        self.address = address
        self.workload = workload
        self.port = port
        self.count = count
    }
}

package struct RequestTotals: Sendable, Hashable {
    package var mutualTLS: Int
    package var plaintext: Int

    package init(mutualTLS: Int, plaintext: Int) {
        self.mutualTLS = mutualTLS
        self.plaintext = plaintext
    }
}
