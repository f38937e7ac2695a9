/// Pods as a real API server serves them: two containers, probes, volumes, conditions, statuses and the managed fields of
/// two managers; about 8.8 KB each, in the order of Go's structs, compact. A Deployment has twenty pods.
package struct SyntheticPods {
    private var random: SplitMix
    private var owners: [(name: String, uid: String, hash: String)] = []

    package init(seed: UInt64 = 1) { random = SplitMix(seed: seed) }

    private static let apps = [
        "catalog", "checkout", "payments", "recommendation", "frontend", "inventory", "notification-dispatcher",
        "search", "session-store", "ledger",
    ]

    /// The `index`-th pod, as JSON text.
    package mutating func pod(_ index: Int) -> String {
        let group = index / 20
        while owners.count <= group {
            let hash = random.letters(9)
            owners.append(("\(Self.apps[owners.count % Self.apps.count])-\(owners.count)-\(hash)", random.uid(), hash))
        }
        let owner = owners[group]
        let app = Self.apps[group % Self.apps.count]
        let name = "\(owner.name)-\(random.letters(5))"
        let made = random.time()
        let address = "10.\(random.below(256)).\(random.below(256)).\(1 + random.below(254))"
        let node = "ip-10-0-\(random.below(16))-\(random.below(200)).eu-central-1.compute.internal"
        return """
            {"metadata":{"name":"\(name)","generateName":"\(owner.name)-","namespace":"team-\(group % 40)",\
            "uid":"\(random.uid())","resourceVersion":"\(100_000_000 + index * 37)","creationTimestamp":"\(made)",\
            "labels":{"app.kubernetes.io/name":"\(app)","app.kubernetes.io/instance":"\(app)-\(group)",\
            "app.kubernetes.io/version":"v1.\(group % 9).\(group % 5)","app.kubernetes.io/managed-by":"Helm",\
            "pod-template-hash":"\(owner.hash)","topology.kubernetes.io/zone":"eu-central-1\(["a", "b", "c"][group % 3])"},\
            "annotations":{"checksum/config":"\(random.hex(64))","prometheus.io/scrape":"true","prometheus.io/port":"9090",\
            "kubernetes.io/psp":"restricted"},\
            "ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"\(owner.name)","uid":"\(owner.uid)",\
            "controller":true,"blockOwnerDeletion":true}],\
            "managedFields":[\(managed(made))]},\
            "spec":{"volumes":[{"name":"config","configMap":{"name":"\(app)-config","defaultMode":420}},\
            {"name":"tmp","emptyDir":{}},{"name":"kube-api-access-\(random.letters(5))","projected":{"sources":[\
            {"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":{"name":"kube-root-ca.crt",\
            "items":[{"key":"ca.crt","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":\
            {"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}],"defaultMode":420}}],\
            "containers":[\(container(app, image: app, port: 8080)),\(container("sidecar", image: "telemetry-agent", port: 4317))],\
            "restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst",\
            "serviceAccountName":"\(app)","serviceAccount":"\(app)","nodeName":"\(node)","securityContext":\
            {"runAsUser":10001,"runAsNonRoot":true,"fsGroup":10001,"seccompProfile":{"type":"RuntimeDefault"}},\
            "affinity":{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,\
            "podAffinityTerm":{"labelSelector":{"matchLabels":{"app.kubernetes.io/name":"\(app)"}},\
            "topologyKey":"kubernetes.io/hostname"}}]}},"schedulerName":"default-scheduler","tolerations":[\
            {"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300},\
            {"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}],\
            "priority":0,"enableServiceLinks":true,"preemptionPolicy":"PreemptLowerPriority"},\
            "status":{"phase":"Running","conditions":[\(conditions(made))],"hostIP":"10.0.\(random.below(16)).\(random.below(200))",\
            "podIP":"\(address)","podIPs":[{"ip":"\(address)"}],"startTime":"\(made)","containerStatuses":[\
            \(status(app, image: app, made)),\(status("sidecar", image: "telemetry-agent", made))],"qosClass":"Burstable"}}
            """
    }

    private func container(_ name: String, image: String, port: Int) -> String {
        """
        {"name":"\(name)","image":"registry.example.com/platform/\(image):v1.4.2","args":["--config=/etc/\(name)/config.yaml",\
        "--log-level=info","--listen=0.0.0.0:\(port)"],"ports":[{"name":"http","containerPort":\(port),"protocol":"TCP"},\
        {"name":"metrics","containerPort":\(port + 1010),"protocol":"TCP"}],"env":[{"name":"POD_NAME","valueFrom":{"fieldRef":\
        {"apiVersion":"v1","fieldPath":"metadata.name"}}},{"name":"POD_NAMESPACE","valueFrom":{"fieldRef":{"apiVersion":"v1",\
        "fieldPath":"metadata.namespace"}}},{"name":"OTEL_EXPORTER_OTLP_ENDPOINT","value":"http://otel-collector.observability:4317"},\
        {"name":"GREETING","value":"Gr\\u00fc\\u00dfe, \\"\(name)\\" – 你好"}],"resources":{"limits":{"cpu":"1","memory":"512Mi"},\
        "requests":{"cpu":"100m","memory":"256Mi"}},"volumeMounts":[{"name":"config","readOnly":true,"mountPath":"/etc/\(name)"},\
        {"name":"tmp","mountPath":"/tmp"}],"livenessProbe":{"httpGet":{"path":"/healthz","port":"http","scheme":"HTTP"},\
        "initialDelaySeconds":10,"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3},\
        "readinessProbe":{"httpGet":{"path":"/readyz","port":"http","scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":5,\
        "successThreshold":1,"failureThreshold":3},"terminationMessagePath":"/dev/termination-log",\
        "terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent","securityContext":{"capabilities":{"drop":["ALL"]},\
        "readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false}}
        """
    }

    private func conditions(_ time: String) -> String {
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"].map {
            #"{"type":"\#($0)","status":"True","lastProbeTime":null,"lastTransitionTime":"\#(time)"}"#
        }.joined(separator: ",")
    }

    private mutating func status(_ name: String, image: String, _ time: String) -> String {
        """
        {"name":"\(name)","state":{"running":{"startedAt":"\(time)"}},"lastState":{},"ready":true,\
        "restartCount":\(random.below(3)),"image":"registry.example.com/platform/\(image):v1.4.2",\
        "imageID":"registry.example.com/platform/\(image)@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",\
        "containerID":"containerd://\(random.hex(64))","started":true}
        """
    }

    /// A third of the object, as in real clusters.
    private func managed(_ time: String) -> String {
        func set(_ names: [String], _ inner: String = "{}") -> String {
            names.map { #""f:\#($0)":\#(inner)"# }.joined(separator: ",")
        }
        let probe =
            #"{".":{},\#(set(["failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"])),"f:httpGet":{".":{},\#(set(["path", "port", "scheme"]))}}"#
        let variables = ["POD_NAME", "POD_NAMESPACE", "OTEL_EXPORTER_OTLP_ENDPOINT", "GREETING"].map {
            #""k:{\"name\":\"\#($0)\"}":{".":{},"f:name":{},"f:valueFrom":{".":{},"f:fieldRef":{}}}"#
        }.joined(separator: ",")
        let containers = ["main", "sidecar"].map {
            #""k:{\"name\":\"\#($0)\"}":{".":{},"f:args":{},"f:env":{".":{},\#(variables)},\#(set(["image", "imagePullPolicy", "name", "resources", "terminationMessagePath", "terminationMessagePolicy"])),"f:livenessProbe":\#(probe),"f:readinessProbe":\#(probe)}"#
        }.joined(separator: ",")
        let spec =
            #""f:spec":{"f:containers":{\#(containers)},\#(set(["dnsPolicy", "enableServiceLinks", "restartPolicy", "schedulerName", "securityContext", "serviceAccount", "serviceAccountName", "terminationGracePeriodSeconds"]))}"#
        let metadata =
            #""f:metadata":{"f:annotations":{".":{},\#(set(["checksum/config", "prometheus.io/scrape", "prometheus.io/port"]))},"f:generateName":{},"f:labels":{".":{},\#(set(["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/version", "pod-template-hash"]))},"f:ownerReferences":{".":{},"k:{\"uid\":\"d3b07384-d9a0-4c9b-8f0e-7d7d2f1f5a10\"}":{}}}"#
        let conditions = ["ContainersReady", "Initialized", "Ready"].map {
            #""k:{\"type\":\"\#($0)\"}":{".":{},\#(set(["lastProbeTime", "lastTransitionTime", "status", "type"]))}"#
        }.joined(separator: ",")
        return """
            {"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"\(time)","fieldsType":"FieldsV1",\
            "fieldsV1":{\(metadata),\(spec)}},{"manager":"kubelet","operation":"Update","apiVersion":"v1","time":"\(time)",\
            "fieldsType":"FieldsV1","fieldsV1":{"f:status":{"f:conditions":{\(conditions)},\
            \(set(["containerStatuses", "hostIP", "phase", "podIP", "startTime"])),"f:podIPs":{".":{},\
            "k:{\\"ip\\":\\"10.1.2.3\\"}":{".":{},"f:ip":{}}}}},"subresource":"status"}
            """
    }
}
