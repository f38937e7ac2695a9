import Foundation
import HeddleAPI
import MeshEvidence

/// What Heddle decided and on which evidence, oldest first.
struct ExplainView: ScreenView {
    var title: String?
    var decisions: [DecisionRecord]

    init(_ decisions: [DecisionRecord], title: String? = nil) {
        self.decisions = decisions
        self.title = title
    }

    init(_ canary: Canary) {
        self.init(canary.status.decisions, title: "Canary \(canary.key)")
    }

    init(_ adoption: Adoption) {
        self.init(adoption.status.decisions, title: "Adoption \(adoption.key)")
    }

    func styledLines(width: Int) -> [StyledText] {
        var lines: [StyledText] = []
        if let title {
            lines.append(
                StyledText(title, .strong)
                    + StyledText("  \(NumberText.count(decisions.count, "decision")), oldest first"))
        }
        if decisions.isEmpty {
            lines.append("  No decision is on record.")
            return lines
        }
        for decision in decisions.sorted(by: { $0.at < $1.at }) {
            if !lines.isEmpty { lines.append("") }
            lines += Self.lines(of: decision, width: width)
        }
        return lines
    }

    private static let indent = "  "
    private static let labelWidth = 13

    private static func lines(of decision: DecisionRecord, width: Int) -> [StyledText] {
        let tint: Tint =
            switch decision.verdict {
            case .pass: .good
            case .fail: .bad
            case .insufficient: .warning
            }
        var lines = [
            StyledText(Wording.moment(decision.at), .faint) + "  " + StyledText(decision.subject, .strong)
                + StyledText("  \(decision.metric)  ")
                + StyledText("\(decision.verdict.rawValue) -> \(decision.action)", tint)
        ]
        func add(_ label: String, _ text: String?) {
            guard let text, !text.isEmpty else { return }
            lines += Paragraph.labelled(label, text, labelWidth: labelWidth, width: width - indent.count).map {
                StyledText(indent) + $0
            }
        }
        add("n", samples(decision.n))
        add("estimate", estimate(decision))
        add("rule", decision.rule)
        add("query", decision.query)
        let (why, change) = reasons(decision)
        add("because", why)
        add("would change", change)
        return lines
    }

    private static func samples(_ samples: DecisionRecord.Samples?) -> String? {
        guard let samples else { return nil }
        guard let stable = samples.stable else { return NumberText.count(samples.canary, "request") }
        return "\(samples.canary) canary, \(stable) stable"
    }

    private static func estimate(_ decision: DecisionRecord) -> String? {
        guard let estimate = decision.estimate else { return nil }
        guard let bound = decision.bound else { return NumberText.significant(estimate) }
        return "\(precise(estimate)) against \(precise(bound))"
    }

    /// Ratios near 1 differ in their later digits: six, without trailing zeros.
    private static func precise(_ value: Double) -> String {
        guard value.isFinite, abs(value) <= 1 else { return NumberText.significant(value) }
        var text = String(format: "%.6f", value)
        while text.contains("."), text.hasSuffix("0") || text.hasSuffix(".") { text.removeLast() }
        return text
    }

    /// Records without an explanation of their own, of an earlier version, have it in front of what would have changed
    /// the decision.
    private static func reasons(_ decision: DecisionRecord) -> (why: String?, change: String?) {
        if let explanation = decision.explanation { return (explanation, decision.wouldChange) }
        guard let text = decision.wouldChange else { return (nil, nil) }
        guard let mark = text.range(of: "; would change it: ") else { return (text, nil) }
        return (String(text[..<mark.lowerBound]), String(text[mark.upperBound...]))
    }
}
