import NIOCore
import NIOHTTP1

/// What a load run sends.
struct LoadSettings: Sendable {
    var urls: [WireURL]
    var requestsPerSecond: Double
    /// 0 runs until it is told to stop.
    var durationSeconds: Double = 0
    var method: HTTPMethod = .GET
    var headers: HTTPHeaders = [:]
    var body: String?
    var newConnections = false
    var timeout: TimeAmount = .seconds(5)
    var maxInFlight = 1000
}
