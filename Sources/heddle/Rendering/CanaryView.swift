import Foundation
import HeddleAPI
import KubeCore
import MeshEvidence

/// One Canary in full: where its release stands, the weights, the pods, the evidence, and what it waits for.
struct CanaryView: ScreenView {
    var canary: Canary
    var now: Date

    init(_ canary: Canary, now: Date) {
        self.canary = canary
        self.now = now
    }

    private var spec: CanarySpec { canary.spec }
    private var status: CanaryStatus { canary.status }

    func styledLines(width: Int) -> [StyledText] {
        var lines = [heading]
        func add(_ label: String, _ text: String?, _ tint: Tint? = nil) {
            guard let text, !text.isEmpty else { return }
            lines += Paragraph.labelled(label, text, tint, labelWidth: 10, width: width)
        }
        add("Phase", phaseText, status.phase.tint)
        if status.phase.isRunning { lines += stepLine(width) }
        add("Traffic", traffic)
        add("Pods", pods)
        add("Waiting", waiting, .warning)
        add("Message", status.message)
        if canary.generation > status.observedGeneration {
            add("Note", "The latest spec (generation \(canary.generation)) has not been looked at yet.", .warning)
        }
        let evidence = EvidenceTable(spec: spec, status: status).styledLines(width: width)
        if !evidence.isEmpty { lines += [""] + evidence }
        return lines
    }

    var essence: String? {
        "\(status.phase) \(status.step ?? -1) \(status.desiredWeightPercent) \(status.waitingFor?.rawValue ?? "")"
    }

    private var heading: StyledText {
        let run = status.runId.map { ", run \($0)" } ?? ""
        return StyledText("Canary \(canary.key)", .strong)
            + StyledText("  Deployment \(spec.targetRef.name), Service \(spec.service.name):\(spec.service.port)\(run)")
    }

    private var phaseText: String {
        var text = status.phase.rawValue
        if status.phase == .progressing, let index = status.step, spec.steps.indices.contains(index) {
            text += ", step \(index + 1) of \(spec.steps.count) (\(spec.steps[index].weight) %)"
            if let started = status.stepStartedAt { text += " for \(Wording.age(started, now: now))" }
        } else if let started = status.phaseStartedAt {
            text += " for \(Wording.age(started, now: now))"
        }
        if status.phase.isRunning, let started = status.startedAt {
            text += "; release started \(Wording.age(started, now: now)) ago"
        }
        return text
    }

    /// `5 % > [25 %] > 50 % > promote > bake`, with the present one in brackets.
    private func stepLine(_ width: Int) -> [StyledText] {
        let names = spec.steps.map { "\($0.weight) %" } + ["promote", "bake"]
        let present: Int? =
            switch status.phase {
            case .starting: 0
            case .progressing: status.step
            case .promoting: spec.steps.count
            case .baking: spec.steps.count + 1
            default: nil
            }
        let text = names.enumerated().map { $0 == present ? "[\($1)]" : $1 }.joined(separator: " > ")
        return Paragraph.labelled("Steps", text, labelWidth: 10, width: width)
    }

    private var traffic: String? {
        guard status.phase.isRunning else { return nil }
        var text = "desired \(status.desiredWeightPercent) % to the canary"
        guard let observed = status.observedWeightPercent else { return text + ", not measured yet" }
        text += ", measured \(NumberText.significant(observed)) %"
        let counts = status.stepTraffic
        let total = counts.canaryRequests + counts.stableRequests
        return total > 0 ? text + " (\(counts.canaryRequests) of \(NumberText.count(total, "request")))" : text
    }

    private var pods: String? {
        let stable = track("stable", ready: status.stableReadyPods, hash: status.stableHash)
        let canary =
            status.phase.isRunning ? track("canary", ready: status.canaryReadyPods, hash: status.canaryHash) : nil
        let tracks = [stable, canary].compactMap { $0 }
        return tracks.isEmpty ? nil : tracks.joined(separator: ", ")
    }

    private func track(_ name: String, ready: Int?, hash: String?) -> String? {
        guard ready != nil || hash != nil else { return nil }
        let count = ready.map { " \($0) ready" } ?? ""
        return name + count + (hash.map { " (\($0))" } ?? "")
    }

    private var waiting: String? {
        let deadline = status.deadlineAt.map { deadline in
            let left = deadline.date.timeIntervalSince(now)
            let extended = status.deadlineExtended ? " (extended)" : ""
            return (left > 0 ? "deadline in \(Wording.span(left))" : "deadline passed") + extended
        }
        let reason = status.waitingFor.map { "for \(Wording.words($0.rawValue))" }
        guard reason != nil || status.phase.isRunning else { return nil }
        let parts = [reason, deadline].compactMap { $0 }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}
