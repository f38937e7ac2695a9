import FoundationEssentials
import KubeCore

/// A Deployment's status: counts, and the conditions Available and Progressing as `kubectl rollout status` reads them.
struct DeploymentStatus {
    let deployment: DeploymentView
    let newReplicaSet: KubeObject?
    let replicaSets: [KubeObject]
    /// The ReplicaSet that this very step creates.
    let createdName: String?
    let now: Date

    private func total(_ value: (KubeObject) -> Int) -> Int { replicaSets.reduce(0) { $0 + value($1) } }
    private var replicas: Int { total(\.actualReplicas) }
    private var updated: Int { newReplicaSet?.actualReplicas ?? 0 }
    private var ready: Int { total { $0.status["readyReplicas"]?.int ?? 0 } }
    private var available: Int { total(\.availableReplicas) }

    var json: JSONValue {
        let old = deployment.object.status
        var status: JSONValue = ["observedGeneration": .int(deployment.object.generation)]
        status["collisionCount"] = old["collisionCount"]
        let counts = [
            "replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready, "availableReplicas": available,
            "unavailableReplicas": max(0, total(\.desiredReplicas) - available),
        ]
        for (name, count) in counts where count > 0 { status[name] = .int(count) }
        var conditions = old["conditions"]?.array ?? []
        set(availability, in: &conditions)
        if let progress = progress(conditions) {
            set(progress, in: &conditions)
        } else if deployment.progressDeadlineSeconds == nil {
            conditions.removeAll { $0["type"]?.string == "Progressing" }
        }
        status["conditions"] = .array(conditions)
        return status
    }

    private typealias Part = (type: String, status: String, reason: String, message: String)

    private var availability: Part {
        available >= deployment.replicas - deployment.maxUnavailable
            ? ("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
            : ("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    }

    /// The new Progressing condition; nil to leave it.
    private func progress(_ conditions: [JSONValue]) -> Part? {
        guard let deadline = deployment.progressDeadlineSeconds else { return nil }
        let present = conditions.first { $0["type"]?.string == "Progressing" }
        let reason = present?["reason"]?.string
        if deployment.isPaused {
            return reason == "DeploymentPaused" || reason == "ProgressDeadlineExceeded"
                ? nil : ("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        }
        if reason == "DeploymentPaused" {
            return ("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
        }
        if let createdName {
            return ("Progressing", "True", "NewReplicaSetCreated", "Created new replica set \"\(createdName)\"")
        }
        let subject = newReplicaSet.map { "ReplicaSet \"\($0.name)\"" } ?? "Deployment \"\(deployment.object.name)\""
        if replicas == updated, reason == "NewReplicaSetAvailable" { return nil }
        if updated == deployment.replicas, replicas == updated, available == deployment.replicas {
            return ("Progressing", "True", "NewReplicaSetAvailable", "\(subject) has successfully progressed.")
        }
        let old = deployment.object.status
        let hasProgressed =
            updated > old["updatedReplicas"]?.int ?? 0 || ready > old["readyReplicas"]?.int ?? 0
            || available > old["availableReplicas"]?.int ?? 0
            || replicas - updated < (old["replicas"]?.int ?? 0) - (old["updatedReplicas"]?.int ?? 0)
        if hasProgressed { return ("Progressing", "True", "ReplicaSetUpdated", "\(subject) is progressing.") }
        guard let present else {
            return newReplicaSet == nil ? nil : ("Progressing", "True", "FoundNewReplicaSet", "Found new replica set")
        }
        let since = present["lastUpdateTime"]?.string.flatMap(KubeTime.parse) ?? now
        if reason != "ProgressDeadlineExceeded", since.addingTimeInterval(Double(deadline)) < now {
            return ("Progressing", "False", "ProgressDeadlineExceeded", "\(subject) has timed out progressing.")
        }
        return nil
    }

    /// `lastUpdateTime` moves when reason or status do, and with every sign of progress.
    private func set(_ part: Part, in conditions: inout [JSONValue]) {
        let time = JSONValue.string(KubeTime.format(now))
        let index = conditions.firstIndex { $0["type"]?.string == part.type }
        let old = index.map { conditions[$0] }
        let isSameStatus = old?["status"]?.string == part.status
        if isSameStatus, old?["reason"]?.string == part.reason, part.reason != "ReplicaSetUpdated" { return }
        let new: JSONValue = [
            "type": .string(part.type), "status": .string(part.status), "reason": .string(part.reason),
            "message": .string(part.message), "lastUpdateTime": time,
            "lastTransitionTime": isSameStatus ? old?["lastTransitionTime"] ?? time : time,
        ]
        if let index { conditions[index] = new } else { conditions.append(new) }
    }
}
