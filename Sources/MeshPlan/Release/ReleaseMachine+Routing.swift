import HeddleAPI
import KubeCore

extension ReleaseMachine {
    enum RouteState: Equatable {
        /// Every proxy delivers the desired split.
        case confirmed
        /// Written, or being written; proxies have not all acknowledged it.
        case pending
        /// A track that should carry traffic has no ready pod; traffic was sent where pods are ready.
        case diverted
    }

    /// Compares the route with the desired weight and puts it right; sends no traffic to a track without ready pods.
    mutating func route(_ deployment: DeploymentFacts, weight: Int) -> RouteState {
        let weight = min(max(weight, 0), 100)
        status.desiredWeightPercent = weight
        guard let stableHash = status.stableHash else { return openRoute() }
        let stable = stableReady(deployment)
        let canary = canaryReady(deployment)
        if weight < 100, stable == 0 {
            // Without stable pods the plain Service, which knows ready pods only, serves best.
            if canary > 0 || deployment.desiredReplicas == 0 { return openRoute() }
            return .diverted
        }
        if weight > 0, canary == 0 {
            if stable > 0 { set(stableHash, 0) } else { return openRoute() }
            return .diverted
        }
        return set(stableHash, weight) ? .confirmed : .pending
    }

    /// True when the split is there and confirmed.
    @discardableResult
    private mutating func set(_ stableHash: String, _ weight: Int) -> Bool {
        let split = ServiceRouting.Split(
            stableHash: stableHash, canaryHash: status.canaryHash ?? Self.noHash, canaryWeightPercent: weight)
        guard input.route.split == split else {
            actions.append(.setSplit(split))
            return false
        }
        return input.route.isConfirmed
    }

    /// Stands for the canary's `pod-template-hash` before it has one: selects no pod.
    static let noHash = "none"

    @discardableResult
    mutating func openRoute() -> RouteState {
        if input.route.split != nil { actions.append(.removeSplit) }
        return .diverted
    }

    /// Keeps the route as the status wants it, without judging anything.
    mutating func keepTraffic(_ deployment: DeploymentFacts) {
        switch status.phase {
        case .starting, .progressing, .promoting: _ = route(deployment, weight: status.desiredWeightPercent)
        case .baking: openRoute()
        default: break
        }
    }
}
