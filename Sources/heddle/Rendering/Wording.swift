import Foundation
import HeddleAPI
import KubeCore
import MeshEvidence

/// How values read in tables; `-` stands for what is not known.
enum Wording {
    static let unknown = "-"

    /// `45 s`, `3 min`, `2 h`, `9 d` from `then` to `now`.
    static func age(_ then: Timestamp?, now: Date) -> String {
        guard let then else { return unknown }
        return span(now.timeIntervalSince(then.date))
    }

    static func span(_ seconds: Double) -> String {
        seconds >= 2 * 86400 ? "\(Int(seconds / 86400)) d" : NumberText.seconds(seconds)
    }

    static func number(_ value: Int?) -> String { value.map(String.init) ?? unknown }

    static func milliseconds(_ value: Double?) -> String {
        value.map { "\(NumberText.significant($0)) ms" } ?? unknown
    }

    static func percent(_ ratio: Double?) -> String { ratio.map(NumberText.percent) ?? unknown }

    static func mebibytes(_ bytes: Int?) -> String {
        bytes.map { "\(NumberText.significant(Double($0) / 1_048_576)) MiB" } ?? unknown
    }

    /// `2026-01-31 12:00:05 UTC`.
    static func moment(_ timestamp: Timestamp) -> String {
        let text = KubeTime.format(timestamp.date)
        return text.replacingOccurrences(of: "T", with: " ").replacingOccurrences(of: "Z", with: " UTC")
    }

    /// `CanaryPods` as `canary pods`: the words of a PascalCase reason.
    static func words(_ reason: String) -> String {
        reason.reduce(into: "") { text, character in
            if character.isUppercase, !text.isEmpty { text.append(" ") }
            text += character.lowercased()
        }
    }
}

extension CanaryPhase {
    var tint: Tint? {
        switch self {
        case .succeeded: .good
        case .rollingBack, .rolledBack, .failed: .bad
        case .waitingForPhase: .warning
        case .starting, .progressing, .promoting, .baking: .strong
        case .idle: nil
        }
    }
}

extension AdoptionState {
    var tint: Tint? {
        switch self {
        case .complete: .good
        case .blocked, .awaitingApproval, .paused: .warning
        case .steppedBack: .bad
        case .progressing, .soaking: .strong
        }
    }
}

extension WorkloadStatus.State {
    var tint: Tint? {
        switch self {
        case .strict, .meshed: .good
        case .restarting: .strong
        case .failed: .bad
        case .exempt: .warning
        case .notMeshed: nil
        }
    }
}

extension Condition {
    /// Whether the condition is as one wishes; every type of Heddle's is good when true, `Progressing` is neither.
    var tint: Tint? {
        if type == HeddleCondition.progressing.rawValue { return nil }
        return status == .true ? .good : status == .false ? .bad : .warning
    }
}
