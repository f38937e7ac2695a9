import HeddleAPI

extension AdoptionMeasurements {
    /// By more than this share of the larger of two values.
    private static let notableShare = 0.25

    /// Whether a number became known or unknown, or moved by more than a quarter; the time of the look is no number.
    func differsNotably(from old: AdoptionMeasurements) -> Bool {
        func differs(_ a: Double?, _ b: Double?) -> Bool {
            switch (a, b) {
            case (nil, nil): false
            case (let a?, let b?): abs(a - b) > Self.notableShare * max(abs(a), abs(b))
            default: true
            }
        }
        func differs(_ a: Int?, _ b: Int?) -> Bool { differs(a.map(Double.init), b.map(Double.init)) }
        return differs(addedLatencyP50Ms, old.addedLatencyP50Ms) || differs(addedLatencyP99Ms, old.addedLatencyP99Ms)
            || differs(proxyMemoryBytes, old.proxyMemoryBytes)
            || differs(mutualTLSRequests, old.mutualTLSRequests)
            || differs(plaintextRequests, old.plaintextRequests) || differs(errorRatio, old.errorRatio)
            || differs(latencyP99Ms, old.latencyP99Ms) || differs(retryAmplification, old.retryAmplification)
            || differs(tracesReceived, old.tracesReceived) || certificateNotAfter != old.certificateNotAfter
    }
}
