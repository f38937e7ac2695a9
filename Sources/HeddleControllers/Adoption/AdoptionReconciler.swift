package import FoundationEssentials
import HeddleAPI
package import KubeCore
package import KubeRuntime
import MeshDialects
package import MeshEvidence
import MeshModel
import MeshPlan

/// Takes namespaces into the mesh: gathers the facts of one Adoption, lets `AdoptionMachine` decide, carries out what it
/// says.
package struct AdoptionReconciler: Reconciler {
    let api: any ClusterAPI
    let stores: ClusterStores
    let observer: AdoptionObserver
    let proxies: ProxyView
    let events: EventRecorder
    let prometheus: @Sendable () -> (any PrometheusQuerying)?
    let now: @Sendable () -> Date

    package init(
        api: any ClusterAPI, stores: ClusterStores, observer: AdoptionObserver, proxies: ProxyView,
        events: EventRecorder,
        prometheus: @escaping @Sendable () -> (any PrometheusQuerying)?,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.api = api
        self.stores = stores
        self.observer = observer
        self.proxies = proxies
        self.events = events
        self.prometheus = prometheus
        self.now = now
    }

    package static func sources(_ stores: ClusterStores) -> [Controller.Source] {
        let adoptions = stores.adoptions
        @Sendable func all(_ object: KubeObject) -> [ObjectKey] {
            adoptions.list(namespace: object.namespace).map(\.key)
        }
        return [
            .primary(adoptions), .watching(stores.deployments, all), .watching(stores.pods, all),
            .watching(stores.peerAuthentications, all),
            // Read, too: a look before these caches are filled would find workloads without pods.
            .watching(stores.replicaSets) { _ in [] }, .watching(stores.services) { _ in [] },
            .watching(stores.meshes) { _ in [] },
        ]
    }

    package func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        guard let object = stores.adoptions.get(key), !object.isBeingDeleted else {
            observer.forget(key)
            return .done
        }
        let adoption: Adoption
        do throws(FieldError) {
            adoption = try Adoption(object)
        } catch {
            try await SpecRejection.write(
                error, Adoption.problems(in: object), on: object, resource: .adoptions, api: api, now: now())
            return .done
        }
        try await confirmGone(adoption)
        let input = await gather(adoption)
        let decision = AdoptionMachine.decide(spec: adoption.spec, status: adoption.status, input: input)
        for case .restartWorkload(let name, _) in decision.actions { try await confirmSeen(name, of: adoption) }
        // What undoes a change is in the status before the change is made.
        guard
            try await DecisionGate(resource: .adoptions, api: api).pass(
                decision.status, of: object, isActing: decision.actions.contains(where: \.isChange)) != nil
        else { return .requeue(after: .seconds(1)) }
        for action in decision.actions { try await perform(action, for: adoption) }
        return decision.requeueAfterSeconds.map { .requeue(after: .seconds($0)) } ?? .done
    }

    // MARK: Gather

    /// What is known of a workload, and what undoes its changes, is forgotten with its Deployment: not because a cache does
    /// not show it yet.
    private func confirmGone(_ adoption: Adoption) async throws {
        for workload in adoption.status.workloads
        where stores.deployments.get(namespace: adoption.namespace, name: workload.name) == nil {
            try await CacheBehind.check(.deployments, namespace: adoption.namespace, name: workload.name, api: api)
        }
    }

    /// A restart is for pods that run without a sidecar: not for ones that only a cache still shows.
    private func confirmSeen(_ name: String, of adoption: Adoption) async throws {
        guard let deployment = stores.deployments.get(namespace: adoption.namespace, name: name) else { return }
        let live = try await api.get(.deployments, namespace: adoption.namespace, name: name)
        guard live.generation == deployment.generation, live.uid == deployment.uid else { throw CacheBehind() }
        let labels = deployment.spec[path: "selector", "matchLabels"]?.stringMap ?? [:]
        guard !labels.isEmpty else { return }
        let pods = try await api.list(
            .pods, namespace: adoption.namespace, labels: LabelSelector(matchLabels: labels)
        ).items
        let cached = Set(stores.pods(of: deployment).filter { !$0.isBeingDeleted }.map(\.uid))
        // Canary pods have the same labels, and another owner.
        let others = Set(
            stores.replicaSets.list(namespace: adoption.namespace).filter {
                $0.controllerReference?.uid != deployment.uid
            }.map(\.uid))
        let unknown = pods.contains { pod in
            !pod.isBeingDeleted && !cached.contains(pod.uid) && !others.contains(pod.controllerReference?.uid ?? "")
        }
        let isGone = !cached.isSubset(of: pods.map(\.uid))
        if unknown || isGone { throw CacheBehind() }
    }

    private func gather(_ adoption: Adoption) async -> AdoptionInput {
        let deployments = stores.deployments.list(namespace: adoption.namespace).filter { deployment in
            adoption.spec.selector.matches(deployment.labels) && deployment.labels[HeddleLabel.canary] == nil
                && !deployment.isBeingDeleted
                && deployment.spec[path: "template", "metadata", "labels", HeddleLabel.inject]?.string != "false"
                && deployment.spec[path: "template", "metadata", "annotations", HeddleAnnotation.inject]?.string
                    != "false"
        }
        let synced = proxies.syncedPods()
        var input = AdoptionInput(
            now: Timestamp(now()), generation: adoption.generation,
            workloads: deployments.map { deployment in
                let pods = stores.pods(of: deployment)
                var facts = WorkloadFacts(deployment: deployment, pods: pods)
                let living = pods.filter { !$0.isBeingDeleted }
                facts.areProxiesSynced = living.allSatisfy { synced.contains($0.key) }
                // Known only when it is known of every pod.
                let ends = living.map { proxies.certificateNotAfter($0.key) }
                if !ends.contains(nil) { facts.certificateNotAfter = ends.compactMap { $0 }.min().map(Timestamp.init) }
                return facts
            })
        await observer.measure(
            &input, of: adoption,
            names: MetricNames(stores: stores, namespace: adoption.namespace, workloads: deployments),
            with: prometheus(), now: now())
        input.strayPolicies = strayPolicies(in: adoption.namespace)
        for object in stores.peerAuthentications.list(namespace: adoption.namespace) {
            guard let policy = IstioPeerAuthentication.read(object).value else { continue }
            if object.labels[HeddleLabel.managedBy] == "heddle" {
                input.policies.append(
                    PeerPolicyIntent(
                        name: object.name, selector: policy.selector, mode: policy.mode ?? .permissive,
                        portModes: policy.portModes))
            } else if policy.mode != nil || !policy.portModes.isEmpty {
                input.foreignPolicies[object.name] =
                    "\(object.reference) sets \(policy.mode?.rawValue ?? "port modes") and is not Heddle's"
            }
        }
        return input
    }

    /// Heddle's policies for workloads that are gone, or that no Adoption selects any more.
    private func strayPolicies(in namespace: String) -> [String] {
        let policies = stores.peerAuthentications.list(namespace: namespace).filter {
            $0.labels[HeddleLabel.managedBy] == "heddle" && $0.name != PeerPolicyIntent.namespaceName
        }
        guard !policies.isEmpty else { return [] }
        let adoptions = stores.adoptions.list(namespace: namespace).compactMap { try? Adoption($0) }
        let selected = stores.deployments.list(namespace: namespace).filter { deployment in
            adoptions.contains { $0.spec.selector.matches(deployment.labels) }
        }
        let wanted = Set(selected.map { PeerPolicyIntent.name(workload: $0.name) })
        return policies.map(\.name).filter { !wanted.contains($0) }
    }

    // MARK: Apply

    private func perform(_ action: AdoptionAction, for adoption: Adoption) async throws {
        switch action {
        case .restartWorkload(let name, let at):
            try await applyTemplate(
                adoption.namespace, name,
                [
                    "labels": [HeddleLabel.inject: "true"],
                    "annotations": [HeddleAnnotation.restartedAt: .string(at.description)],
                ])
        case .restoreWorkload(let name): try await applyTemplate(adoption.namespace, name, nil)
        case .setPeerPolicy(let intent):
            let spec = IstioPeerAuthentication.spec(
                selector: intent.selector, mode: intent.mode, portModes: intent.portModes)
            let current = stores.peerAuthentications.get(namespace: adoption.namespace, name: intent.name)
            if let current, current.labels[HeddleLabel.managedBy] != "heddle" { return report(current, on: adoption) }
            guard current?.spec != spec else { return }
            var object = KubeObject(.peerAuthentications, namespace: adoption.namespace, name: intent.name)
            object.labels = [HeddleLabel.managedBy: "heddle"]
            object.spec = spec
            try await api.apply(.peerAuthentications, object, fieldManager: HeddleFieldManager.adoption, force: true)
        case .removePeerPolicy(let name):
            guard let current = stores.peerAuthentications.get(namespace: adoption.namespace, name: name),
                current.labels[HeddleLabel.managedBy] == "heddle"
            else { return }
            try await api.delete(.peerAuthentications, namespace: adoption.namespace, name: name, uid: current.uid)
        case .event(let reason, let isWarning, let message):
            events.record(
                isWarning ? .warning : .normal, reason: reason.rawValue, message: message, on: adoption.object)
        }
    }

    private func report(_ foreign: KubeObject, on adoption: Adoption) {
        events.record(
            .warning, reason: ConditionReason.fieldConflict.rawValue,
            message:
                "\(foreign.reference) has the name that Heddle needs, and is not Heddle's. Rename it, or delete it.",
            on: adoption.object)
    }

    /// Owns nothing of the Deployment but what it says of the template's metadata; nil gives that up again.
    private func applyTemplate(_ namespace: String, _ name: String, _ metadata: JSONValue?) async throws {
        guard stores.deployments.get(namespace: namespace, name: name) != nil else { return }
        var object = KubeObject(.deployments, namespace: namespace, name: name)
        if let metadata { object.spec = ["template": ["metadata": metadata]] }
        try await api.apply(.deployments, object, fieldManager: HeddleFieldManager.adoption, force: true)
    }
}
