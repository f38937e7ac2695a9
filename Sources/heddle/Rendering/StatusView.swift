import Foundation
import HeddleAPI
import KubeCore
import MeshEvidence

/// The cluster at a glance: its mesh, and one row for each Adoption, Canary and ServicePolicy.
struct StatusView: ScreenView {
    /// An object that this build cannot read, with the reason.
    struct Unreadable: Sendable, Hashable {
        var kind: String
        var key: ObjectKey
        var problem: FieldError
    }

    var meshes: [Mesh]
    var adoptions: [Adoption]
    var canaries: [Canary]
    var servicePolicies: [ServicePolicy]
    var unreadable: [Unreadable]
    var now: Date

    init(
        meshes: [Mesh], adoptions: [Adoption] = [], canaries: [Canary] = [], servicePolicies: [ServicePolicy] = [],
        unreadable: [Unreadable] = [], now: Date
    ) {
        self.meshes = meshes
        self.adoptions = adoptions
        self.canaries = canaries
        self.servicePolicies = servicePolicies
        self.unreadable = unreadable
        self.now = now
    }

    func styledLines(width: Int) -> [StyledText] {
        var sections = [meshLines(width)]
        for section in [adoptionLines(width), canaryLines(width), policyLines(width), unreadableLines(width)]
        where !section.isEmpty {
            sections.append(section)
        }
        if sections.count == 1 { sections.append(["No Adoption, Canary or ServicePolicy."]) }
        return Array(sections.joined(separator: [""]))
    }

    private func meshLines(_ width: Int) -> [StyledText] {
        let isUnreadable = unreadable.contains { $0.kind == MeshSpec.resource.kind }
        guard !meshes.isEmpty else { return isUnreadable ? [] : ["No Mesh: apply one, named default, to begin."] }
        var table = TextTable(
            ["MESH", "PROVIDER", "TRUST DOMAIN", "PROXIES", "SYNCED", "CA ENDS"], right: ["PROXIES", "SYNCED"],
            flexible: "TRUST DOMAIN")
        var troubles: [StyledText] = []
        for mesh in meshes {
            let proxies = mesh.status.proxies
            table.add([
                StyledText(mesh.name, .strong), StyledText(mesh.spec.provider.rawValue),
                StyledText(mesh.spec.trustDomain),
                StyledText("\(proxies.connected)"),
                StyledText("\(proxies.synced)", proxies.synced < proxies.connected ? .warning : nil), authority(mesh),
            ])
            troubles += conditionLines(mesh, width)
        }
        return table.lines(width: width) + troubles
    }

    private func authority(_ mesh: Mesh) -> StyledText {
        guard let end = mesh.status.certificateAuthority.notAfter else { return StyledText(Wording.unknown) }
        let left = end.date.timeIntervalSince(now)
        return left > 0
            ? StyledText("in \(Wording.span(left))", left < 30 * 86400 ? .warning : nil) : StyledText("expired", .bad)
    }

    /// One line a condition; the sentence only where something is wrong.
    private func conditionLines(_ mesh: Mesh, _ width: Int) -> [StyledText] {
        mesh.status.conditions.flatMap { condition -> [StyledText] in
            let label = "  \(condition.type) "
            let isGood = condition.status == .true
            let text =
                isGood ? condition.reason : "\(condition.status.rawValue), \(condition.reason): \(condition.message)"
            return Paragraph.labelled(label, text, condition.tint, labelWidth: max(30, label.count), width: width)
        }
    }

    private func adoptionLines(_ width: Int) -> [StyledText] {
        guard !adoptions.isEmpty else { return [] }
        var table = TextTable(
            ["NAMESPACE", "ADOPTION", "PHASE", "TARGET", "STATE", "MESHED", "STRICT", "MESSAGE"],
            right: ["MESHED", "STRICT"], flexible: "MESSAGE")
        for adoption in sorted(adoptions) {
            let status = adoption.status
            let total = status.workloads.count
            let meshed = status.workloads.filter { $0.podsTotal > 0 && $0.podsMeshed == $0.podsTotal }.count
            let strict = status.workloads.filter { $0.mtls == .strict }.count
            table.add([
                StyledText(adoption.namespace), StyledText(adoption.name, .strong), StyledText(status.phase.rawValue),
                StyledText(adoption.spec.targetPhase.rawValue), StyledText(status.state.rawValue, status.state.tint),
                StyledText("\(meshed)/\(total)"), StyledText("\(strict)/\(total)"), StyledText(status.message ?? ""),
            ])
        }
        return table.lines(width: width)
    }

    private func canaryLines(_ width: Int) -> [StyledText] {
        guard !canaries.isEmpty else { return [] }
        var table = TextTable(
            ["NAMESPACE", "CANARY", "PHASE", "STEP", "DESIRED", "MEASURED", "MESSAGE"],
            right: ["STEP", "DESIRED", "MEASURED"], flexible: "MESSAGE")
        for canary in sorted(canaries) {
            let status = canary.status
            let step = status.phase == .progressing ? status.step.map { "\($0 + 1)/\(canary.spec.steps.count)" } : nil
            table.add([
                StyledText(canary.namespace), StyledText(canary.name, .strong),
                StyledText(status.phase.rawValue, status.phase.tint), StyledText(step ?? Wording.unknown),
                StyledText("\(status.desiredWeightPercent) %"),
                StyledText(status.observedWeightPercent.map { "\(NumberText.significant($0)) %" } ?? Wording.unknown),
                StyledText(status.message ?? ""),
            ])
        }
        return table.lines(width: width)
    }

    private func policyLines(_ width: Int) -> [StyledText] {
        guard !servicePolicies.isEmpty else { return [] }
        var table = TextTable(
            ["NAMESPACE", "SERVICEPOLICY", "SERVICE", "PROGRAMMED", "READY", "MESSAGE"], flexible: "MESSAGE")
        for policy in sorted(servicePolicies) {
            let conditions = policy.status.conditions
            // The first condition that is not as it should be says most.
            let trouble = conditions.first { $0.status != .true }
            func cell(_ type: HeddleCondition) -> StyledText {
                let condition = conditions[type.rawValue]
                return StyledText(condition?.status.rawValue ?? "Unknown", condition?.tint ?? .warning)
            }
            table.add([
                StyledText(policy.namespace), StyledText(policy.name, .strong), StyledText(policy.spec.service),
                cell(.programmed), cell(.ready), StyledText(trouble?.message ?? ""),
            ])
        }
        return table.lines(width: width)
    }

    private func unreadableLines(_ width: Int) -> [StyledText] {
        unreadable.flatMap { entry in
            Paragraph.labelled(
                "\(entry.kind) \(entry.key) ", "is not valid: \(entry.problem)", .bad,
                labelWidth: "\(entry.kind) \(entry.key) ".count, width: width)
        }
    }

    private func sorted<Spec, Status>(_ resources: [Resource<Spec, Status>]) -> [Resource<Spec, Status>] {
        resources.sorted { $0.key < $1.key }
    }
}
