import FoundationEssentials
import HeddleAPI
import KubeCore
import KubeTesting
import MeshIdentity
import MeshPlan

@testable import HeddleServer

/// A cluster that reviews tokens by a table; all else is in memory.
struct TokenCluster: ClusterAPI {
    let cluster = InMemoryCluster()
    var isDown = false
    /// Answers by token; others are not authenticated.
    var reviews: [String: JSONValue] = [
        "catalog-token": review("system:serviceaccount:shop:catalog", pod: "catalog-1"),
        "other-audience": review("system:serviceaccount:shop:catalog", audiences: ["https://kubernetes.default.svc"]),
        "a-person": review("jane"),
        "odd": review("system:serviceaccount:shop"),
        "a-node": review("system:node:shop:catalog"),
    ]

    static func review(_ user: String, audiences: [String] = ["heddle-ca"], pod: String? = nil) -> JSONValue {
        var status: JSONValue = [
            "authenticated": true, "audiences": JSONValue(audiences), "user": ["username": .string(user)],
        ]
        if let pod { status[path: "user", "extra", "authentication.kubernetes.io/pod-name"] = [.string(pod)] }
        return ["status": status]
    }

    func perform(_ request: APIRequest) async throws(APIError) -> JSONValue {
        guard request.resource == .tokenReviews else { return try await cluster.perform(request) }
        if isDown { throw APIError(code: 0, reason: "Unknown", message: "connection refused") }
        // As the API server: a token without one of the wanted audiences is not authenticated.
        guard request.body?[path: "spec", "audiences"] == ["heddle-ca"] else {
            return ["status": ["authenticated": false]]
        }
        let token = request.body?[path: "spec", "token"]?.string ?? ""
        return reviews[token] ?? ["status": ["authenticated": false, "error": "invalid bearer token"]]
    }

    func watch(_ request: APIRequest) async throws(APIError) -> AsyncThrowingStream<WatchEvent, any Error> {
        try await cluster.watch(request)
    }
}

extension AdmissionWebhooks {
    /// Namespace `shop` asks for injection, `kube-system` is excluded; `catalog` has a Canary.
    static func testing(canary: KubeObject? = nil, prepare: @escaping @Sendable (String) async -> Void = { _ in })
        -> Self
    {
        AdmissionWebhooks(
            lookups: .init(
                namespaceLabels: { $0 == "shop" ? ["heddle.dev/inject": "true"] : [:] },
                injector: {
                    var settings = SidecarInjector.Settings()
                    settings.image = "heddle-agent:test"
                    return SidecarInjector(settings: settings)
                },
                excludedNamespaces: { ["heddle-system"] }, prepareNamespace: prepare,
                canary: { key in key == ObjectKey(namespace: "shop", name: "catalog") ? canary : nil }))
    }
}

/// A pod with two containers, their probes and its own init container and volume.
func samplePod() -> KubeObject {
    var pod = KubeObject(.pods, namespace: "shop", name: "catalog-1")
    pod.labels = ["app": "catalog"]
    pod.spec = [
        "serviceAccountName": "catalog",
        "initContainers": [["name": "migrate", "image": "migrate:1"]],
        "containers": [
            [
                "name": "app", "image": "app:1", "ports": [["name": "http", "containerPort": 8080]],
                "env": [["name": "A", "value": "b"]],
                "readinessProbe": ["httpGet": ["path": "/ready", "port": "http"], "periodSeconds": 3],
                "livenessProbe": ["exec": ["command": ["true"]]],
            ],
            ["name": "side", "image": "side:1"],
        ],
        "volumes": [["name": "data", "emptyDir": [:]]],
    ]
    return pod
}

func review(
    _ object: KubeObject, old: KubeObject? = nil, operation: String = "CREATE", isDryRun: Bool = false
) -> JSONValue {
    var request: JSONValue = [
        "uid": "u-1", "operation": .string(operation), "namespace": .string(object.namespace), "object": object.json,
        "userInfo": ["username": "jane"], "dryRun": .bool(isDryRun),
    ]
    request["oldObject"] = old?.json
    return ["apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request]
}

func deployment(image: String) -> KubeObject {
    var deployment = KubeObject(.deployments, namespace: "shop", name: "catalog")
    deployment.spec = [
        "replicas": 2,
        "template": [
            "metadata": ["labels": ["app": "catalog"]],
            "spec": ["containers": [["name": "app", "image": .string(image)]]],
        ],
    ]
    return deployment
}

func catalogCanary(_ change: (inout CanaryStatus) -> Void = { _ in }) -> KubeObject {
    let spec = CanarySpec(
        targetRef: TargetRef(name: "catalog"), service: CanaryService(name: "catalog", port: 80),
        steps: [CanaryStep(weight: 10)])
    var status = CanaryStatus()
    change(&status)
    return Canary(namespace: "shop", name: "catalog", spec: spec, status: status).objectWithStatus
}

/// What the answer's patch makes of an object.
func patched(_ object: KubeObject, by answer: JSONValue) throws -> KubeObject {
    guard let text = answer[path: "response", "patch"]?.string else { return object }
    guard answer[path: "response", "patchType"] == "JSONPatch", let bytes = Data(base64Encoded: text) else {
        throw FieldError(path: "response.patch", message: "is no JSON patch in Base64")
    }
    return KubeObject(json: try JSONPatch.apply(JSONValue.parse(bytes), to: object.json))
}
