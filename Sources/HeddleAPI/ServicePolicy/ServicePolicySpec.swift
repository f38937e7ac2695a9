package import KubeCore

/// How calls of one Service behave when it is slow, failing or overloaded.
package struct ServicePolicySpec: ResourceSpec {
    package static let resource = GroupVersionResource.servicePolicies

    package enum LoadBalancing: String, Sendable, Codable, CaseIterable {
        case roundRobin = "RoundRobin"
        case leastRequest = "LeastRequest"
        case random = "Random"
    }

    /// A Service of the same namespace.
    package var service: String
    /// For a whole request, with all its tries; nil: the mesh's own.
    package var timeout: GoDuration?
    /// The first entry whose methods match counts. A method that no entry names is not retried.
    package var retries: [RetryPolicy] = []
    package var retryBudget: RetryBudget?
    package var circuitBreaker: CircuitBreaker?
    package var outlierDetection: OutlierDetection?
    /// Nil: the mesh's own.
    package var loadBalancing: LoadBalancing?

    package init(service: String) { self.service = service }
}

package enum HTTPMethod: String, Sendable, Codable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case options = "OPTIONS"
    case trace = "TRACE"
    case put = "PUT"
    case delete = "DELETE"
    case post = "POST"
    case patch = "PATCH"
    case connect = "CONNECT"
}

package struct RetryPolicy: SchemaDescribed {
    /// Empty: every method that no other entry names.
    package var methods: [HTTPMethod] = []
    /// Tries after the first; 0: none.
    package var attempts = 2
    package var perTryTimeout: GoDuration?
    /// Envoy's words: `5xx`, `connect-failure`, `reset`, `503`, ...
    package var retryOn: [String] = ["connect-failure", "refused-stream", "unavailable", "503"]

    package init(methods: [HTTPMethod] = [], attempts: Int = 2, perTryTimeout: GoDuration? = nil) {
        self.methods = methods
        self.attempts = attempts
        self.perTryTimeout = perTryTimeout
    }
}

/// Bounds retries by the traffic itself, so that they cannot multiply an outage.
package struct RetryBudget: SchemaDescribed {
    /// Of the requests in flight.
    package var percent = 20.0
    /// Retries in flight that are always allowed.
    package var minConcurrency = 3

    package init() {}
}

package struct CircuitBreaker: SchemaDescribed {
    /// Per proxy; nil: the mesh's own.
    package var maxConnections: Int?
    package var maxPendingRequests: Int?
    package var maxRequests: Int?

    package init(maxConnections: Int? = nil, maxPendingRequests: Int? = nil, maxRequests: Int? = nil) {
        self.maxConnections = maxConnections
        self.maxPendingRequests = maxPendingRequests
        self.maxRequests = maxRequests
    }
}

/// Takes an endpoint out for a while after it failed repeatedly.
package struct OutlierDetection: SchemaDescribed {
    /// 0: not counted.
    package var consecutive5xxErrors = 5
    /// 502, 503, 504 and connection failures; 0: not counted.
    package var consecutiveGatewayErrors = 0
    /// Between two sweeps.
    package var interval: GoDuration = "10s"
    /// Times the number of ejections so far.
    package var baseEjectionTime: GoDuration = "30s"
    /// Of the endpoints; at least one may always be ejected.
    package var maxEjectionPercent = 50

    package init() {}
}
