import KubeCore

/// The values that a real API server fills in where a built-in object says nothing: those that `kubectl` and controllers
/// read. Pure and idempotent.
enum Defaulting {
    static func apply(to object: inout JSONValue, _ type: ResourceType) {
        switch type.qualifiedName {
        case "pods": object.change("spec", podSpec)
        case "services": object.change("spec", service)
        case "secrets": secret(&object)
        case "namespaces":
            object.change("metadata") { metadata in
                let name = metadata["name"]?.string ?? ""
                metadata.change("labels") { $0["kubernetes.io/metadata.name"] = .string(name) }
            }
            object.change("spec") { $0.setDefault("finalizers", ["kubernetes"]) }
            object.change("status") { $0.setDefault("phase", "Active") }
        case "persistentvolumeclaims": object.change("status") { $0.setDefault("phase", "Pending") }
        case "endpoints":
            object.changeEach("subsets") { $0.changeEach("ports") { $0.setDefault("protocol", "TCP") } }
        case "endpointslices.discovery.k8s.io":
            object.changeEach("ports") { port in
                port.setDefault("protocol", "TCP")
                port.setDefault("name", "")
            }
        case "deployments.apps":
            object.change("spec") { spec in
                workload(&spec)
                spec.setDefault("progressDeadlineSeconds", 600)
                strategy(&spec, "strategy") { strategy in
                    strategy.change("rollingUpdate") { rolling in
                        rolling.setDefault("maxUnavailable", "25%")
                        rolling.setDefault("maxSurge", "25%")
                    }
                }
            }
        case "replicasets.apps":
            object.change("spec") { spec in
                spec.setDefault("replicas", 1)
                template(&spec)
            }
        case "statefulsets.apps":
            object.change("spec") { spec in
                workload(&spec)
                spec.setDefault("podManagementPolicy", "OrderedReady")
                strategy(&spec, "updateStrategy") { $0.change("rollingUpdate") { $0.setDefault("partition", 0) } }
            }
        case "daemonsets.apps":
            object.change("spec") { spec in
                spec.setDefault("revisionHistoryLimit", 10)
                template(&spec)
                strategy(&spec, "updateStrategy") { strategy in
                    strategy.change("rollingUpdate") { rolling in
                        rolling.setDefault("maxUnavailable", 1)
                        rolling.setDefault("maxSurge", 0)
                    }
                }
            }
        case "jobs.batch": object.change("spec", job)
        case "cronjobs.batch":
            object.change("spec") { spec in
                spec.setDefault("concurrencyPolicy", "Allow")
                spec.setDefault("suspend", false)
                spec.changeIfPresent("jobTemplate") { $0.changeIfPresent("spec", job) }
            }
        case "horizontalpodautoscalers.autoscaling": object.change("spec") { $0.setDefault("minReplicas", 1) }
        case "mutatingwebhookconfigurations.admissionregistration.k8s.io":
            object.changeEach("webhooks") { hook in
                webhook(&hook)
                hook.setDefault("reinvocationPolicy", "Never")
            }
        case "validatingwebhookconfigurations.admissionregistration.k8s.io": object.changeEach("webhooks", webhook)
        case "customresourcedefinitions.apiextensions.k8s.io": definition(&object)
        default: break
        }
    }

    private static func workload(_ spec: inout JSONValue) {
        spec.setDefault("replicas", 1)
        spec.setDefault("revisionHistoryLimit", 10)
        template(&spec)
    }

    private static func template(_ spec: inout JSONValue) {
        spec.change("template") { template in
            template.change("metadata") { _ in }
            template.change("spec", podSpec)
        }
    }

    private static func strategy(_ spec: inout JSONValue, _ field: String, rolling: (inout JSONValue) -> Void) {
        spec.change(field) { strategy in
            strategy.setDefault("type", "RollingUpdate")
            if strategy["type"] == "RollingUpdate" { rolling(&strategy) }
        }
    }

    private static func job(_ spec: inout JSONValue) {
        if spec["completions"] == nil, spec["parallelism"] == nil { spec["completions"] = 1 }
        spec.setDefault("parallelism", 1)
        spec.setDefault("backoffLimit", 6)
        spec.setDefault("completionMode", "NonIndexed")
        spec.setDefault("suspend", false)
        template(&spec)
    }

    private static func service(_ spec: inout JSONValue) {
        spec.setDefault("type", "ClusterIP")
        spec.setDefault("sessionAffinity", "None")
        guard spec["type"] != "ExternalName" else { return }
        spec.setDefault("internalTrafficPolicy", "Cluster")
        if spec["type"] == "NodePort" || spec["type"] == "LoadBalancer" {
            spec.setDefault("externalTrafficPolicy", "Cluster")
        }
        spec.setDefault("ipFamilies", ["IPv4"])
        spec.setDefault("ipFamilyPolicy", "SingleStack")
        spec.changeEach("ports") { port in
            port.setDefault("protocol", "TCP")
            port.setDefault("targetPort", port["port"] ?? 0)
        }
    }

    private static func secret(_ object: inout JSONValue) {
        object.setDefault("type", "Opaque")
        guard let plain = object["stringData"]?.object else { return }
        object.change("data") { data in
            for (name, value) in plain {
                data[name] = value.string.map { .string(Base64.encode($0.utf8)) }
            }
        }
        object["stringData"] = nil
    }

    private static func webhook(_ hook: inout JSONValue) {
        hook.setDefault("failurePolicy", "Fail")
        hook.setDefault("matchPolicy", "Equivalent")
        hook.setDefault("timeoutSeconds", 10)
        hook.setDefault("namespaceSelector", [:])
        hook.setDefault("objectSelector", [:])
        hook.changeEach("rules") { $0.setDefault("scope", "*") }
        hook.changeIfPresent("clientConfig") { $0.changeIfPresent("service") { $0.setDefault("port", 443) } }
    }

    private static func definition(_ object: inout JSONValue) {
        object.change("spec") { spec in
            spec.change("names") { names in
                let kind = names["kind"]?.string ?? ""
                names.setDefault("listKind", .string(kind + "List"))
                names.setDefault("singular", .string(kind.lowercased()))
            }
            spec.setDefault("conversion", ["strategy": "None"])
        }
    }
}
