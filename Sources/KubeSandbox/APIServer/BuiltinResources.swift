/// The resources that the API server has from the start.
///
/// Kinds that nothing here acts on (quotas, ingresses, storage classes, RBAC, ...) are stored and served, no more.
enum BuiltinResources {
    static let all: [ResourceType] =
        core + apps + others + reviews

    private static let core: [ResourceType] = [
        ResourceType("Namespace", "namespaces", namespaced: false).with {
            $0.shortNames = ["ns"]
            $0.hasStatus = true
            $0.actions = [("finalize", "Namespace", "v1")]
            $0.selectableFields = ["status.phase"]
        },
        ResourceType("Node", "nodes", namespaced: false).with {
            $0.shortNames = ["no"]
            $0.hasStatus = true
            $0.selectableFields = ["spec.unschedulable"]
        },
        ResourceType("Pod", "pods").with {
            $0.shortNames = ["po"]
            $0.categories = ["all"]
            $0.hasStatus = true
            $0.actions = [
                ("binding", "Binding", "v1"), ("eviction", "Eviction", "policy/v1"), ("log", "Pod", "v1"),
            ]
            $0.selectableFields = [
                "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
            ]
        },
        ResourceType("Service", "services").with {
            $0.shortNames = ["svc"]
            $0.categories = ["all"]
            $0.hasStatus = true
            $0.selectableFields = ["spec.clusterIP", "spec.type"]
        },
        ResourceType("ServiceAccount", "serviceaccounts").with {
            $0.shortNames = ["sa"]
            $0.actions = [("token", "TokenRequest", "authentication.k8s.io/v1")]
        },
        ResourceType("ConfigMap", "configmaps").with { $0.shortNames = ["cm"] },
        ResourceType("Secret", "secrets").with { $0.selectableFields = ["type"] },
        ResourceType("Endpoints", "endpoints").with { $0.shortNames = ["ep"] },
        events.with { $0.shortNames = ["ev"] },
        ResourceType("PersistentVolumeClaim", "persistentvolumeclaims").with {
            $0.shortNames = ["pvc"]
            $0.hasStatus = true
        },
        ResourceType("PersistentVolume", "persistentvolumes", namespaced: false).with {
            $0.shortNames = ["pv"]
            $0.hasStatus = true
        },
        ResourceType("ResourceQuota", "resourcequotas").with {
            $0.shortNames = ["quota"]
            $0.hasStatus = true
        },
        ResourceType("LimitRange", "limitranges").with { $0.shortNames = ["limits"] },
        ResourceType("ReplicationController", "replicationcontrollers").with {
            $0.shortNames = ["rc"]
            $0.categories = ["all"]
            $0.hasStatus = true
            $0.hasGeneration = true
        },
        ResourceType("PodTemplate", "podtemplates"),
    ]

    private static let events = ResourceType("Event", "events").with {
        $0.selectableFields = [
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
            "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
            "reportingComponent", "source", "type",
        ]
    }

    private static func workload(
        _ kind: String, _ resource: String, _ short: [String], scale: Bool = false, group: String = "apps"
    ) -> ResourceType {
        ResourceType(kind, resource, group: group).with {
            $0.shortNames = short
            $0.categories = ["all"]
            $0.hasStatus = true
            $0.hasGeneration = true
            if scale { $0.scale = ResourceType.Scale() }
        }
    }

    private static let apps: [ResourceType] = [
        workload("Deployment", "deployments", ["deploy"], scale: true),
        workload("ReplicaSet", "replicasets", ["rs"], scale: true),
        workload("StatefulSet", "statefulsets", ["sts"], scale: true),
        workload("DaemonSet", "daemonsets", ["ds"]),
        ResourceType("ControllerRevision", "controllerrevisions", group: "apps"),
        workload("Job", "jobs", [], group: "batch"),
        workload("CronJob", "cronjobs", ["cj"], group: "batch"),
    ]

    private static let others: [ResourceType] = [
        // The same objects as the core group's events, under other field names.
        ResourceType("Event", "events", group: "events.k8s.io").with {
            $0.shortNames = ["ev"]
            $0.collection = "events"
            $0.selectableFields = [
                "regarding.kind", "regarding.namespace", "regarding.name", "regarding.uid", "reason", "type",
            ]
        },
        ResourceType("EndpointSlice", "endpointslices", group: "discovery.k8s.io"),
        ResourceType("Lease", "leases", group: "coordination.k8s.io"),
        ResourceType("PodDisruptionBudget", "poddisruptionbudgets", group: "policy").with {
            $0.shortNames = ["pdb"]
            $0.hasStatus = true
            $0.hasGeneration = true
        },
        ResourceType("HorizontalPodAutoscaler", "horizontalpodautoscalers", group: "autoscaling", version: "v2").with {
            $0.shortNames = ["hpa"]
            $0.categories = ["all"]
            $0.hasStatus = true
        },
        ResourceType("Role", "roles", group: "rbac.authorization.k8s.io"),
        ResourceType("RoleBinding", "rolebindings", group: "rbac.authorization.k8s.io"),
        ResourceType("ClusterRole", "clusterroles", group: "rbac.authorization.k8s.io", namespaced: false),
        ResourceType(
            "ClusterRoleBinding", "clusterrolebindings", group: "rbac.authorization.k8s.io", namespaced: false),
        webhooks("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        webhooks("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
        ResourceType(
            "CustomResourceDefinition", "customresourcedefinitions", group: "apiextensions.k8s.io", namespaced: false
        ).with {
            $0.shortNames = ["crd", "crds"]
            $0.categories = ["api-extensions"]
            $0.hasStatus = true
            $0.hasGeneration = true
        },
        ResourceType("NetworkPolicy", "networkpolicies", group: "networking.k8s.io").with {
            $0.shortNames = ["netpol"]
            $0.hasGeneration = true
        },
        ResourceType("Ingress", "ingresses", group: "networking.k8s.io").with {
            $0.shortNames = ["ing"]
            $0.hasStatus = true
            $0.hasGeneration = true
        },
        ResourceType("IngressClass", "ingressclasses", group: "networking.k8s.io", namespaced: false).with {
            $0.hasGeneration = true
        },
        ResourceType("PriorityClass", "priorityclasses", group: "scheduling.k8s.io", namespaced: false).with {
            $0.shortNames = ["pc"]
        },
        ResourceType("StorageClass", "storageclasses", group: "storage.k8s.io", namespaced: false).with {
            $0.shortNames = ["sc"]
        },
    ]

    private static func webhooks(_ kind: String, _ resource: String) -> ResourceType {
        ResourceType(kind, resource, group: "admissionregistration.k8s.io", namespaced: false).with {
            $0.categories = ["api-extensions"]
            $0.hasGeneration = true
        }
    }

    private static let reviews: [ResourceType] = [
        ("TokenReview", "tokenreviews", "authentication.k8s.io", false),
        ("SelfSubjectReview", "selfsubjectreviews", "authentication.k8s.io", false),
        ("SubjectAccessReview", "subjectaccessreviews", "authorization.k8s.io", false),
        ("SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io", false),
        ("LocalSubjectAccessReview", "localsubjectaccessreviews", "authorization.k8s.io", true),
        ("SelfSubjectRulesReview", "selfsubjectrulesreviews", "authorization.k8s.io", false),
    ].map { kind, resource, group, namespaced in
        ResourceType(kind, resource, group: group, namespaced: namespaced).with { $0.isVirtual = true }
    }
}
