package import HeddleAPI
package import KubeCore

extension WorkloadFacts {
    /// Reads the facts from a Deployment and its pods. Sidecars' sync state and certificates come from the mesh, and are set
    /// by the caller.
    /// - Parameter pods: those that the Deployment's selector selects, canary pods of a release left out.
    package init(deployment: KubeObject, pods: [KubeObject]) {
        let spec = deployment.spec
        let alive = pods.filter {
            !$0.isBeingDeleted && !["Succeeded", "Failed"].contains($0.status["phase"]?.string ?? "")
        }
        let desired = spec["replicas"]?.int ?? 1
        let template = spec["template"] ?? [:]
        let ports = (template[path: "spec", "containers"]?.array ?? []).flatMap { container in
            (container["ports"]?.array ?? []).filter { ($0["protocol"]?.string ?? "TCP") == "TCP" }
                .compactMap { $0["containerPort"]?.int }
        }
        let asked =
            template[path: "metadata", "labels", HeddleLabel.inject]?.string
            ?? template[path: "metadata", "annotations", HeddleAnnotation.inject]?.string
        self.init(
            name: deployment.name, selector: spec[path: "selector", "matchLabels"]?.stringMap ?? [:],
            ports: Set(ports).sorted(), desired: desired, podsTotal: alive.count,
            podsMeshed: alive.filter { $0.labels[HeddleLabel.injected] == "true" }.count,
            podsReady: alive.filter(Self.isReady).count, isRolloutComplete: Self.isRolloutComplete(deployment),
            isInjectionRequested: asked == "true", restartProblem: Self.restartProblem(deployment),
            restartMark: template[path: "metadata", "annotations", HeddleAnnotation.restartedAt]?.string)
    }

    /// Whether a pod's condition `Ready` is true.
    package static func isReady(_ pod: KubeObject) -> Bool {
        (pod.status["conditions"]?.array ?? []).contains {
            $0["type"]?.string == "Ready" && $0["status"]?.string == "True"
        }
    }

    /// As `kubectl rollout status` decides it.
    package static func isRolloutComplete(_ deployment: KubeObject) -> Bool {
        let status = deployment.status
        let desired = deployment.spec["replicas"]?.int ?? 1
        return (status["observedGeneration"]?.int ?? 0) >= deployment.generation
            && (status["updatedReplicas"]?.int ?? 0) >= desired
            && (status["replicas"]?.int ?? 0) <= (status["updatedReplicas"]?.int ?? 0)
            && (status["availableReplicas"]?.int ?? 0) >= desired
    }

    /// Why a restart of this Deployment would interrupt its Service, or would not take place; nil when it is safe.
    package static func restartProblem(_ deployment: KubeObject) -> String? {
        let spec = deployment.spec
        if spec["paused"]?.bool == true {
            return deployment.annotations[HeddleAnnotation.heldChange] == nil
                ? "the Deployment is paused; resume it"
                : "a release holds the Deployment; let it end, or put the stable template back"
        }
        if spec[path: "template", "spec", "hostNetwork"]?.bool == true {
            return
                "its pods use the node's network, where no sidecar can capture; give it an exception or change hostNetwork"
        }
        let strategy = spec["strategy"] ?? [:]
        if strategy["type"]?.string == "Recreate" {
            return "its strategy is Recreate, which stops all pods first; use RollingUpdate"
        }
        let desired = spec["replicas"]?.int ?? 1
        guard desired > 0 else { return nil }
        let surge = count(strategy[path: "rollingUpdate", "maxSurge"], of: desired, roundsUp: true)
        let unavailable = count(strategy[path: "rollingUpdate", "maxUnavailable"], of: desired, roundsUp: false)
        if desired - unavailable < 1 {
            return "maxUnavailable lets all \(desired) of its pods go at once; lower it, or use maxSurge"
        }
        if surge == 0, unavailable == 0 { return "maxSurge and maxUnavailable are both 0; set maxSurge to 1" }
        return nil
    }

    /// A number of pods or a percentage; Kubernetes' default is 25 %.
    private static func count(_ value: JSONValue?, of desired: Int, roundsUp: Bool) -> Int {
        if let number = value?.int { return number }
        let text = value?.string ?? "25%"
        guard text.hasSuffix("%"), let percent = Int(text.dropLast()) else { return 0 }
        return (desired * percent + (roundsUp ? 99 : 0)) / 100
    }
}
