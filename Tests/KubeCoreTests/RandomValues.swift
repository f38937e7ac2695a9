import KubeCore

func randomValue(_ random: inout SplitMix, depth: Int) -> JSONValue {
    switch random.next() % (depth == 0 ? 5 : 7) {
    case 0: return .null
    case 1: return .bool(random.next() % 2 == 0)
    case 2: return .int(Int(truncatingIfNeeded: random.next()))
    case 3: return .double(Double(Int64(truncatingIfNeeded: random.next())) / 1024)
    case 4: return .string(randomText(&random))
    case 5: return .array((0..<random.next() % 4).map { _ in randomValue(&random, depth: depth - 1) })
    default:
        var members: [String: JSONValue] = [:]
        for _ in 0..<random.next() % 4 { members[randomText(&random)] = randomValue(&random, depth: depth - 1) }
        return .object(members)
    }
}

func randomText(_ random: inout SplitMix) -> String {
    let alphabet: [Character] = ["a", "Z", "0", "\"", "\\", "/", "\n", "\u{1}", "é", "中", "😀", " "]
    return String((0..<random.next() % 6).map { _ in alphabet[Int(random.next() % UInt64(alphabet.count))] })
}
