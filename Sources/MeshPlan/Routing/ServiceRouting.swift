package import HeddleAPI
import KubeCore
package import MeshModel

/// What the mesh objects of one Service have to say, composed of everything in Heddle that has a say in it: its
/// ServicePolicy and the split of a release. One composer, since a mesh knows one route a host.
///
/// With neither there is nothing to say: at rest no route depends on Heddle.
package struct ServiceRouting: Sendable, Hashable {
    /// The traffic split of a release between two sets of pods, told apart by `pod-template-hash`.
    package struct Split: Sendable, Hashable {
        package var stableHash: String
        package var canaryHash: String
        /// 0 to 100.
        package var canaryWeightPercent: Int

        package init(stableHash: String, canaryHash: String, canaryWeightPercent: Int) {
            self.stableHash = stableHash
            self.canaryHash = canaryHash
            self.canaryWeightPercent = min(max(canaryWeightPercent, 0), 100)
        }
    }

    package static let stableSubset = "stable"
    package static let canarySubset = "canary"
    private static let hashLabel = HeddleLabel.podTemplateHash

    package var service: ServiceID
    package var policy: ServicePolicySpec?
    package var split: Split?

    package init(service: ServiceID, policy: ServicePolicySpec? = nil, split: Split? = nil) {
        self.service = service
        self.policy = policy
        self.split = split
    }

    /// Nil when the service's default route says the same.
    package var route: TrafficRoute? {
        let timeout = policy?.timeout?.seconds
        let retries = policy?.retries ?? []
        guard split != nil || timeout != nil || policy?.retries.isEmpty == false else { return nil }
        var rules = retries.enumerated().map { index, retry in
            RouteRule(
                name: "retries-\(index)",
                matches: retry.methods.map { RequestMatch(method: .exact($0.rawValue)) }, destinations: destinations,
                timeoutSeconds: timeout, retries: Self.policy(retry))
        }
        if !retries.contains(where: \.methods.isEmpty) {
            // A policy that lists methods says that others are not retried; one without retries leaves the mesh's default.
            rules.append(
                RouteRule(
                    name: "default", destinations: destinations, timeoutSeconds: timeout,
                    retries: retries.isEmpty ? nil : MeshModel.RetryPolicy(attempts: 0)))
        }
        return TrafficRoute(
            source: "VirtualService \(service.namespace)/\(service.name)", namespace: service.namespace,
            services: [service],
            rules: rules)
    }

    /// Nil when the mesh's defaults hold and nothing is split.
    package var destinationPolicy: DestinationPolicy? {
        let traffic = trafficPolicy
        guard split != nil || traffic != TrafficPolicy() else { return nil }
        let subsets =
            split.map { split in
                [
                    DestinationPolicy.Subset(name: Self.stableSubset, labels: [Self.hashLabel: split.stableHash]),
                    DestinationPolicy.Subset(name: Self.canarySubset, labels: [Self.hashLabel: split.canaryHash]),
                ]
            } ?? []
        return DestinationPolicy(
            source: "DestinationRule \(service.namespace)/\(service.name)", service: service, traffic: traffic,
            subsets: subsets)
    }

    private var destinations: [WeightedDestination] {
        guard let split else { return [WeightedDestination(destination: Destination(service: service), weight: 100)] }
        return [
            WeightedDestination(
                destination: Destination(service: service, subset: Self.stableSubset),
                weight: 100 - split.canaryWeightPercent),
            WeightedDestination(
                destination: Destination(service: service, subset: Self.canarySubset), weight: split.canaryWeightPercent
            ),
        ]
    }

    private static func policy(_ retry: HeddleAPI.RetryPolicy) -> MeshModel.RetryPolicy {
        MeshModel.RetryPolicy(
            attempts: retry.attempts, perTryTimeoutSeconds: retry.perTryTimeout?.seconds,
            retryOn: retry.attempts == 0 ? [] : retry.retryOn)
    }

    private var trafficPolicy: TrafficPolicy {
        var traffic = TrafficPolicy()
        guard let policy else { return traffic }
        traffic.loadBalancing =
            switch policy.loadBalancing {
            case .roundRobin: .roundRobin
            case .leastRequest: .leastRequest
            case .random: .random
            case nil: nil
            }
        if let breaker = policy.circuitBreaker {
            traffic.connectionPool = ConnectionPool(
                maxConnections: breaker.maxConnections, maxPendingRequests: breaker.maxPendingRequests,
                maxRequests: breaker.maxRequests)
        }
        if let budget = policy.retryBudget {
            traffic.retryBudget = MeshModel.RetryBudget(
                percent: budget.percent, minConcurrency: budget.minConcurrency)
        }
        if let outlier = policy.outlierDetection {
            traffic.outlierDetection = MeshModel.OutlierDetection(
                consecutive5xxErrors: outlier.consecutive5xxErrors,
                consecutiveGatewayErrors: outlier.consecutiveGatewayErrors, intervalSeconds: outlier.interval.seconds,
                baseEjectionSeconds: outlier.baseEjectionTime.seconds, maxEjectionPercent: outlier.maxEjectionPercent)
        }
        return traffic
    }
}

extension ServiceRouting.Split {
    /// Reads the split back from a route that Heddle wrote: the canary's share in percent. Nil when it splits nothing.
    package static func canaryWeight(in route: TrafficRoute) -> Int? {
        for rule in route.rules {
            let weights = rule.destinations.reduce(into: [String: Int]()) {
                $0[$1.destination.subset ?? "", default: 0] += $1.weight
            }
            let canary = weights[ServiceRouting.canarySubset]
            let stable = weights[ServiceRouting.stableSubset]
            guard canary != nil || stable != nil else { continue }
            let total = (canary ?? 0) + (stable ?? 0)
            return total == 0 ? 0 : (canary ?? 0) * 100 / total
        }
        return nil
    }
}
