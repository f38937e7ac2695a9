import NIOCore

/// How the sample service behaves. Unset options come from the environment (`SAMPLE_LATENCY_MS` for `--latency-ms`),
/// then from the defaults here.
struct ServeSettings: Sendable {
    var host = "0.0.0.0"
    var port = 8080
    var name = "sample"
    var version = "v1"
    var pod = "unknown"
    var latencyMS = 0.0
    var latencyJitterMS = 0.0
    var errorPercent = 0.0
    var slowPercent = 0.0
    var slowMS = 0.0
    var calls: [WireURL] = []
    var callsConcurrently = false
    var callTimeoutMS = 5000
    var warmUpMS = 0
    var drainSeconds = 3.0
    var tcpEchoPort: Int?

    /// What this request will meet: drawn once, so that the work itself is plain.
    struct Fate: Equatable, Sendable {
        var delay: TimeAmount
        var fails: Bool
    }

    /// Draws delay and failure by the set percentages.
    func fate(using random: inout some RandomNumberGenerator) -> Fate {
        var delayMS = latencyMS
        if latencyJitterMS > 0 { delayMS += Double.random(in: 0..<latencyJitterMS, using: &random) }
        if slowPercent > 0, Double.random(in: 0..<100, using: &random) < slowPercent { delayMS += slowMS }
        let fails = errorPercent > 0 && Double.random(in: 0..<100, using: &random) < errorPercent
        return Fate(delay: .microseconds(Int64(delayMS * 1000)), fails: fails)
    }
}
