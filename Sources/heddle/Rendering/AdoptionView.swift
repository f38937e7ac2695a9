import Foundation
import HeddleAPI
import KubeCore
import MeshEvidence

/// One Adoption in full: where it stands, its workloads, what blocks it, what was measured.
struct AdoptionView: ScreenView {
    var adoption: Adoption
    var now: Date

    init(_ adoption: Adoption, now: Date) {
        self.adoption = adoption
        self.now = now
    }

    private var spec: AdoptionSpec { adoption.spec }
    private var status: AdoptionStatus { adoption.status }

    func styledLines(width: Int) -> [StyledText] {
        var lines = [heading, phaseLine]
        func add(_ label: String, _ text: String?, _ tint: Tint? = nil) {
            guard let text, !text.isEmpty else { return }
            lines += Paragraph.labelled(label, text, tint, labelWidth: 10, width: width)
        }
        add("State", stateText, status.state.tint)
        add("Message", status.message)
        if adoption.generation > status.observedGeneration {
            add("Note", "The latest spec (generation \(adoption.generation)) has not been looked at yet.", .warning)
        }
        add("Measured", measured)
        for exception in spec.exceptions { add("Exception", text(of: exception)) }
        for section in [workloads(width), blockers(width)] where !section.isEmpty { lines += [""] + section }
        return lines
    }

    var essence: String? {
        let workloads = status.workloads.map { "\($0.name) \($0.state) \($0.mtls?.rawValue ?? "")" }
        let blockers = status.blockers.map { "\($0.gate) \($0.workload ?? "") \($0.client ?? "") \($0.port ?? 0)" }
        return ([status.phase.rawValue, status.state.rawValue] + workloads + blockers).joined(separator: "\n")
    }

    private var heading: StyledText {
        var text = "  target \(spec.targetPhase.rawValue), approval \(spec.approval.rawValue.lowercased())"
        if let approved = spec.approvedPhase { text += " (approved: \(approved.rawValue))" }
        return StyledText("Adoption \(adoption.key)", .strong) + StyledText(text)
    }

    private var phaseLine: StyledText {
        AdoptionPhase.allCases.enumerated().reduce(StyledText("Phase", .faint).padded(to: 10)) { line, next in
            let (index, phase) = next
            let separator = StyledText(index == 0 ? "" : " > ", .faint)
            let name: StyledText =
                phase == status.phase
                ? StyledText("[\(phase.rawValue)]", .strong)
                : StyledText(phase.rawValue, phase < status.phase ? .good : .faint)
            return line + separator + name
        }
    }

    private var stateText: String {
        var text = status.state.rawValue
        if let since = status.gatesHeldSince, status.state == .soaking {
            text += " for \(Wording.age(since, now: now))"
        }
        if let since = status.phaseStartedAt {
            text += "; in \(status.phase.rawValue) for \(Wording.age(since, now: now))"
        }
        return text
    }

    // MARK: Workloads

    private func workloads(_ width: Int) -> [StyledText] {
        guard !status.workloads.isEmpty else { return [] }
        var table = TextTable(["WORKLOAD", "STATE", "MTLS", "PODS", "MESSAGE"], right: ["PODS"], flexible: "MESSAGE")
        for workload in status.workloads {
            let isMeshed = workload.podsMeshed == workload.podsTotal
            let text = [workload.message, workload.attempts > 0 ? "stepped back \(times(workload.attempts))" : nil]
                .compactMap { $0 }.joined(separator: "; ")
            // A sentence that does not fit beside the others goes below them, whole.
            let fits = text.count <= width - 60
            table.add(
                [
                    StyledText(workload.name), StyledText(workload.state.rawValue, workload.state.tint),
                    StyledText(workload.mtls?.rawValue ?? Wording.unknown, workload.mtls == .strict ? .good : nil),
                    StyledText("\(workload.podsMeshed)/\(workload.podsTotal)", isMeshed ? nil : .warning),
                    StyledText(fits ? text : ""),
                ], note: fits ? nil : StyledText(text))
        }
        return table.lines(width: width)
    }

    private func times(_ count: Int) -> String { count == 1 ? "once" : "\(count) times" }

    // MARK: Blockers

    private func blockers(_ width: Int) -> [StyledText] {
        guard !status.blockers.isEmpty else { return [] }
        var table = TextTable(
            ["BLOCKED BY", "WORKLOAD", "CLIENT", "PORT", "COUNT", "SINCE"], right: ["PORT", "COUNT", "SINCE"],
            flexible: "CLIENT")
        for blocker in status.blockers {
            table.add(
                [
                    StyledText(blocker.gate.rawValue, .warning), StyledText(blocker.workload ?? Wording.unknown),
                    StyledText(blocker.client ?? Wording.unknown), StyledText(Wording.number(blocker.port)),
                    StyledText(Wording.number(blocker.count)), StyledText(Wording.age(blocker.since, now: now)),
                ], note: StyledText(blocker.message))
        }
        return table.lines(width: width)
    }

    // MARK: Measurements

    private var measured: String? {
        let values = status.measurements
        var parts: [String] = []
        func add(_ name: String, _ value: String?) {
            if let value { parts.append("\(name) \(value)") }
        }
        if values.addedLatencyP50Ms != nil || values.addedLatencyP99Ms != nil {
            add(
                "added latency p50/p99",
                "\(Wording.milliseconds(values.addedLatencyP50Ms)) / \(Wording.milliseconds(values.addedLatencyP99Ms))")
        }
        add("largest sidecar", values.proxyMemoryBytes.map { Wording.mebibytes($0) })
        add("requests over mutual TLS", values.mutualTLSRequests.map(String.init))
        add("in plaintext", values.plaintextRequests.map(String.init))
        add("error ratio", Self.change(values.errorRatioBaseline, values.errorRatio, Wording.percent))
        add("p99", Self.change(values.latencyP99BaselineMs, values.latencyP99Ms, Wording.milliseconds))
        add("tries per request", values.retryAmplification.map(NumberText.significant))
        add("traces", values.tracesReceived.map(String.init))
        add(
            "first certificate ends in",
            values.certificateNotAfter.map { Wording.span($0.date.timeIntervalSince(now)) })
        guard !parts.isEmpty else { return nil }
        let age = values.at.map { " (\(Wording.age($0, now: now)) ago)" } ?? ""
        return parts.joined(separator: ", ") + age
    }

    /// `0.5 % (was 0.1 %)`.
    private static func change(_ before: Double?, _ after: Double?, _ text: (Double?) -> String) -> String? {
        guard let after else { return nil }
        return text(after) + (before.map { " (was \(text($0)))" } ?? "")
    }

    private func text(of exception: AdoptionException) -> String {
        var text = "\(exception.client) may speak plaintext to \(exception.workload ?? "all workloads")"
        if let port = exception.port { text += ", port \(port)" }
        return text + ", until \(exception.expires): \(exception.reason) (\(exception.owner))"
    }
}
