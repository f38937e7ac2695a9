/// Whether and when to start Envoy again after it died: with a doubling delay, and not without end.
struct RestartPolicy: Equatable, Sendable {
    var firstDelay: Duration = .milliseconds(200)
    var longestDelay: Duration = .seconds(5)
    /// Deaths in a row that are answered by a restart.
    var limit = 6
    /// A run of this length makes earlier deaths forgotten.
    var stableAfter: Duration = .seconds(60)
    private var deaths = 0

    init() {}

    /// The delay before the next start, or nil to give up, after a run of the given length.
    mutating func delay(afterRunOf length: Duration) -> Duration? {
        if length >= stableAfter { deaths = 0 }
        deaths += 1
        guard deaths <= limit else { return nil }
        return min(firstDelay * (1 << (deaths - 1)), longestDelay)
    }
}
