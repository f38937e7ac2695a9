import FoundationEssentials
import KubeCore

/// What controllers ask about a pod.
extension KubeObject {
    var podPhase: String { status["phase"]?.string ?? "Pending" }
    var isPodFinished: Bool { podPhase == "Succeeded" || podPhase == "Failed" }
    /// Counts as a replica: neither finished nor going.
    var isPodActive: Bool { !isPodFinished && !isBeingDeleted }
    var podIP: String? { status["podIP"]?.string.flatMap { $0.isEmpty ? nil : $0 } }
    var nodeName: String? { spec["nodeName"]?.string.flatMap { $0.isEmpty ? nil : $0 } }

    func condition(_ type: String) -> JSONValue? {
        status["conditions"]?.array?.first { $0["type"]?.string == type }
    }

    var isPodReady: Bool { condition("Ready")?["status"]?.string == "True" }

    /// When the pod became ready; nil when it is not.
    var podReadySince: Date? {
        guard isPodReady else { return nil }
        return condition("Ready")?["lastTransitionTime"]?.string.flatMap(KubeTime.parse) ?? .distantPast
    }

    func isPodAvailable(minReadySeconds: Int, at now: Date) -> Bool {
        guard let since = podReadySince else { return false }
        return minReadySeconds == 0 || since.addingTimeInterval(Double(minReadySeconds)) <= now
    }
}

/// An integer or a percentage, as in `maxSurge`.
struct IntOrPercent: Sendable, Hashable {
    let value: JSONValue?

    init(_ value: JSONValue?) { self.value = value }

    /// The number for a total; percentages round up or down.
    func resolve(total: Int, roundUp: Bool, default fallback: String) -> Int {
        let value = value ?? .string(fallback)
        if let number = value.int { return number }
        guard let text = value.string, text.hasSuffix("%"), let percent = Int(text.dropLast()) else {
            return value.string.flatMap(Int.init) ?? 0
        }
        let product = percent * total
        return roundUp ? (product + 99) / 100 : product / 100
    }
}
