import FoundationEssentials
import KubeCore

/// A Deployment's spec with Kubernetes' defaults.
struct DeploymentView: Sendable {
    let object: KubeObject

    var replicas: Int { object.spec["replicas"]?.int ?? 1 }
    var isPaused: Bool { object.spec["paused"]?.bool ?? false }
    var recreates: Bool { object.spec[path: "strategy", "type"]?.string == "Recreate" }
    var minReadySeconds: Int { object.spec["minReadySeconds"]?.int ?? 0 }
    var revisionHistoryLimit: Int { object.spec["revisionHistoryLimit"]?.int ?? 10 }
    var template: JSONValue { object.spec["template"] ?? [:] }
    /// Nil: no deadline.
    var progressDeadlineSeconds: Int? {
        let seconds = object.spec["progressDeadlineSeconds"]?.int ?? 600
        return seconds == Int(Int32.max) ? nil : seconds
    }

    /// Both bounds of a rolling update; never both 0.
    private var bounds: (surge: Int, unavailable: Int) {
        let rolling = object.spec[path: "strategy", "rollingUpdate"]
        let surge = IntOrPercent(rolling?["maxSurge"]).resolve(total: replicas, roundUp: true, default: "25%")
        let unavailable = IntOrPercent(rolling?["maxUnavailable"]).resolve(
            total: replicas, roundUp: false, default: "25%")
        return surge == 0 && unavailable == 0 ? (0, 1) : (surge, unavailable)
    }
    var maxSurge: Int { recreates ? 0 : bounds.surge }
    var maxUnavailable: Int { recreates || replicas == 0 ? 0 : min(bounds.unavailable, replicas) }

    static let revisionAnnotation = "deployment.kubernetes.io/revision"
    static let revisionHistoryAnnotation = "deployment.kubernetes.io/revision-history"
    static let desiredReplicasAnnotation = "deployment.kubernetes.io/desired-replicas"
    static let maxReplicasAnnotation = "deployment.kubernetes.io/max-replicas"
    static let hashLabel = "pod-template-hash"

    /// The Deployment's annotations that its ReplicaSet gets too.
    var inheritedAnnotations: [String: String] {
        let own: Set<String> = [
            "kubectl.kubernetes.io/last-applied-configuration", Self.revisionAnnotation, Self.revisionHistoryAnnotation,
            Self.desiredReplicasAnnotation, Self.maxReplicasAnnotation, "deprecated.deployment.rollback.to",
        ]
        return object.annotations.filter { !own.contains($0.key) }
    }

    /// What every ReplicaSet of the Deployment notes about its size.
    var sizeAnnotations: [String: String] {
        [
            Self.desiredReplicasAnnotation: String(replicas),
            Self.maxReplicasAnnotation: String(replicas + maxSurge),
        ]
    }

    /// The template's hash, in the letters that Kubernetes uses for names.
    static func hash(template: JSONValue, collisions: Int) -> String {
        var hash: UInt32 = 2_166_136_261
        for byte in template.serializedBytes() + Array("\(collisions == 0 ? "" : String(collisions))".utf8) {
            hash = (hash ^ UInt32(byte)) &* 16_777_619
        }
        let letters = Array("bcdfghjklmnpqrstvwxz2456789")
        return String(String(hash).utf8.map { letters[Int($0) % letters.count] })
    }

    /// Whether a ReplicaSet runs this template.
    func runs(_ replicaSet: KubeObject) -> Bool {
        Self.withoutHash(replicaSet.spec["template"] ?? [:]) == Self.withoutHash(template)
    }

    private static func withoutHash(_ template: JSONValue) -> JSONValue {
        var template = template
        var metadata = template["metadata"] ?? [:]
        var labels = metadata["labels"]?.object ?? [:]
        labels[hashLabel] = nil
        metadata["labels"] = labels.isEmpty ? nil : .object(labels)
        metadata["creationTimestamp"] = nil
        if metadata["annotations"]?.object?.isEmpty ?? false { metadata["annotations"] = nil }
        template["metadata"] = metadata == [:] ? nil : metadata
        return template
    }
}

/// What the Deployment controller asks about a ReplicaSet.
extension KubeObject {
    var desiredReplicas: Int { spec["replicas"]?.int ?? 1 }
    var availableReplicas: Int { status["availableReplicas"]?.int ?? 0 }
    var actualReplicas: Int { status["replicas"]?.int ?? 0 }
    var revision: Int { annotations[DeploymentView.revisionAnnotation].flatMap(Int.init) ?? 0 }
}
