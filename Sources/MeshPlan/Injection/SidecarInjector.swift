import HeddleAPI
package import KubeCore

/// Adds the sidecar to a pod: a capture container that redirects traffic, the proxy as a native sidecar, its volumes, and
/// the detour of the pod's probes through the agent.
///
/// The user's containers keep everything but their probes. Injecting an injected pod changes nothing.
package struct SidecarInjector: Sendable {
    package static let initContainer = "heddle-init"
    package static let proxyContainer = "heddle-proxy"
    package static let injectedLabel = HeddleLabel.injected
    package static let statusAnnotation = HeddleAnnotation.status
    /// ConfigMap with the mesh's root certificates (key `root.pem`), kept in every namespace with injected pods.
    package static let rootConfigMap = HeddleOperator.caConfigMap
    package static let tokenAudience = "heddle-ca"

    /// What the operator was told about proxies.
    package struct Settings: Sendable, Hashable {
        package var image = "heddle-agent:latest"
        package var imagePullPolicy: String?
        package var discoveryAddress = "heddle-operator.heddle-system.svc:15012"
        package var certificateAddress = "heddle-operator.heddle-system.svc:443"
        package var trustDomain = "cluster.local"
        package var logLevel = "warn"
        package var drainSeconds = 5
        /// Kubernetes `resources` of the proxy container.
        package var resources: JSONValue = [
            "requests": ["cpu": "50m", "memory": "64Mi"], "limits": ["memory": "256Mi"],
        ]
        package var tokenSeconds = 3600

        package init() {}
    }

    package var settings: Settings

    package init(settings: Settings) { self.settings = settings }

    /// The pod with its sidecar. Call it only for pods that `InjectionDecision` lets in.
    package func inject(_ pod: KubeObject) -> KubeObject {
        var pod = pod
        var spec = pod.spec
        var probes = ProbeRewrite()
        spec["containers"] = .array((spec["containers"]?.array ?? []).map { probes.rewrite($0) })
        let initContainers = (spec["initContainers"]?.array ?? []).map { container in
            container["restartPolicy"]?.string == "Always" ? probes.rewrite(container) : container
        }
        spec["initContainers"] = .array(
            [captureContainer, proxyContainer(pod: pod, probes: probes.targets)] + initContainers)
        spec["volumes"] = .array((spec["volumes"]?.array ?? []) + volumes)
        pod.spec = spec
        pod.labels[Self.injectedLabel] = "true"
        let status: JSONValue = [
            "initContainers": [.string(Self.initContainer), .string(Self.proxyContainer)],
            "image": .string(settings.image),
            "volumes": .array(volumes.compactMap { $0["name"] }),
        ]
        pod.annotations[Self.statusAnnotation] = status.serialized()
        return pod
    }

    private var captureContainer: JSONValue {
        container(
            Self.initContainer, command: ["heddle-agent", "capture"],
            [
                "securityContext": [
                    "runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": false, "readOnlyRootFilesystem": true,
                    "allowPrivilegeEscalation": false,
                    "capabilities": ["drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]],
                ],
                "resources": ["requests": ["cpu": "10m", "memory": "16Mi"], "limits": ["memory": "64Mi"]],
            ])
    }

    private func proxyContainer(pod: KubeObject, probes: [String: JSONValue]) -> JSONValue {
        container(
            Self.proxyContainer, command: ["heddle-agent", "proxy"],
            [
                "restartPolicy": "Always",
                "env": .array([
                    field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"),
                    field("POD_IP", "status.podIP"), field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
                    field("NODE_NAME", "spec.nodeName"),
                    value("HEDDLE_DISCOVERY_ADDRESS", settings.discoveryAddress),
                    value("HEDDLE_CA_ADDRESS", settings.certificateAddress),
                    value("HEDDLE_TRUST_DOMAIN", settings.trustDomain), value("HEDDLE_LOG_LEVEL", settings.logLevel),
                    value("HEDDLE_DRAIN_SECONDS", String(settings.drainSeconds)),
                    value("HEDDLE_POD_LABELS", JSONValue(pod.labels).serialized()),
                    value("HEDDLE_APP_PROBES", JSONValue.object(probes).serialized()),
                ]),
                "ports": [["name": "heddle-stats", "containerPort": 15090, "protocol": "TCP"]],
                "startupProbe": [
                    "httpGet": ["path": "/healthz/ready", "port": 15021], "periodSeconds": 1, "timeoutSeconds": 3,
                    "failureThreshold": 600,
                ],
                "readinessProbe": [
                    "httpGet": ["path": "/healthz/ready", "port": 15021], "periodSeconds": 15, "timeoutSeconds": 3,
                    "failureThreshold": 4,
                ],
                "securityContext": [
                    "runAsUser": 1337, "runAsGroup": 1337, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
                    "allowPrivilegeEscalation": false, "capabilities": ["drop": ["ALL"]],
                ],
                "resources": settings.resources,
                "volumeMounts": [
                    ["name": "heddle-proxy", "mountPath": "/run/heddle"],
                    ["name": "heddle-token", "mountPath": "/var/run/secrets/heddle.dev/token", "readOnly": true],
                    ["name": "heddle-ca", "mountPath": "/var/run/secrets/heddle.dev/ca", "readOnly": true],
                ],
            ])
    }

    private var volumes: [JSONValue] {
        [
            ["name": "heddle-proxy", "emptyDir": ["medium": "Memory", "sizeLimit": "16Mi"]],
            [
                "name": "heddle-token",
                "projected": [
                    "sources": [
                        [
                            "serviceAccountToken": [
                                "path": "token", "audience": .string(Self.tokenAudience),
                                "expirationSeconds": .int(settings.tokenSeconds),
                            ]
                        ]
                    ]
                ],
            ],
            ["name": "heddle-ca", "configMap": ["name": .string(Self.rootConfigMap)]],
        ]
    }

    private func container(_ name: String, command: [String], _ rest: [String: JSONValue]) -> JSONValue {
        var container = rest
        container["name"] = .string(name)
        container["image"] = .string(settings.image)
        container["imagePullPolicy"] = settings.imagePullPolicy.map(JSONValue.string)
        container["command"] = JSONValue(command)
        return .object(container)
    }

    private func field(_ name: String, _ path: String) -> JSONValue {
        ["name": .string(name), "valueFrom": ["fieldRef": ["fieldPath": .string(path)]]]
    }

    private func value(_ name: String, _ value: String) -> JSONValue {
        ["name": .string(name), "value": .string(value)]
    }
}
