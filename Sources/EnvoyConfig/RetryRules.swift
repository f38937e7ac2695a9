import EnvoyAPI
import MeshModel
import SwiftProtobuf

typealias EnvoyRetryPolicy = Envoy_Config_Route_V3_RetryPolicy

/// Which failed requests a client's proxy sends again.
enum RetryRules {
    /// Where nobody says anything: only what provably did not reach the application, so any method is safe.
    static let defaultConditions = ["connect-failure", "refused-stream", "reset-before-request"]
    static let defaultAttempts = 2
    /// Where a policy sets attempts and no conditions: Istio's.
    static let policyConditions = ["connect-failure", "refused-stream", "unavailable", "cancelled", "503"]

    /// Nil: no retries.
    static func envoyPolicy(_ policy: RetryPolicy?) -> EnvoyRetryPolicy? {
        guard let policy else { return make(conditions: defaultConditions, attempts: defaultAttempts) }
        guard policy.attempts > 0 else { return nil }
        var made = make(
            conditions: policy.retryOn.isEmpty ? policyConditions : policy.retryOn, attempts: policy.attempts)
        if let seconds = policy.perTryTimeoutSeconds, seconds > 0 { made.perTryTimeout = .seconds(seconds) }
        if let seconds = policy.backoffSeconds, seconds > 0 {
            made.retryBackOff.baseInterval = .seconds(seconds)
            made.retryBackOff.maxInterval = .seconds(seconds * 10)
        }
        return made
    }

    /// On the server's side, towards the application: a connection that it closed while idle.
    static var inbound: EnvoyRetryPolicy {
        .with {
            $0.retryOn = "reset-before-request"
            $0.numRetries = 1
        }
    }

    private static func make(conditions: [String], attempts: Int) -> EnvoyRetryPolicy {
        .with {
            let codes = conditions.compactMap { UInt32($0) }.filter { (100..<600).contains($0) }
            var names = conditions.filter { Int($0) == nil }
            if !codes.isEmpty, !names.contains("retriable-status-codes") { names.append("retriable-status-codes") }
            $0.retryOn = names.joined(separator: ",")
            $0.retriableStatusCodes = codes
            $0.numRetries = .init(clamping: attempts)
            // Rather another endpoint than the one that has just failed.
            $0.retryHostPredicate = [
                .with {
                    $0.name = "envoy.retry_host_predicates.previous_hosts"
                    $0.typedConfig = .packing(Envoy_Extensions_Retry_Host_PreviousHosts_V3_PreviousHostsPredicate())
                }
            ]
            $0.hostSelectionRetryMaxAttempts = 5
        }
    }
}
