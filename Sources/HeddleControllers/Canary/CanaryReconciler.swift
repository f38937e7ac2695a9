package import FoundationEssentials
import HeddleAPI
package import KubeCore
package import KubeRuntime
package import MeshEvidence
import MeshModel
import MeshPlan

/// Runs releases: gathers the facts of one Canary, lets `ReleaseMachine` decide, carries out what it says.
package struct CanaryReconciler: Reconciler {
    let api: any ClusterAPI
    let stores: ClusterStores
    let routes: RouteWriter
    let evidence: EvidenceCollector
    let proxies: ProxyView
    let events: EventRecorder
    let prometheus: @Sendable () -> (any PrometheusQuerying)?
    let now: @Sendable () -> Date

    package init(
        api: any ClusterAPI, stores: ClusterStores, routes: RouteWriter, evidence: EvidenceCollector,
        proxies: ProxyView,
        events: EventRecorder, prometheus: @escaping @Sendable () -> (any PrometheusQuerying)?,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.api = api
        self.stores = stores
        self.routes = routes
        self.evidence = evidence
        self.proxies = proxies
        self.events = events
        self.prometheus = prometheus
        self.now = now
    }

    var finalizer: Finalizer { Finalizer(Self.finalizerName, of: .canaries, api: api) }
    /// On a Canary for as long as something of a release is there: a run, a held Deployment, a split.
    package static let finalizerName = "heddle.dev/release"

    /// What starts a look: the Canary, its Deployments and their ReplicaSets, its routes, its namespace's adoptions.
    package static func sources(_ stores: ClusterStores) -> [Controller.Source] {
        let canaries = stores.canaries
        @Sendable func targeting(_ namespace: String, _ deployment: String) -> [ObjectKey] {
            canaries.list(index: ClusterStores.byTarget, "\(namespace)/\(deployment)").map(\.key)
        }
        return [
            .primary(canaries),
            .owned(stores.deployments, by: .canaries),
            .watching(stores.deployments) { deployment in
                let own = targeting(deployment.namespace, deployment.name)
                // A hold that no Canary has any more is looked at under its own name.
                return own.isEmpty && isLeftBehind(deployment) ? [deployment.key] : own
            },
            .watching(stores.replicaSets) { set in
                let owner = set.controllerReference?.name ?? ""
                let target = owner.hasSuffix("-canary") ? String(owner.dropLast("-canary".count)) : owner
                return targeting(set.namespace, owner) + (target == owner ? [] : targeting(set.namespace, target))
            },
            .watching(stores.virtualServices) { routed(by: $0, canaries) },
            .watching(stores.destinationRules) { routed(by: $0, canaries) },
            .watching(stores.adoptions) { adoption in canaries.list(namespace: adoption.namespace).map(\.key) },
            .watching(stores.services) { service in
                canaries.list(index: ClusterStores.byService, "\(service.namespace)/\(service.name)").map(\.key)
            },
            // Read, too: a look before these caches are filled would miss a policy, a query or a sidecar.
            .watching(stores.servicePolicies) { _ in [] }, .watching(stores.metricTemplates) { _ in [] },
            .watching(stores.pods) { _ in [] }, .watching(stores.meshes) { _ in [] },
        ]
    }

    /// The canaries that a route object concerns: the ones of its Service, and all that are for a host that somebody
    /// else's object claims. A split that no Canary has is looked at under its own name.
    private static func routed(by route: KubeObject, _ canaries: Store) -> [ObjectKey] {
        guard let service = RouteWriter.service(of: route) else {
            return canaries.list(namespace: route.namespace).map(\.key)
        }
        let own = canaries.list(index: ClusterStores.byService, "\(service.namespace)/\(service.name)")
        return own.isEmpty ? [route.key] : own.map(\.key)
    }

    package func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        guard let object = stores.canaries.get(key) else {
            evidence.forget(key)
            try await removeAbandoned(in: key.namespace)
            return .done
        }
        let canary: Canary
        do throws(FieldError) {
            canary = try Canary(object)
        } catch {
            guard !object.isBeingDeleted else { return try await giveUp(object) }
            try await SpecRejection.write(
                error, Canary.problems(in: object), on: object, resource: .canaries, api: api, now: now())
            return .done
        }
        let facts = await gather(canary)
        if object.isBeingDeleted { return try await remove(canary, facts) }
        let decision = ReleaseMachine.decide(spec: canary.spec, status: canary.status, input: facts.input)
        try await confirm(decision, of: canary, facts)
        return try await carryOut(decision, of: canary, facts)
    }

    // MARK: Gather

    struct Facts {
        var input: ReleaseInput
        var deployment: KubeObject?
        var canaryDeployment: KubeObject?
        var replicaSets: [KubeObject] = []
        var routeConflict: RouteWriter.Conflict?
    }

    private func gather(_ canary: Canary) async -> Facts {
        let target = canary.spec.targetRef.name
        let service = ServiceID(namespace: canary.namespace, name: canary.spec.service.name)
        let deployment = stores.deployments.get(namespace: canary.namespace, name: target)
        let replicaSets = deployment.map(stores.replicaSets(of:)) ?? []
        let named = stores.deployments.get(namespace: canary.namespace, name: ReleaseActions.canaryName(of: target))
        let own = named.flatMap { $0.labels[HeddleLabel.canary] == canary.name ? $0 : nil }
        var input = ReleaseInput(
            now: Timestamp(now()), generation: canary.generation,
            deployment: deployment.map { DeploymentFacts(deployment: $0, replicaSets: replicaSets) })
        input.canary = own.map { CanaryDeploymentFacts(deployment: $0, replicaSets: stores.replicaSets(of: $0)) }
        input.approval = canary.object.annotations[HeddleAnnotation.approve]
        input.abort = canary.object.annotations[HeddleAnnotation.abort]
        input.route = RouteFacts(split: routes.split(of: service), isConfirmed: isConfirmed(service))
        let adoption = adoption(of: canary, deployment)
        input.adoptionHold = adoptionHold(canary, deployment, adoption)
        if let adoption, adoption.spec.targetPhase < .traffic { input.outlook = input.adoptionHold }
        let routeConflict = routes.conflict(on: service)
        input.conflict = conflict(canary, deployment, named) ?? routeConflict?.description
        if canary.status.phase.isRunning {
            let templates = stores.metricTemplates
            let look = await evidence.look(
                at: canary, with: prometheus(),
                templates: { templates.get(namespace: canary.namespace, name: $0)?.spec["query"]?.string }, now: now())
            input.metrics = look.metrics
            input.traffic = look.traffic
            input.now = Timestamp(now())
        }
        return Facts(
            input: input, deployment: deployment, canaryDeployment: own, replicaSets: replicaSets,
            routeConflict: input.conflict == routeConflict?.description ? routeConflict : nil)
    }

    private func isConfirmed(_ service: ServiceID) -> Bool {
        proxies.isSynced() && RouteWriter.sources(of: service).allSatisfy { proxies.rejection($0) == nil }
    }

    /// The Adoption that takes the Deployment into the mesh.
    private func adoption(of canary: Canary, _ deployment: KubeObject?) -> Adoption? {
        guard let deployment else { return nil }
        return stores.adoptions.list(namespace: canary.namespace).lazy.compactMap { try? Adoption($0) }
            .first { $0.spec.selector.matches(deployment.labels) }
    }

    private func adoptionHold(_ canary: Canary, _ deployment: KubeObject?, _ adoption: Adoption?) -> String? {
        guard let deployment else { return nil }
        if let adoption { return ReleaseInput.hold(by: adoption) }
        let pods = stores.pods(of: deployment)
        let bare = pods.filter { $0.labels[HeddleLabel.injected] != "true" }
        guard !bare.isEmpty else { return nil }
        return "\(bare.count) of \(pods.count) pods of \(deployment.name) have no sidecar, so traffic cannot be split. "
            + "Create an Adoption in namespace \(canary.namespace)."
    }

    /// - Parameter named: the Deployment of the name that the canary's has or would have.
    private func conflict(_ canary: Canary, _ deployment: KubeObject?, _ named: KubeObject?) -> String? {
        guard let deployment else { return nil }
        let rivals = stores.canaries.list(index: ClusterStores.byTarget, "\(canary.namespace)/\(deployment.name)")
        let order = { (object: KubeObject) in (object.creationTimestamp ?? .distantPast, object.name) }
        if let first = rivals.min(by: { order($0) < order($1) }), first.name != canary.name {
            return "Canary \(first.name) releases Deployment \(deployment.name) already. Delete one of the two."
        }
        if let named, named.labels[HeddleLabel.canary] == nil {
            return
                "Deployment \(named.name) is not Heddle's, and a release of \(deployment.name) needs one of that name. "
                + "Rename it, or delete it."
        }
        if let owner = deployment.controllerReference {
            return
                "Deployment \(deployment.name) is managed by \(owner.kind) \(owner.name), which would undo what a release "
                + "does. Release it there, or remove that owner."
        }
        guard stores.services.get(namespace: canary.namespace, name: canary.spec.service.name) != nil else {
            return "Service \(canary.spec.service.name) does not exist. Create it, or correct spec.service.name."
        }
        return nil
    }

    // MARK: Apply

    private func carryOut(
        _ decision: ReleaseDecision, of canary: Canary, _ facts: Facts
    ) async throws -> ReconcileResult {
        var canary = canary
        let isHolding = Self.isHolding(decision, facts.input)
        // From here on a deletion waits until all is undone.
        if isHolding { canary.object = try await finalizer.add(to: canary.object) }
        guard let object = try await apply(decision, to: canary, facts: facts) else {
            return .requeue(after: .seconds(1))
        }
        if !isHolding { try await finalizer.remove(from: object) }
        return decision.requeueAfterSeconds.map { .requeue(after: .seconds($0)) } ?? .done
    }

    /// Asks the API server before what would be hard to take back is done on the word of a cache.
    /// - Throws: `CacheBehind`.
    func confirm(_ decision: ReleaseDecision, of canary: Canary, _ facts: Facts) async throws {
        do {
            if decision.status.phase != canary.status.phase { try await confirmSeen(canary, facts.deployment) }
            try await confirmLost(canary, decision)
        } catch {
            // What this look read is in no status: the next one reads it again.
            evidence.forget(canary.key)
            throw error
        }
    }

    /// A run starts, ends or is superseded by the Deployment that is there, not by one that only a cache still shows, or does
    /// not show yet.
    private func confirmSeen(_ canary: Canary, _ deployment: KubeObject?) async throws {
        let (namespace, name) = (canary.namespace, canary.spec.targetRef.name)
        guard let deployment else {
            return try await CacheBehind.check(.deployments, namespace: namespace, name: name, api: api)
        }
        do {
            let live = try await api.get(.deployments, namespace: namespace, name: name)
            if live.uid != deployment.uid || live.generation != deployment.generation { throw CacheBehind() }
        } catch let error as APIError {
            throw error.isNotFound ? CacheBehind() : error as any Error
        }
    }

    /// A canary that carries traffic and has lost its pods is rolled back, and a split whose stable pods are lost is opened:
    /// not because a cache does not show them yet.
    private func confirmLost(_ canary: Canary, _ decision: ReleaseDecision) async throws {
        let status = canary.status
        var lost: [String?] = []
        if status.phase == .progressing || status.phase == .promoting, status.desiredWeightPercent > 0,
            decision.status.canaryReadyPods == 0
        {
            lost.append(status.canaryHash)
        }
        if status.phase.isRunning, decision.status.stableReadyPods == 0, decision.actions.contains(.removeSplit) {
            lost.append(status.stableHash)
        }
        for hash in lost.compactMap({ $0 }) {
            let pods = try await api.list(
                .pods, namespace: canary.namespace,
                labels: LabelSelector(matchLabels: [HeddleLabel.podTemplateHash: hash])
            ).items
            if pods.contains(where: { !$0.isBeingDeleted && WorkloadFacts.isReady($0) }) { throw CacheBehind() }
        }
    }

    /// Whether anything of Heddle's is there, or will be, that a deletion of the Canary has to undo.
    private static func isHolding(_ decision: ReleaseDecision, _ input: ReleaseInput) -> Bool {
        decision.status.phase.isRunning || decision.actions.contains(where: \.isChange) || input.canary != nil
            || input.route.split != nil || input.deployment?.heldChange != nil
    }

    /// Writes the decision's status, then does what it says.
    /// - Returns: the Canary's object as it is now; nil when nothing was done, since the caches are behind.
    func apply(_ decision: ReleaseDecision, to canary: Canary, facts: Facts) async throws -> KubeObject? {
        let actions = ReleaseActions(
            api: api, routes: routes, canary: canary, deployment: facts.deployment,
            canaryDeployment: facts.canaryDeployment,
            replicaSets: facts.replicaSets)
        var status = decision.status
        note(facts.routeConflict, in: &status, of: canary)
        let service = ServiceID(namespace: canary.namespace, name: canary.spec.service.name)
        let hasLeftovers =
            !status.phase.isRunning && decision.actions.isEmpty && routes.split(of: service) == nil
            && routes.hasSubsets(service)
        // The decision is written before it is carried out: a crash in between repeats the actions, never the decision.
        let object: KubeObject
        do {
            let current = try await DecisionGate(resource: .canaries, api: api).pass(
                status, of: canary.object, isActing: hasLeftovers || decision.actions.contains(where: \.isChange))
            guard let current else {
                evidence.forget(canary.key)
                return nil
            }
            object = current
        } catch {
            // What this look read is in no status: the next one reads from where the status stands.
            evidence.forget(canary.key)
            throw error
        }
        do {
            for action in decision.actions { try await actions.perform(action) }
            if hasLeftovers { try await routes.removeLeftovers(of: service) }
        } catch is RouteWriter.Conflict {
            // The next look finds it, and says it.
        }
        for case .event(let reason, let isWarning, let message) in decision.actions {
            events.record(isWarning ? .warning : .normal, reason: reason.rawValue, message: message, on: canary.object)
        }
        if !status.phase.isRunning { evidence.forget(canary.key) }
        return object
    }

    /// Says that somebody else's route is in the way, and takes it back when it is not any more.
    private func note(_ conflict: RouteWriter.Conflict?, in status: inout CanaryStatus, of canary: Canary) {
        let (type, reason) = (HeddleCondition.programmed.rawValue, ConditionReason.routeConflict.rawValue)
        if let conflict {
            status.conditions.set(
                Condition(
                    type: type, status: .false, reason: reason, message: conflict.description,
                    observedGeneration: canary.generation), at: now())
        } else if status.conditions[type]?.reason == reason {
            status.conditions.set(
                Condition(
                    type: type, status: .true, reason: ConditionReason.programmed.rawValue,
                    message: "No other route is in the way.", observedGeneration: canary.generation), at: now())
        }
    }
}
