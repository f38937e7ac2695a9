import FoundationEssentials
import KubeCore

/// The Deployment controller's decision: from a Deployment and its ReplicaSets to the next writes.
///
/// Follows kube-controller-manager's rules: one resize a step, the next when its effect is seen. No clock, no client.
struct DeploymentRollout {
    enum Action: Equatable {
        case create(KubeObject)
        /// A merge patch of a ReplicaSet.
        case patch(name: String, JSONValue)
        case delete(name: String)
        /// A merge patch of the Deployment's metadata.
        case annotate(JSONValue)
        case status(JSONValue)
        /// The name for the new ReplicaSet is taken by another template: try again with another hash.
        case countCollision(Int)
    }

    let deployment: DeploymentView
    /// Owned ReplicaSets, oldest first.
    private(set) var replicaSets: [KubeObject]
    let now: Date
    private(set) var actions: [Action] = []
    private var current: Int?

    private init(_ deployment: KubeObject, _ replicaSets: [KubeObject], now: Date) {
        self.deployment = DeploymentView(object: deployment)
        self.replicaSets = replicaSets.sorted {
            ($0.creationTimestamp ?? .distantPast, $0.name) < ($1.creationTimestamp ?? .distantPast, $1.name)
        }
        self.now = now
        current = self.replicaSets.firstIndex { self.deployment.runs($0) }
    }

    static func decide(_ deployment: KubeObject, _ replicaSets: [KubeObject], now: Date) -> [Action] {
        var rollout = Self(deployment, replicaSets, now: now)
        if !deployment.isBeingDeleted { rollout.advance() }
        rollout.writeStatus()
        return rollout.actions
    }

    private var newReplicaSet: KubeObject? { current.map { replicaSets[$0] } }
    private var oldIndices: [Int] { replicaSets.indices.filter { $0 != current } }
    private func total(_ value: (KubeObject) -> Int) -> Int { replicaSets.reduce(0) { $0 + value($1) } }

    private mutating func advance() {
        let isScaling = replicaSets.contains {
            guard $0.desiredReplicas > 0, let desired = $0.annotations[DeploymentView.desiredReplicasAnnotation] else {
                return false
            }
            return Int(desired) != deployment.replicas
        }
        if deployment.isPaused || isScaling {
            if let current { refresh(current) }
            scale()
            if deployment.isPaused { cleanUp() }
            return
        }
        if deployment.recreates { recreate() } else { roll() }
        if isComplete { cleanUp() }
    }

    // MARK: Rolling update and Recreate

    private mutating func roll() {
        guard let index = ensureNew() else { return }
        if replicaSets[index].desiredReplicas != deployment.replicas {
            let size =
                replicaSets[index].desiredReplicas > deployment.replicas ? deployment.replicas : newReplicas(index)
            if resize(index, to: size) { return }
        }
        let minAvailable = deployment.replicas - deployment.maxUnavailable
        let unavailableNew = replicaSets[index].desiredReplicas - replicaSets[index].availableReplicas
        let room = total(\.desiredReplicas) - minAvailable - unavailableNew
        guard room > 0, oldIndices.contains(where: { replicaSets[$0].desiredReplicas > 0 }) else { return }
        var left = room
        for index in oldIndices {
            let unhealthy = replicaSets[index].desiredReplicas - replicaSets[index].availableReplicas
            let count = min(left, max(0, unhealthy))
            guard count > 0 else { continue }
            resize(index, to: replicaSets[index].desiredReplicas - count)
            left -= count
        }
        var surplus = total(\.availableReplicas) - minAvailable
        for index in oldIndices where surplus > 0 && replicaSets[index].desiredReplicas > 0 {
            let count = min(replicaSets[index].desiredReplicas, surplus)
            resize(index, to: replicaSets[index].desiredReplicas - count)
            surplus -= count
        }
    }

    private mutating func recreate() {
        let old = oldIndices
        for index in old { resize(index, to: 0) }
        guard old.allSatisfy({ replicaSets[$0].actualReplicas == 0 }) else { return }
        if let index = ensureNew() { resize(index, to: deployment.replicas) }
    }

    /// How large the new ReplicaSet may be within the surge.
    private func newReplicas(_ index: Int?) -> Int {
        let size = index.map { replicaSets[$0].desiredReplicas } ?? 0
        if deployment.recreates { return deployment.replicas }
        let room = deployment.replicas + deployment.maxSurge - total(\.desiredReplicas)
        return room <= 0 ? size : size + min(room, deployment.replicas - size)
    }

    // MARK: The new ReplicaSet

    /// The ReplicaSet of the present template; nil when it was only now asked for.
    private mutating func ensureNew() -> Int? {
        if let current {
            refresh(current)
            return current
        }
        let collisions = deployment.object.status["collisionCount"]?.int ?? 0
        let hash = DeploymentView.hash(template: deployment.template, collisions: collisions)
        let name = "\(deployment.object.name)-\(hash)"
        if replicaSets.contains(where: { $0.name == name }) {
            actions.append(.countCollision(collisions + 1))
            return nil
        }
        var replicaSet = KubeObject(.replicaSets, namespace: deployment.object.namespace, name: name)
        var template = deployment.template
        template.set(.string(hash), at: ["metadata", "labels", DeploymentView.hashLabel])
        replicaSet.labels = template[path: "metadata", "labels"]?.stringMap ?? [:]
        replicaSet.annotations = deployment.inheritedAnnotations.merging(deployment.sizeAnnotations) { $1 }
            .merging([DeploymentView.revisionAnnotation: String(nextRevision)]) { $1 }
        replicaSet.ownerReferences = [deployment.object.asController]
        var selector = deployment.object.spec["selector"] ?? [:]
        selector.set(.string(hash), at: ["matchLabels", DeploymentView.hashLabel])
        replicaSet.spec = [
            "replicas": .int(newReplicas(nil)), "minReadySeconds": .int(deployment.minReadySeconds),
            "selector": selector,
            "template": template,
        ]
        actions.append(.create(replicaSet))
        noteRevision(nextRevision)
        return nil
    }

    private var nextRevision: Int { (oldIndices.map { replicaSets[$0].revision }.max() ?? 0) + 1 }

    /// Keeps the current ReplicaSet's annotations, revision and `minReadySeconds` as the Deployment says.
    private mutating func refresh(_ index: Int) {
        let replicaSet = replicaSets[index]
        var wanted = deployment.inheritedAnnotations
        if replicaSet.revision < nextRevision {
            wanted[DeploymentView.revisionAnnotation] = String(nextRevision)
            if replicaSet.revision > 0 {
                let history = replicaSet.annotations[DeploymentView.revisionHistoryAnnotation].map { $0 + "," } ?? ""
                wanted[DeploymentView.revisionHistoryAnnotation] = history + String(replicaSet.revision)
            }
        }
        var patch: JSONValue = [:]
        let changed = wanted.filter { replicaSet.annotations[$0.key] != $0.value }
        if !changed.isEmpty { patch["metadata"] = ["annotations": JSONValue(changed)] }
        if (replicaSet.spec["minReadySeconds"]?.int ?? 0) != deployment.minReadySeconds {
            patch["spec"] = ["minReadySeconds": .int(deployment.minReadySeconds)]
        }
        if patch != [:] { apply(patch, to: index) }
        noteRevision(replicaSets[index].revision)
    }

    private mutating func noteRevision(_ revision: Int) {
        guard revision > 0, deployment.object.revision != revision else { return }
        actions.append(.annotate([DeploymentView.revisionAnnotation: .string(String(revision))]))
    }

    // MARK: Scaling

    /// Resizes without a rollout: one active ReplicaSet as a whole, several in proportion.
    private mutating func scale() {
        if let only = activeOrLatest {
            resize(only, to: deployment.replicas)
            return
        }
        if let current, isSaturated(current) {
            for index in oldIndices { resize(index, to: 0) }
            return
        }
        guard !deployment.recreates else { return }
        let active = replicaSets.indices.filter { replicaSets[$0].desiredReplicas > 0 }
        let allowed = deployment.replicas > 0 ? deployment.replicas + deployment.maxSurge : 0
        let toAdd = allowed - active.reduce(0) { $0 + replicaSets[$1].desiredReplicas }
        // Larger first; of equal ones the newer when growing, the older when shrinking.
        let order = active.sorted { a, b in
            let (x, y) = (replicaSets[a].desiredReplicas, replicaSets[b].desiredReplicas)
            return x == y ? (toAdd > 0 ? a > b : a < b) : x > y
        }
        var added = 0
        var sizes = order.map { index -> (Int, Int) in
            let part = toAdd == 0 ? 0 : share(of: index, toAdd: toAdd, added: added)
            added += part
            return (index, replicaSets[index].desiredReplicas + part)
        }
        if toAdd != 0, !sizes.isEmpty { sizes[0].1 = max(0, sizes[0].1 + toAdd - added) }
        for (index, size) in sizes { resize(index, to: size) }
    }

    private func share(of index: Int, toAdd: Int, added: Int) -> Int {
        let size = replicaSets[index].desiredReplicas
        guard size > 0, toAdd != added else { return 0 }
        let fraction: Int
        if deployment.replicas == 0 {
            fraction = -size
        } else {
            let annotated = replicaSets[index].annotations[DeploymentView.maxReplicasAnnotation].flatMap(Int.init)
            let before = max(1, annotated ?? deployment.object.status["replicas"]?.int ?? 1)
            let target = Double(size * (deployment.replicas + deployment.maxSurge)) / Double(before)
            fraction = Int(target.rounded()) - size
        }
        return toAdd > 0 ? min(fraction, toAdd - added) : max(fraction, toAdd - added)
    }

    private var activeOrLatest: Int? {
        let active = replicaSets.indices.filter { replicaSets[$0].desiredReplicas > 0 }
        return switch active.count {
        case 0: current ?? replicaSets.indices.last
        case 1: active[0]
        default: nil
        }
    }

    private func isSaturated(_ index: Int) -> Bool {
        let replicaSet = replicaSets[index]
        return replicaSet.desiredReplicas == deployment.replicas && replicaSet.availableReplicas == deployment.replicas
            && replicaSet.annotations[DeploymentView.desiredReplicasAnnotation] == String(deployment.replicas)
    }

    /// Asks for a size, and notes the Deployment's size; says whether the size changes.
    @discardableResult
    private mutating func resize(_ index: Int, to size: Int) -> Bool {
        let replicaSet = replicaSets[index]
        let notes = deployment.sizeAnnotations.filter { replicaSet.annotations[$0.key] != $0.value }
        let changes = replicaSet.desiredReplicas != size
        guard changes || (!notes.isEmpty && size > 0) else { return false }
        var patch: JSONValue = [:]
        if changes { patch["spec"] = ["replicas": .int(size)] }
        if !notes.isEmpty { patch["metadata"] = ["annotations": JSONValue(notes)] }
        apply(patch, to: index)
        return changes
    }

    private mutating func apply(_ patch: JSONValue, to index: Int) {
        replicaSets[index].json = replicaSets[index].json.merging(patch)
        actions.append(.patch(name: replicaSets[index].name, patch))
    }

    // MARK: Clean-up and status

    private var isComplete: Bool {
        guard let new = newReplicaSet else { return false }
        return new.actualReplicas == deployment.replicas && total(\.actualReplicas) == deployment.replicas
            && total(\.availableReplicas) == deployment.replicas && new.desiredReplicas == deployment.replicas
    }

    /// Removes the oldest empty ReplicaSets beyond the history limit.
    private mutating func cleanUp() {
        let candidates = oldIndices.map { replicaSets[$0] }.sorted { $0.revision < $1.revision }
        for old in candidates.prefix(max(0, candidates.count - deployment.revisionHistoryLimit))
        where old.actualReplicas == 0 && old.desiredReplicas == 0 && !old.isBeingDeleted {
            actions.append(.delete(name: old.name))
        }
    }

    private mutating func writeStatus() {
        let status = DeploymentStatus(
            deployment: deployment, newReplicaSet: newReplicaSet, replicaSets: replicaSets,
            createdName: actions.lazy.compactMap { if case .create(let made) = $0 { made.name } else { nil } }.first,
            now: now
        ).json
        if status != deployment.object.status { actions.append(.status(status)) }
    }
}
