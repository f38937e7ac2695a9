import EnvoyAPI
import MeshModel
import SwiftProtobuf

/// Injected delays and failures, per route.
enum FaultInjection {
    static let filterName = "envoy.filters.http.fault"

    static func config(_ fault: Fault) -> Google_Protobuf_Any {
        .packing(
            Envoy_Extensions_Filters_Http_Fault_V3_HTTPFault.with {
                if let seconds = fault.delaySeconds, seconds > 0 {
                    $0.delay.fixedDelay = .seconds(seconds)
                    $0.delay.percentage = .init(percent: fault.delayPercent)
                }
                if let status = fault.abortStatus {
                    $0.abort.httpStatus = UInt32(clamping: status)
                    $0.abort.percentage = .init(percent: fault.abortPercent)
                }
            })
    }
}
