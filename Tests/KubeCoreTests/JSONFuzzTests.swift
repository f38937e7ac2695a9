import Foundation
import KubeCore
import Testing

struct JSONFuzzTests {
    /// `Benchmarks/run-fuzz` does the same a million times.
    @Test(arguments: 1...4)
    func `broken lists, events and documents are refused with a place, and never trap`(_ seed: Int) throws {
        var fuzz = JSONFuzz(seed: UInt64(seed), isShort: true)
        for _ in 0..<5000 {
            do throws(JSONFuzz.Broken) {
                try fuzz.round()
            } catch {
                Issue.record("\(error.promise)\n\(String(decoding: error.input, as: UTF8.self))")
                return
            }
        }
        #expect(fuzz.accepted > 100)
    }

    @Test func `Foundation reads the same`() throws {
        var random = SplitMix(seed: 21)
        var (pods, canaries) = (SyntheticPods(), SyntheticCanaries())
        var texts = (0..<300).map { _ in randomValue(&random, depth: 4).serialized(indented: random.below(2) == 0) }
        texts += (0..<5).map { pods.pod($0) } + (0..<5).map { canaries.canary($0) }
        for text in texts {
            let foundation = try JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)
            let own = try JSONValue.parse(text)
            #expect(isSame(own, foundation), "\(text)")
        }
    }

    private func isSame(_ own: JSONValue, _ other: Any) -> Bool {
        switch own {
        case .null: other is NSNull
        case .bool(let value): other as? Bool == value
        case .int(let value): (other as? NSNumber)?.int64Value == Int64(value)
        // Foundation reads some by way of a decimal, and is a last place off.
        case .double(let value):
            ((other as? NSNumber)?.doubleValue).map { abs($0 - value) <= abs(value) * 4 * .ulpOfOne } ?? false
        case .string(let value): other as? String == value
        case .array(let elements):
            (other as? [Any]).map { $0.count == elements.count && zip(elements, $0).allSatisfy(isSame) } ?? false
        case .object(let members):
            (other as? [String: Any]).map { others in
                others.count == members.count
                    && members.allSatisfy { name, value in others[name].map { isSame(value, $0) } ?? false }
            } ?? false
        }
    }
}
