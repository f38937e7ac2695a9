import HeddleAPI
import KubeCore
import KubeRuntime
import MeshModel
import MeshPlan

/// How a Canary leaves: everything is as its user had it before the object may go, and what was left behind all the same
/// (somebody took the finalizer away) is cleaned up when it is seen.
extension CanaryReconciler {
    func remove(_ canary: Canary, _ facts: Facts) async throws -> ReconcileResult {
        // Without the finalizer somebody else holds the object, and nothing of ours is there.
        guard finalizer.isOn(canary.object) else { return .done }
        let decision = ReleaseMachine.decideRemoval(spec: canary.spec, status: canary.status, input: facts.input)
        try await confirm(decision, of: canary, facts)
        guard let object = try await apply(decision, to: canary, facts: facts) else {
            return .requeue(after: .seconds(1))
        }
        if decision.isRemoved {
            try await confirmRemoved(canary, object)
            evidence.forget(canary.key)
            return .done
        }
        return .requeue(after: .seconds(decision.requeueAfterSeconds ?? 1))
    }

    /// Takes the finalizer away, once the API server itself has nothing of the Canary's any more: after that nobody looks.
    private func confirmRemoved(_ canary: Canary, _ object: KubeObject) async throws {
        let target = canary.spec.targetRef.name
        do {
            let deployment = try await api.get(.deployments, namespace: canary.namespace, name: target)
            if deployment.annotations[HeddleAnnotation.heldChange] != nil { throw CacheBehind() }
        } catch {
            if (error as? APIError)?.isNotFound != true { throw error }
        }
        do {
            let own = try await api.get(
                .deployments, namespace: canary.namespace, name: ReleaseActions.canaryName(of: target))
            if own.labels[HeddleLabel.canary] == canary.name { throw CacheBehind() }
        } catch {
            if (error as? APIError)?.isNotFound != true { throw error }
        }
        try await finalizer.remove(from: object)
    }

    /// A Canary whose spec or status cannot be read is deleted: what carries its name goes at once.
    func giveUp(_ object: KubeObject) async throws -> ReconcileResult {
        guard finalizer.isOn(object) else { return .done }
        let target = object.spec[path: "targetRef", "name"]?.string ?? ""
        let service = ServiceID(
            namespace: object.namespace, name: object.spec[path: "service", "name"]?.string ?? "")
        if routes.split(of: service) != nil {
            try await routes.write(ServiceRouting(service: service, policy: routes.policy(of: service), split: nil))
        }
        try await removeCanaryDeployments(of: object.name, in: object.namespace)
        if let deployment = stores.deployments.get(namespace: object.namespace, name: target),
            deployment.annotations[HeddleAnnotation.heldChange] != nil
        {
            try await resume(deployment)
        }
        try await finalizer.remove(from: object)
        return .done
    }

    /// What no Canary has any more: splits, canary Deployments and holds of a namespace.
    func removeAbandoned(in namespace: String) async throws {
        let left = Left(stores, namespace, routes)
        guard !left.isEmpty else { return }
        // The cache may not know a Canary yet: what is to go is asked for anew.
        let canaries = try await api.list(.canaries, namespace: namespace).items
        let services = Set(canaries.compactMap { $0.spec[path: "service", "name"]?.string })
        let targets = Set(canaries.compactMap { $0.spec[path: "targetRef", "name"]?.string })
        let names = Set(canaries.map(\.name))
        for service in left.services where !services.contains(service.name) {
            if routes.split(of: service) != nil {
                try await routes.write(ServiceRouting(service: service, policy: routes.policy(of: service), split: nil))
            } else {
                try await routes.removeLeftovers(of: service)
            }
        }
        for deployment in left.deployments {
            if let name = deployment.labels[HeddleLabel.canary] {
                if !names.contains(name) { try await removeCanaryDeployments(of: name, in: namespace) }
            } else if !targets.contains(deployment.name) {
                try await resume(deployment)
            }
        }
    }

    /// What in the caches belongs to no Canary of the caches.
    private struct Left {
        var services: [ServiceID]
        var deployments: [KubeObject]
        var isEmpty: Bool { services.isEmpty && deployments.isEmpty }

        init(_ stores: ClusterStores, _ namespace: String, _ routes: RouteWriter) {
            services = routes.services(in: namespace).filter { service in
                (routes.split(of: service) != nil || routes.hasSubsets(service))
                    && stores.canaries.list(
                        index: ClusterStores.byService, "\(service.namespace)/\(service.name)"
                    ).isEmpty
            }
            deployments = stores.deployments.list(namespace: namespace).filter { deployment in
                guard CanaryReconciler.isLeftBehind(deployment) else { return false }
                if let name = deployment.labels[HeddleLabel.canary] {
                    return stores.canaries.get(namespace: namespace, name: name) == nil
                }
                return stores.canaries.list(index: ClusterStores.byTarget, "\(namespace)/\(deployment.name)").isEmpty
            }
        }
    }

    /// Whether a Deployment is what a release leaves: its canary, or one that it holds.
    static func isLeftBehind(_ deployment: KubeObject) -> Bool {
        deployment.annotations[HeddleAnnotation.heldChange] != nil || deployment.labels[HeddleLabel.canary] != nil
    }

    private func removeCanaryDeployments(of name: String, in namespace: String) async throws {
        for deployment in stores.deployments.list(namespace: namespace)
        where deployment.labels[HeddleLabel.canary] == name && !deployment.isBeingDeleted {
            try await api.delete(.deployments, namespace: namespace, name: deployment.name, uid: deployment.uid)
        }
    }

    private func resume(_ deployment: KubeObject) async throws {
        _ = try await api.patch(
            .deployments, namespace: deployment.namespace, name: deployment.name,
            fieldManager: HeddleFieldManager.canary,
            [
                "metadata": [
                    "resourceVersion": .string(deployment.resourceVersion),
                    "annotations": [HeddleAnnotation.heldChange: .null],
                ],
                "spec": ["paused": false],
            ])
    }
}
