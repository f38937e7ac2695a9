import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// A traffic policy as fields of a cluster.
struct TrafficSettings {
    static let protocolOptionsName = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    static let defaultConnectTimeoutMilliseconds = 2000

    let traffic: TrafficPolicy

    init(_ traffic: TrafficPolicy) { self.traffic = traffic }

    func apply(to cluster: inout EnvoyCluster) {
        let pool = traffic.connectionPool
        cluster.connectTimeout =
            pool?.connectTimeoutSeconds.map { .seconds($0) }
            ?? .init(milliseconds: Self.defaultConnectTimeoutMilliseconds)
        cluster.upstreamConnectionOptions.tcpKeepalive = .with {
            $0.keepaliveTime = 10
            $0.keepaliveInterval = 5
            $0.keepaliveProbes = 3
        }
        cluster.circuitBreakers.thresholds = [thresholds]
        if let detection = traffic.outlierDetection {
            cluster.outlierDetection = outliers(detection)
            // Envoy stops ejecting below half healthy by itself; where a policy asks for ejection, its word counts.
            cluster.commonLbConfig.healthyPanicThreshold = .init(Double(detection.minHealthPercent ?? 0))
        }
    }

    /// Unlimited but for retries: Envoy's own limits (1024 each) fail requests that nobody asked to be failed.
    ///
    /// Retries may be half of the requests in flight, so that the loss of one of two endpoints fails none and a failing
    /// service gets at most half again of its load; below a hundred they are not counted, since a small client whose
    /// requests pile up for a moment is no storm.
    private var thresholds: Envoy_Config_Cluster_V3_CircuitBreakers.Thresholds {
        func limit(_ value: Int?) -> Google_Protobuf_UInt32Value {
            value.map { .init(clamping: $0) } ?? .init(UInt32.max)
        }
        let pool = traffic.connectionPool
        return .with {
            $0.maxConnections = limit(pool?.maxConnections)
            $0.maxPendingRequests = limit(pool?.maxPendingRequests)
            $0.maxRequests = limit(pool?.maxRequests)
            if let budget = traffic.retryBudget {
                // Istio's and Envoy's defaults for what it leaves open. It counts before `maxRetries`, as in Envoy itself.
                $0.retryBudget.budgetPercent = .init(budget.percent ?? 20)
                $0.retryBudget.minRetryConcurrency = .init(clamping: budget.minConcurrency ?? 3)
            } else if let retries = pool?.maxRetries {
                $0.maxRetries = .init(clamping: retries)
            } else {
                $0.retryBudget.budgetPercent = .init(50)
                $0.retryBudget.minRetryConcurrency = 100
            }
        }
    }

    /// As Istio sets it: consecutive errors only; statistical ejection stays off.
    private func outliers(_ detection: OutlierDetection) -> Envoy_Config_Cluster_V3_OutlierDetection {
        .with {
            $0.enforcingSuccessRate = 0
            if let errors = detection.consecutive5xxErrors {
                if errors > 0 { $0.consecutive5Xx = .init(clamping: errors) }
                $0.enforcingConsecutive5Xx = errors > 0 ? 100 : 0
            }
            if let errors = detection.consecutiveGatewayErrors {
                if errors > 0 { $0.consecutiveGatewayFailure = .init(clamping: errors) }
                $0.enforcingConsecutiveGatewayFailure = errors > 0 ? 100 : 0
            }
            if let seconds = detection.intervalSeconds { $0.interval = .seconds(seconds) }
            if let seconds = detection.baseEjectionSeconds { $0.baseEjectionTime = .seconds(seconds) }
            if let percent = detection.maxEjectionPercent { $0.maxEjectionPercent = .init(clamping: percent) }
        }
    }
}
