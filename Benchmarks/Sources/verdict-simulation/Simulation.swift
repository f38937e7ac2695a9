import MeshEvidence

/// A release's traffic, second by second: independent requests, Poisson arrivals, one share for the canary.
struct Traffic: Sendable {
    /// Of both tracks together.
    var requestsPerSecond: Double
    /// Failure ratio of the stable version at a second of the run.
    var stableFailures: @Sendable (Int) -> Double
    /// The canary's; nil: as stable.
    var canaryFailures: Double?
    /// The canary's share of the requests, 0 to 1, at a second of the run.
    var share: @Sendable (Int) -> Double

    /// One second's counts.
    func second(_ time: Int, _ random: inout Sampler) -> CanaryCounts? {
        let base = stableFailures(time)
        let bad = canaryFailures ?? base
        let canary = requestsPerSecond * share(time)
        let stable = requestsPerSecond - canary
        let ec = random.poisson(canary * bad)
        let es = random.poisson(stable * base)
        return CanaryCounts(
            canaryRequests: ec + random.poisson(canary * (1 - bad)), canaryFailures: ec,
            stableRequests: es + random.poisson(stable * (1 - base)), stableFailures: es)
    }
}

/// What Heddle decides in one run.
enum HeddleRule {
    /// The second at which the test fails the canary, looking every second; nil when it does not within `seconds`.
    static func failure(of traffic: Traffic, alpha: Double, seconds: Int, _ random: inout Sampler) -> Int? {
        var test = SequentialTest(parameters: .init(alpha: alpha))
        for time in 0..<seconds {
            guard let counts = traffic.second(time, &random) else { continue }
            test.observe(counts)
            if test.showsHarm { return time + 1 }
        }
        return nil
    }

    /// The same for equal versions whose ratio and share stay as they are. Seconds without failures change nothing in
    /// the test, so they are jumped over: a day of little traffic costs little.
    static func falseAlarm(
        requestsPerSecond: Double, base: Double, share: Double, alpha: Double, seconds: Int, _ random: inout Sampler
    ) -> Bool {
        var test = SequentialTest(parameters: .init(alpha: alpha))
        let failuresPerSecond = requestsPerSecond * base
        let canary = requestsPerSecond * share * (1 - base)
        let stable = requestsPerSecond * (1 - share) * (1 - base)
        var time = 0
        while true {
            time += random.quietSeconds(failuresPerSecond) + 1
            guard time <= seconds else { return false }
            let failures = random.positivePoisson(failuresPerSecond)
            let ec = random.binomial(failures, share)
            guard
                let counts = CanaryCounts(
                    canaryRequests: ec + random.poisson(canary), canaryFailures: ec,
                    stableRequests: failures - ec + random.poisson(stable), stableFailures: failures - ec)
            else { continue }
            test.observe(counts)
            if test.showsHarm { return true }
        }
    }
}

/// Flagger's rule on the same requests, at its best settings: every 10 s the canary's success ratio over the last minute
/// must be 99 % at least, and the fifth failed look rolls back. An answer without requests is a failed look.
enum FlaggerRule {
    static let interval = 10
    static let window = 60
    static let threshold = 5
    static let minimumSuccess = 0.99

    static func failure(of traffic: Traffic, seconds: Int, _ random: inout Sampler) -> Int? {
        var looks: [(requests: Int, failures: Int)] = []
        var requests = 0
        var failures = 0
        var failed = 0
        for time in 0..<seconds {
            if let counts = traffic.second(time, &random) {
                requests += counts.canaryRequests
                failures += counts.canaryFailures
            }
            guard (time + 1) % interval == 0 else { continue }
            looks.append((requests, failures))
            (requests, failures) = (0, 0)
            if looks.count > window / interval { looks.removeFirst() }
            let all = looks.reduce((0, 0)) { ($0.0 + $1.requests, $0.1 + $1.failures) }
            if all.0 == 0 || Double(all.0 - all.1) / Double(all.0) < minimumSuccess { failed += 1 }
            if failed >= threshold { return time + 1 }
        }
        return nil
    }
}
