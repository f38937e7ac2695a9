import Glibc

/// `json-fuzz COUNT [SEED]`: breaks COUNT inputs; exit status 1 and the input in hexadecimal when a promise does not hold.
@main
struct Main {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst().compactMap(UInt64.init)
        let (count, seed) = (arguments.first ?? 1_000_000, arguments.dropFirst().first ?? 1)
        var fuzz = JSONFuzz(seed: seed)
        for round in 1...max(1, count) {
            do throws(JSONFuzz.Broken) {
                try fuzz.round()
            } catch {
                print("round \(round) of seed \(seed): \(error.promise)")
                print(String(decoding: error.input, as: UTF8.self))
                print(error.input.map { String($0, radix: 16) }.joined(separator: " "))
                exit(1)
            }
            if round % 100_000 == 0 {
                print("\(round) inputs, \(fuzz.accepted) lists read to the end; no promise broken")
            }
        }
        print("\(count) inputs of seed \(seed), \(fuzz.accepted) lists read to the end: no trap, no promise broken")
    }
}
