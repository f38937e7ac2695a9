package import EnvoyAPI
import FoundationEssentials
import SwiftProtobuf

package typealias EnvoyCluster = Envoy_Config_Cluster_V3_Cluster
package typealias EnvoyEndpoints = Envoy_Config_Endpoint_V3_ClusterLoadAssignment
package typealias EnvoyListener = Envoy_Config_Listener_V3_Listener
package typealias EnvoyRoutes = Envoy_Config_Route_V3_RouteConfiguration
typealias EnvoyAddress = Envoy_Config_Core_V3_Address
typealias EnvoyRoute = Envoy_Config_Route_V3_Route
typealias EnvoyRouteAction = Envoy_Config_Route_V3_RouteAction
typealias EnvoyFilterChain = Envoy_Config_Listener_V3_FilterChain
typealias EnvoyConnectionManager =
    Envoy_Extensions_Filters_Network_HttpConnectionManager_V3_HttpConnectionManager

extension Google_Protobuf_Any {
    /// The message in its envelope, with a stable order of map entries: equal messages are equal bytes.
    static func packing(_ message: some Message) -> Google_Protobuf_Any {
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        return .with {
            $0.typeURL = "type.googleapis.com/\(type(of: message).protoMessageName)"
            // Serialising fails only for missing required fields, which proto3 does not have, and beyond 2 GB.
            $0.value = (try? message.serializedBytes(options: options)) ?? Data()
        }
    }
}

extension Google_Protobuf_Duration {
    init(milliseconds: Int) {
        self.init(seconds: Int64(milliseconds / 1000), nanos: Int32(milliseconds % 1000) * 1_000_000)
    }

    /// Rounded to whole milliseconds; what is positive stays positive.
    static func seconds(_ seconds: Double) -> Google_Protobuf_Duration {
        let milliseconds = min(max(seconds, 0), 315_000_000) * 1000
        return .init(milliseconds: seconds > 0 ? max(1, Int(milliseconds.rounded())) : 0)
    }
}

extension Google_Protobuf_UInt32Value {
    /// Negative numbers become 0.
    init(clamping value: Int) { self.init(UInt32(clamping: value)) }
}

extension EnvoyAddress {
    static func socket(_ address: String, _ port: Int) -> EnvoyAddress {
        .with {
            $0.socketAddress = .with {
                $0.address = address
                $0.portValue = UInt32(clamping: port)
            }
        }
    }
}

extension Envoy_Type_V3_FractionalPercent {
    /// - Parameter percent: 0 to 100; kept to four decimals.
    init(percent: Double) {
        self.init()
        numerator = UInt32((min(max(percent, 0), 100) * 10_000).rounded())
        denominator = .million
    }
}

extension Envoy_Type_V3_Percent {
    init(_ value: Double) {
        self.init()
        self.value = min(max(value, 0), 100)
    }
}

extension Google_Protobuf_Struct {
    init(strings: [String: String]) {
        self.init(fields: strings.mapValues { Google_Protobuf_Value(stringValue: $0) })
    }
}

extension Envoy_Config_Core_V3_ConfigSource {
    /// Over the proxy's one stream to the control plane.
    static var aggregated: Self {
        .with {
            $0.ads = .init()
            $0.resourceApiVersion = .v3
        }
    }
}
