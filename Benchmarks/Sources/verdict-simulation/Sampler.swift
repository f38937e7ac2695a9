import Glibc
import SyntheticCluster

/// Random numbers that are the same on every machine for a seed, and the laws that requests follow.
struct Sampler: RandomNumberGenerator {
    private var random: SplitMix

    init(seed: UInt64) { random = SplitMix(seed: seed) }

    mutating func next() -> UInt64 { random.next() }

    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Requests of one second: by multiplication for small means, by transformed rejection (Hörmann 1993, PTRS) for
    /// large ones.
    mutating func poisson(_ mean: Double) -> Int {
        guard mean > 0 else { return 0 }
        guard mean >= 10 else {
            let limit = exp(-mean)
            var product = uniform()
            var count = 0
            while product > limit {
                count += 1
                product *= uniform()
            }
            return count
        }
        let root = mean.squareRoot()
        let logMean = log(mean)
        let b = 0.931 + 2.53 * root
        let a = -0.059 + 0.02483 * b
        let inverseAlpha = 1.1239 + 1.1328 / (b - 3.4)
        let vr = 0.9277 - 3.6224 / (b - 2)
        while true {
            let u = uniform() - 0.5
            let v = uniform()
            let us = 0.5 - abs(u)
            let k = floor((2 * a / us + b) * u + mean + 0.43)
            if us >= 0.07, v <= vr { return Int(k) }
            if k < 0 || (us < 0.013 && v > us) { continue }
            if log(v) + log(inverseAlpha) - log(a / (us * us) + b) <= k * logMean - mean - lgamma(k + 1) {
                return Int(k)
            }
        }
    }

    /// Seconds without an event before the first one with some, for events of this mean a second.
    mutating func quietSeconds(_ mean: Double) -> Int {
        let seconds = log(1 - uniform()) / -mean
        return seconds < 1e9 ? Int(seconds) : Int(1e9)
    }

    /// A Poisson number that is not 0.
    mutating func positivePoisson(_ mean: Double) -> Int {
        // The first event's time within the second, given that there is one; the rest of the second is as any.
        let first = -log(1 - uniform() * (1 - exp(-mean))) / mean
        return 1 + poisson(mean * (1 - first))
    }

    mutating func binomial(_ count: Int, _ probability: Double) -> Int {
        var happened = 0
        for _ in 0..<count where uniform() < probability { happened += 1 }
        return happened
    }
}
