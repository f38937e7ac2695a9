#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// SplitMix64: the same numbers on every machine for a seed, so that a failure can be run again.
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// How many of `count` events with this probability happen: by geometric jumps from one to the next.
    package mutating func binomial(_ count: Int, _ probability: Double) -> Int {
        if probability > 0.5 { return count - binomial(count, 1 - probability) }
        guard probability > 0 else { return 0 }
        var happened = 0
        var position = 0
        while true {
            let jump = log(1 - Double.random(in: 0..<1, using: &self)) / log1p(-probability)
            guard jump < Double(count - position) else { return happened }
            position += Int(jump) + 1
            if position > count { return happened }
            happened += 1
        }
    }
}
