import HeddleAPI
import KubeCore
import MeshPlan

/// What a person may ask of a release. Each request names the run that it is for, so that one which arrives late asks
/// nothing of the next run; each answers with the sentence that tells what was asked.
struct ReleaseRequests: Sendable {
    static let fieldManager = "heddle-cli"

    private let finder: ResourceFinder

    init(_ finder: ResourceFinder) { self.finder = finder }

    func approve(_ name: String, promote: Bool) async throws -> String {
        let canary = try await finder.find(Canary.self, name)
        let runId = try running(canary)
        let status = canary.status
        if promote {
            guard status.phase == .starting || status.phase == .progressing else {
                throw CommandFailure("Canary \(canary.key) is \(status.phase.rawValue): there is no step left to skip")
            }
            try await annotate(canary, HeddleAnnotation.approve, "\(runId)/promote")
            return "Canary \(canary.key): run \(runId) is to be promoted now."
        }
        guard status.phase == .progressing, let index = status.step, canary.spec.steps.indices.contains(index),
            canary.spec.steps[index].pause
        else {
            throw CommandFailure(
                "Canary \(canary.key) is \(status.phase.rawValue) and at no step that asks for approval; --promote skips the steps"
            )
        }
        try await annotate(canary, HeddleAnnotation.approve, "\(runId)/\(index)")
        return "Canary \(canary.key): step \(index + 1) of \(canary.spec.steps.count) of run \(runId) is approved."
    }

    func abort(_ name: String) async throws -> String {
        let canary = try await finder.find(Canary.self, name)
        let runId = try running(canary)
        guard canary.status.phase != .rollingBack else {
            throw CommandFailure("Canary \(canary.key) is rolling back already")
        }
        try await annotate(canary, HeddleAnnotation.abort, runId)
        return "Canary \(canary.key): run \(runId) is to go back to 0 %."
    }

    func undo(_ name: String) async throws -> String {
        let canary = try await finder.find(Canary.self, name)
        let target = canary.spec.targetRef.name
        guard let deployment = try await finder.api.find(.deployments, namespace: canary.namespace, name: target) else {
            throw CommandFailure("Deployment \(target) of Canary \(canary.key) does not exist")
        }
        guard let hash = canary.status.stableHash else {
            throw CommandFailure(
                "Canary \(canary.key) does not know a stable template yet: it has not looked at the Deployment")
        }
        let sets = try await finder.api.list(.replicaSets, namespace: canary.namespace).items
        guard
            let stable = sets.first(where: {
                $0.labels[HeddleLabel.podTemplateHash] == hash && $0.controllerReference?.uid == deployment.uid
            }), var template = stable.spec["template"]
        else {
            throw CommandFailure(
                "the ReplicaSet \(target)-\(hash) with the stable template is gone; apply that template again from its source"
            )
        }
        template[path: "metadata", "labels", HeddleLabel.podTemplateHash] = .none
        let isStable =
            ChangeHash.of(template: template) == ChangeHash.of(template: deployment.spec["template"] ?? [:])
        let isPaused = deployment.spec["paused"]?.bool ?? false
        if isStable, !isPaused { return "Deployment \(deployment.key) has the stable template (\(hash)) already." }
        // The test keeps a template that arrives in this very moment from being overwritten unseen.
        _ = try await finder.api.patch(
            .deployments, namespace: deployment.namespace, name: deployment.name, type: .json,
            fieldManager: Self.fieldManager,
            [
                ["op": "test", "path": "/metadata/resourceVersion", "value": .string(deployment.resourceVersion)],
                ["op": "replace", "path": "/spec/template", "value": template],
                ["op": "add", "path": "/spec/paused", "value": false],
            ])
        return "Deployment \(deployment.key) has the stable template (\(hash)) again and is resumed."
    }

    private func running(_ canary: Canary) throws(CommandFailure) -> String {
        guard canary.status.phase.isRunning, let runId = canary.status.runId else {
            throw CommandFailure("Canary \(canary.key) is \(canary.status.phase.rawValue): no release is under way")
        }
        return runId
    }

    private func annotate(_ canary: Canary, _ annotation: String, _ value: String) async throws {
        _ = try await finder.api.patch(
            .canaries, namespace: canary.namespace, name: canary.name, fieldManager: Self.fieldManager,
            ["metadata": ["annotations": [annotation: .string(value)]]])
    }
}
