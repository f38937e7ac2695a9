import Foundation
import MeshEvidence

/// How often an equal canary is failed, and how soon a bad one: with the production test, beside Flagger's rule.
///
///     verdict-simulation [--runs 10000] [--hours 24] [--alpha 0.01]
@main
struct VerdictSimulation {
    var runs = 10_000
    var hours = 24.0
    var alpha = 0.01

    static func main() async {
        var simulation = VerdictSimulation()
        var arguments = CommandLine.arguments.dropFirst().makeIterator()
        while let name = arguments.next(), let value = arguments.next().flatMap(Double.init) {
            switch name {
            case "--runs": simulation.runs = max(1, Int(value))
            case "--hours": simulation.hours = value
            case "--alpha": simulation.alpha = value
            default: print("unknown option \(name): --runs, --hours or --alpha")
            }
        }
        await simulation.equalVersions()
        await simulation.changingConditions()
        await simulation.detection()
    }

    /// Runs `body` for each seed on all cores. The results do not depend on their number.
    private func each<Result: Sendable>(
        _ count: Int, _ body: @escaping @Sendable (inout Sampler) -> Result
    ) async -> [Result] {
        let workers = ProcessInfo.processInfo.activeProcessorCount
        return await withTaskGroup(of: [(Int, Result)].self) { group in
            for worker in 0..<workers {
                group.addTask {
                    stride(from: worker, to: count, by: workers).map { run in
                        var random = Sampler(seed: 0x5EED_0000 &+ UInt64(run) &* 0x9E37_79B9)
                        return (run, body(&random))
                    }
                }
            }
            return await group.reduce(into: []) { $0 += $1 }.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }

    private func percent(_ part: Int, of whole: Int) -> String {
        String(format: "%6.2f %%", 100 * Double(part) / Double(whole))
    }

    // MARK: A/A

    private func equalVersions() async {
        let seconds = Int(hours * 3600)
        print("A/A, canary share 10 %, alpha \(100 * alpha) %, a look every second for \(hours) h, \(runs) runs each")
        print("requests/s   base ratio   ever failed by Heddle   by Flagger's rule within an hour")
        for rate in [0.1, 1, 10, 100, 1000] {
            for base in [0.001, 0.02] {
                let alarms = await each(runs) { random in
                    HeddleRule.falseAlarm(
                        requestsPerSecond: rate, base: base, share: 0.1, alpha: alpha, seconds: seconds, &random)
                }.count { $0 }
                let few = min(runs, 1000)
                let traffic = Traffic(
                    requestsPerSecond: rate, stableFailures: { _ in base }, canaryFailures: nil, share: { _ in 0.1 })
                let flagger = await each(few) { random in
                    FlaggerRule.failure(of: traffic, seconds: 3600, &random) != nil
                }.count { $0 }
                print(
                    String(format: "%10g   %8.1f %%   ", rate, 100 * base) + "            "
                        + percent(alarms, of: runs) + "   " + percent(flagger, of: few))
            }
        }
    }

    /// Base rates that move, incidents that both versions suffer, and shares that grow by steps.
    private func changingConditions() async {
        let seconds = Int(min(hours, 2) * 3600)
        let moving: @Sendable (Int) -> Double = { second in
            let wave = 0.01 * (1 + 0.9 * sin(2 * .pi * Double(second) / 900))
            return second % 1800 < 60 ? 0.3 : wave
        }
        let steps: @Sendable (Int) -> Double = { [0.01, 0.05, 0.25, 0.5][min(3, $0 * 4 / seconds)] }
        print("\nA/A under change, \(seconds / 3600) h, \(runs) runs each: 10 and 100 requests/s")
        let cases: [(String, @Sendable (Int) -> Double, @Sendable (Int) -> Double)] = [
            ("base 0.1 to 1.9 %, an incident of 30 % each half hour", moving, { _ in 0.1 }),
            ("the same, shares 1, 5, 25, 50 % by steps", moving, steps),
        ]
        for (name, base, share) in cases {
            for rate in [10.0, 100] {
                let traffic = Traffic(
                    requestsPerSecond: rate, stableFailures: base, canaryFailures: nil, share: share)
                let alarms = await each(runs) { random in
                    HeddleRule.failure(of: traffic, alpha: alpha, seconds: seconds, &random) != nil
                }.count { $0 }
                print(String(format: "%6g/s   ", rate) + percent(alarms, of: runs) + "   " + name)
            }
        }
    }

    // MARK: Detection

    private func detection() async {
        let seconds = 3600
        let count = min(runs, 2000)
        print("\nA canary that is worse (stable 0.1 %), share 10 %: seconds to detect, p50 / p95, \(count) runs each")
        print("requests/s   canary fails   Heddle            Flagger's rule")
        for rate in [5.0, 50, 500] {
            for bad in [0.01, 0.05, 0.2] {
                let traffic = Traffic(
                    requestsPerSecond: rate, stableFailures: { _ in 0.001 }, canaryFailures: bad, share: { _ in 0.1 })
                let ours = await each(count) { random in
                    HeddleRule.failure(of: traffic, alpha: alpha, seconds: seconds, &random)
                }
                let theirs = await each(count) { random in
                    FlaggerRule.failure(of: traffic, seconds: seconds, &random)
                }
                print(
                    String(format: "%10g   %10.0f %%   ", rate, 100 * bad)
                        + quantiles(ours).padding(toLength: 18, withPad: " ", startingAt: 0) + quantiles(theirs))
            }
        }
    }

    private func quantiles(_ times: [Int?]) -> String {
        let sorted = times.map { $0 ?? .max }.sorted()
        func text(_ share: Double) -> String {
            let value = sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
            return value == .max ? "never" : "\(value)"
        }
        return "\(text(0.5)) / \(text(0.95))"
    }
}
