import KubeCore

extension Defaulting {
    /// Defaults of a pod's `spec`, also in templates.
    static func podSpec(_ spec: inout JSONValue) {
        spec.setDefault("restartPolicy", "Always")
        spec.setDefault("terminationGracePeriodSeconds", 30)
        spec.setDefault("dnsPolicy", "ClusterFirst")
        spec.setDefault("schedulerName", "default-scheduler")
        spec.setDefault("securityContext", [:])
        // The two names are one field; clients read either.
        if let name = spec["serviceAccountName"] ?? spec["serviceAccount"] {
            spec["serviceAccountName"] = name
            spec["serviceAccount"] = name
        }
        let isHostNetwork = spec["hostNetwork"]?.bool ?? false
        for list in ["containers", "initContainers"] {
            spec.changeEach(list) { container(&$0, isHostNetwork: isHostNetwork) }
        }
        spec.changeEach("volumes", volume)
    }

    /// What only a pod itself gets, beyond its template.
    static func newPod(_ pod: inout JSONValue) {
        pod.change("spec") { spec in
            spec.setDefault("serviceAccountName", "default")
            spec.setDefault("serviceAccount", spec["serviceAccountName"] ?? "default")
            spec.setDefault("enableServiceLinks", true)
            spec.setDefault("preemptionPolicy", "PreemptLowerPriority")
            spec.setDefault("priority", 0)
            var tolerations = spec["tolerations"]?.array ?? []
            for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
            where !tolerations.contains(where: { $0["key"]?.string == key }) {
                tolerations.append([
                    "key": .string(key), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
                ])
            }
            spec["tolerations"] = .array(tolerations)
        }
        pod["status"] = ["phase": "Pending", "qosClass": .string(qualityOfService(pod["spec"] ?? [:]))]
    }

    private static func container(_ container: inout JSONValue, isHostNetwork: Bool) {
        let image = container["image"]?.string ?? ""
        let tag = image.split(separator: "/").last.map(String.init) ?? image
        let isLatest = !tag.contains("@") && (!tag.contains(":") || tag.hasSuffix(":latest"))
        container.setDefault("imagePullPolicy", isLatest ? "Always" : "IfNotPresent")
        container.setDefault("terminationMessagePath", "/dev/termination-log")
        container.setDefault("terminationMessagePolicy", "File")
        container.setDefault("resources", [:])
        container.changeIfPresent("resources") { resources in
            // What is limited and not requested is requested as limited.
            guard let limits = resources["limits"]?.object, !limits.isEmpty else { return }
            resources.change("requests") { requests in
                for (name, limit) in limits { requests.setDefault(name, limit) }
            }
        }
        container.changeEach("ports") { port in
            port.setDefault("protocol", "TCP")
            if isHostNetwork { port.setDefault("hostPort", port["containerPort"] ?? 0) }
        }
        container.changeEach("env") { variable in
            variable.changeIfPresent("valueFrom") { source in
                source.changeIfPresent("fieldRef") { $0.setDefault("apiVersion", "v1") }
            }
        }
        for name in ["livenessProbe", "readinessProbe", "startupProbe"] { container.changeIfPresent(name, probe) }
        container.changeIfPresent("lifecycle") { lifecycle in
            for name in ["postStart", "preStop"] { lifecycle.changeIfPresent(name, httpGet) }
        }
    }

    private static func probe(_ probe: inout JSONValue) {
        probe.setDefault("timeoutSeconds", 1)
        probe.setDefault("periodSeconds", 10)
        probe.setDefault("successThreshold", 1)
        probe.setDefault("failureThreshold", 3)
        probe.changeIfPresent("grpc") { $0.setDefault("service", "") }
        httpGet(&probe)
    }

    private static func httpGet(_ handler: inout JSONValue) {
        handler.changeIfPresent("httpGet") { get in
            get.setDefault("path", "/")
            get.setDefault("scheme", "HTTP")
        }
    }

    private static func volume(_ volume: inout JSONValue) {
        for source in ["configMap", "secret", "downwardAPI", "projected"] {
            volume.changeIfPresent(source) { $0.setDefault("defaultMode", 0o644) }
        }
        volume.changeIfPresent("projected") { projected in
            projected.changeEach("sources") { source in
                source.changeIfPresent("serviceAccountToken") { $0.setDefault("expirationSeconds", 3600) }
                source.changeIfPresent("downwardAPI", fieldReferences)
            }
        }
        volume.changeIfPresent("downwardAPI", fieldReferences)
        volume.changeIfPresent("hostPath") { $0.setDefault("type", "") }
        if volume.object?.count == 1 { volume["emptyDir"] = [:] }
    }

    private static func fieldReferences(_ source: inout JSONValue) {
        source.changeEach("items") { item in
            item.changeIfPresent("fieldRef") { $0.setDefault("apiVersion", "v1") }
        }
    }

    private static func qualityOfService(_ spec: JSONValue) -> String {
        let containers = (spec["containers"]?.array ?? []) + (spec["initContainers"]?.array ?? [])
        let resources = containers.map { $0["resources"] ?? [:] }
        let requested = resources.filter {
            !($0["requests"]?.object ?? [:]).isEmpty || !($0["limits"]?.object ?? [:]).isEmpty
        }
        if requested.isEmpty { return "BestEffort" }
        let isGuaranteed = resources.allSatisfy { resource in
            ["cpu", "memory"].allSatisfy { name in
                resource["limits"]?[name] != nil && resource["limits"]?[name] == resource["requests"]?[name]
            }
        }
        return isGuaranteed ? "Guaranteed" : "Burstable"
    }
}
