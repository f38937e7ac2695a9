/// How a client's proxy talks to a service: the meaning of a DestinationRule.
package struct DestinationPolicy: Sendable, Hashable {
    /// The object it came from, e.g. `DestinationRule shop/catalog`.
    package var source: String
    package var service: ServiceID
    package var traffic: TrafficPolicy
    package var subsets: [Subset]

    package init(source: String, service: ServiceID, traffic: TrafficPolicy = .init(), subsets: [Subset] = []) {
        self.source = source
        self.service = service
        self.traffic = traffic
        self.subsets = subsets
    }

    /// A named part of the service's endpoints.
    package struct Subset: Sendable, Hashable {
        package var name: String
        package var labels: [String: String]
        /// Overrides the service's policy, part by part.
        package var traffic: TrafficPolicy

        package init(name: String, labels: [String: String], traffic: TrafficPolicy = .init()) {
            self.name = name
            self.labels = labels
            self.traffic = traffic
        }
    }
}

/// Each part is nil where the mesh's default holds.
package struct TrafficPolicy: Sendable, Hashable {
    package enum LoadBalancing: String, Sendable, Hashable { case roundRobin, leastRequest, random, passthrough }
    package enum ClientTLS: String, Sendable, Hashable { case disable, istioMutual }

    package var loadBalancing: LoadBalancing?
    package var connectionPool: ConnectionPool?
    package var outlierDetection: OutlierDetection?
    package var retryBudget: RetryBudget?
    package var tls: ClientTLS?

    package init(
        loadBalancing: LoadBalancing? = nil, connectionPool: ConnectionPool? = nil,
        outlierDetection: OutlierDetection? = nil, retryBudget: RetryBudget? = nil,
        tls: ClientTLS? = nil
    ) {
        self.loadBalancing = loadBalancing
        self.connectionPool = connectionPool
        self.outlierDetection = outlierDetection
        self.retryBudget = retryBudget
        self.tls = tls
    }

    /// This policy, with what it leaves open taken from `base`.
    package func falling(backTo base: TrafficPolicy) -> TrafficPolicy {
        TrafficPolicy(
            loadBalancing: loadBalancing ?? base.loadBalancing, connectionPool: connectionPool ?? base.connectionPool,
            outlierDetection: outlierDetection ?? base.outlierDetection, retryBudget: retryBudget ?? base.retryBudget,
            tls: tls ?? base.tls)
    }
}

/// Retries that one proxy may have in flight, as a share of its requests in flight: an outage is not multiplied.
package struct RetryBudget: Sendable, Hashable {
    /// Of active and pending requests, 0 to 100; nil is 20.
    package var percent: Double?
    /// Retries that are always allowed; nil is 3.
    package var minConcurrency: Int?

    package init(percent: Double? = nil, minConcurrency: Int? = nil) {
        self.percent = percent
        self.minConcurrency = minConcurrency
    }
}

package struct ConnectionPool: Sendable, Hashable {
    package var maxConnections: Int?
    package var connectTimeoutSeconds: Double?
    package var maxPendingRequests: Int?
    package var maxRequests: Int?
    package var maxRequestsPerConnection: Int?
    package var maxRetries: Int?

    package init(
        maxConnections: Int? = nil, connectTimeoutSeconds: Double? = nil, maxPendingRequests: Int? = nil,
        maxRequests: Int? = nil, maxRequestsPerConnection: Int? = nil, maxRetries: Int? = nil
    ) {
        self.maxConnections = maxConnections
        self.connectTimeoutSeconds = connectTimeoutSeconds
        self.maxPendingRequests = maxPendingRequests
        self.maxRequests = maxRequests
        self.maxRequestsPerConnection = maxRequestsPerConnection
        self.maxRetries = maxRetries
    }
}

/// Passive ejection of endpoints that fail.
package struct OutlierDetection: Sendable, Hashable {
    /// 0 switches the rule off; nil is Envoy's default (5).
    package var consecutive5xxErrors: Int?
    package var consecutiveGatewayErrors: Int?
    package var intervalSeconds: Double?
    package var baseEjectionSeconds: Double?
    package var maxEjectionPercent: Int?
    /// Panic threshold: below this share of healthy endpoints ejection is ignored.
    package var minHealthPercent: Int?

    package init(
        consecutive5xxErrors: Int? = nil, consecutiveGatewayErrors: Int? = nil, intervalSeconds: Double? = nil,
        baseEjectionSeconds: Double? = nil, maxEjectionPercent: Int? = nil, minHealthPercent: Int? = nil
    ) {
        self.consecutive5xxErrors = consecutive5xxErrors
        self.consecutiveGatewayErrors = consecutiveGatewayErrors
        self.intervalSeconds = intervalSeconds
        self.baseEjectionSeconds = baseEjectionSeconds
        self.maxEjectionPercent = maxEjectionPercent
        self.minHealthPercent = minHealthPercent
    }
}
