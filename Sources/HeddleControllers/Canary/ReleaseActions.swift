import HeddleAPI
import KubeCore
import MeshModel
import MeshPlan

/// Carries out a release's actions. Each may be repeated without harm: a crash between two of them loses nothing.
struct ReleaseActions: Sendable {
    let api: any ClusterAPI
    let routes: RouteWriter
    let canary: Canary
    let deployment: KubeObject?
    let canaryDeployment: KubeObject?
    let replicaSets: [KubeObject]

    static func canaryName(of target: String) -> String { "\(target)-canary" }

    private var service: ServiceID { ServiceID(namespace: canary.namespace, name: canary.spec.service.name) }

    func perform(_ action: ReleaseAction) async throws {
        switch action {
        case .pauseDeployment(let change): try await patchTarget(paused: true, heldChange: .string(change))
        case .unpauseDeployment: try await patchTarget(paused: false, heldChange: .null)
        case .restoreStableTemplate(let hash): try await restoreTemplate(hash: hash)
        case .createCanary(let replicas): try await applyCanary(replicas: replicas)
        case .scaleCanary(let replicas):
            guard let canaryDeployment, canaryDeployment.spec["replicas"]?.int != replicas else { return }
            _ = try await api.patch(
                .deployments, namespace: canaryDeployment.namespace, name: canaryDeployment.name,
                fieldManager: HeddleFieldManager.canary, ["spec": ["replicas": .int(replicas)]])
        case .deleteCanary:
            guard let canaryDeployment, !canaryDeployment.isBeingDeleted else { return }
            try await api.delete(
                .deployments, namespace: canaryDeployment.namespace, name: canaryDeployment.name,
                uid: canaryDeployment.uid)
        case .setSplit(let split):
            try await confirmReady(split)
            try await routes.write(ServiceRouting(service: service, policy: routes.policy(of: service), split: split))
        case .removeSplit:
            try await routes.write(ServiceRouting(service: service, policy: routes.policy(of: service), split: nil))
        case .event: break
        }
    }

    /// No traffic to a track without ready pods, by the API server's word and not a cache's.
    /// - Throws: `CacheBehind`.
    private func confirmReady(_ split: ServiceRouting.Split) async throws {
        let shares = [
            (split.stableHash, 100 - split.canaryWeightPercent), (split.canaryHash, split.canaryWeightPercent),
        ]
        for (hash, share) in shares where share > 0 {
            let sets = try await api.list(
                .replicaSets, namespace: canary.namespace,
                labels: LabelSelector(matchLabels: [HeddleLabel.podTemplateHash: hash])
            ).items
            guard sets.contains(where: { ($0.status["readyReplicas"]?.int ?? 0) > 0 }) else { throw CacheBehind() }
        }
    }

    /// Guarded by the resource version, so that a template that came meanwhile is looked at before anything is rolled out.
    private func patchTarget(paused: Bool, heldChange: JSONValue) async throws {
        guard let deployment else { return }
        _ = try await api.patch(
            .deployments, namespace: deployment.namespace, name: deployment.name,
            fieldManager: HeddleFieldManager.canary,
            [
                "metadata": [
                    "resourceVersion": .string(deployment.resourceVersion),
                    "annotations": [HeddleAnnotation.heldChange: heldChange],
                ],
                "spec": ["paused": .bool(paused)],
            ])
    }

    private func restoreTemplate(hash: String) async throws {
        guard let deployment,
            let stable = replicaSets.first(where: { $0.labels[HeddleLabel.podTemplateHash] == hash }),
            var template = stable.spec["template"]
        else { return }
        template[path: "metadata", "labels", HeddleLabel.podTemplateHash] = .none
        var operations: [JSONValue] = [
            // Replaced by what it should be: a conflict when it is not.
            ["op": "replace", "path": "/metadata/resourceVersion", "value": .string(deployment.resourceVersion)],
            ["op": "replace", "path": "/spec/template", "value": template],
            ["op": "add", "path": "/spec/paused", "value": false],
        ]
        if deployment.annotations[HeddleAnnotation.heldChange] != nil {
            let name = HeddleAnnotation.heldChange.split(separator: "/").joined(separator: "~1")
            operations.append(["op": "remove", "path": .string("/metadata/annotations/\(name)")])
        }
        _ = try await api.patch(
            .deployments, namespace: deployment.namespace, name: deployment.name, type: .json,
            fieldManager: HeddleFieldManager.canary, .array(operations))
    }

    /// The canary runs the Deployment's template as it is, labels included: the user's policies and dashboards hold for it.
    private func applyCanary(replicas: Int) async throws {
        guard let deployment else { return }
        var object = KubeObject(
            .deployments, namespace: deployment.namespace, name: Self.canaryName(of: deployment.name))
        object.labels = [HeddleLabel.canary: canary.name, HeddleLabel.managedBy: "heddle"]
        object.ownerReferences = [canary.object.asController]
        var spec: JSONValue = ["replicas": .int(replicas)]
        for field in ["selector", "template", "minReadySeconds", "progressDeadlineSeconds"] {
            spec[field] = deployment.spec[field]
        }
        spec["strategy"] = ["type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": 0, "maxSurge": 1]]
        object.spec = spec
        try await api.apply(.deployments, object, fieldManager: HeddleFieldManager.canary, force: true)
    }
}
