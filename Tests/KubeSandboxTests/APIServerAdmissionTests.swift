import Foundation
import Hummingbird
import HummingbirdTLS
import KubeCore
import Logging
import NIOCore
import NIOSSL
import Synchronization
import Testing

@testable import KubeSandbox

/// Webhooks that really run, over TLS on the loopback.
struct APIServerAdmissionTests {
    let api = APIServer()

    private func withWebhook(
        host: String = "127.0.0.1", answering answer: JSONValue,
        _ body: (_ port: Int, _ caBundle: String) async throws -> Void
    ) async throws {
        try await withWebhook(host: host, deciding: { _ in answer }, body)
    }

    /// Serves one webhook while `body` runs, which gets its port and the authority to trust.
    private func withWebhook(
        host: String = "127.0.0.1", deciding answer: @escaping @Sendable (JSONValue) -> JSONValue,
        _ body: (_ port: Int, _ caBundle: String) async throws -> Void
    ) async throws {
        let identity = try ServingIdentity.make(names: ["hook.default.svc"])
        let tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(identity.certificate.utf8)).map {
                .certificate($0)
            },
            privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.key.utf8), format: .pem)))
        let (ports, listening) = AsyncStream<Int>.makeStream()
        var logger = Logger(label: "test")
        logger.logLevel = .error
        let application = Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in
                let bytes = try await request.body.collect(upTo: 1 << 20)
                let review = try JSONValue.parse(bytes.readableBytesView)
                var response = answer(review["request"] ?? [:])
                response["uid"] = review[path: "request", "uid"]
                let text = JSONValue.object([
                    "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response,
                ])
                return Response(status: .ok, body: .init(byteBuffer: ByteBuffer(bytes: text.serializedBytes())))
            },
            server: try .tls(.http1(), tlsConfiguration: tls),
            configuration: .init(address: .hostname(host, port: 0)),
            onServerRunning: { listening.yield($0.localAddress?.port ?? 0) }, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports {
                try await body(port, Base64.encode(identity.authority.utf8))
                break
            }
            group.cancelAll()
        }
    }

    private func configuration(
        _ resource: GroupVersionResource, port: Int, caBundle: String, _ change: (inout JSONValue) -> Void = { _ in }
    ) -> KubeObject {
        var object = KubeObject(resource, name: "hooks")
        var hook: JSONValue = [
            "name": "one.heddle.dev", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": ["url": .string("https://127.0.0.1:\(port)/hook"), "caBundle": .string(caBundle)],
            "rules": [
                [
                    "operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"],
                    "resources": ["configmaps"],
                ]
            ],
        ]
        change(&hook)
        object.json["webhooks"] = [hook]
        return object
    }

    private func patch(_ operations: JSONValue) -> JSONValue {
        ["allowed": true, "patchType": "JSONPatch", "patch": .string(Base64.encode(operations.serializedBytes()))]
    }

    @Test func `a mutating webhook changes what is stored`() async throws {
        let answer = patch([["op": "add", "path": "/data/added", "value": "yes"]])
        try await withWebhook(answering: answer) { port, bundle in
            _ = try await api.create(
                .mutatingWebhookConfigurations,
                configuration(.mutatingWebhookConfigurations, port: port, caBundle: bundle))
            let made = try await api.create(.configMaps, configMap("a", ["k": "1"]))
            #expect(made.json["data"] == ["k": "1", "added": "yes"])
        }
    }

    @Test func `a validating webhook denies with its message and sees old and new`() async throws {
        let answer: @Sendable (JSONValue) -> JSONValue = { request in
            let isUpdate = request["operation"] == "UPDATE" && request[path: "oldObject", "data", "k"] == "1"
            return isUpdate
                ? ["allowed": false, "status": ["message": "k is fixed", "code": 422, "reason": "Invalid"]]
                : ["allowed": true, "warnings": ["mind the k"]]
        }
        try await withWebhook(deciding: answer) { port, bundle in
            _ = try await api.create(
                .validatingWebhookConfigurations,
                configuration(.validatingWebhookConfigurations, port: port, caBundle: bundle))
            let request = APIRequest(.create, .configMaps, namespace: "default", body: configMap("a", ["k": "1"]).json)
            #expect(try await api.handle(request, caller: .system).warnings == ["mind the k"])
            let error = await refusal { () async throws(APIError) in
                try await api.patch(.configMaps, namespace: "default", name: "a", ["data": ["k": "2"]])
            }
            #expect(
                error.code == 422
                    && error.message == "admission webhook \"one.heddle.dev\" denied the request: k is fixed")
        }
    }

    @Test func `a service reference is resolved and its name verified`() async throws {
        let answer = patch([["op": "add", "path": "/data/added", "value": "yes"]])
        // An address that the certificate does not name, so that only the Service's name can make it valid.
        try await withWebhook(host: "127.0.0.2", answering: answer) { port, bundle in
            api.setServiceResolver { _, _, _ in ("127.0.0.2", port) }
            func config(_ service: String) -> KubeObject {
                configuration(.mutatingWebhookConfigurations, port: port, caBundle: bundle) { hook in
                    hook["clientConfig"] = [
                        "caBundle": .string(bundle),
                        "service": ["namespace": "default", "name": .string(service), "path": "/x"],
                    ]
                }
            }
            let created = try await api.create(.mutatingWebhookConfigurations, config("hook"))
            #expect(try await api.create(.configMaps, configMap("a", ["k": "1"])).json["data"]?["added"] == "yes")
            // The certificate does not name this one.
            var other = config("other")
            other.resourceVersion = created.resourceVersion
            _ = try await api.update(.mutatingWebhookConfigurations, other)
            let error = await refusal { () async throws(APIError) in try await api.create(.configMaps, configMap("b")) }
            #expect(error.code == 500 && error.message.contains("failed calling webhook"))
        }
    }

    @Test(arguments: ["Fail", "Ignore"])
    func `the failure policy decides when the webhook is away`(policy: String) async throws {
        let identity = try ServingIdentity.make()
        // Port 1 refuses connections.
        let object = configuration(
            .mutatingWebhookConfigurations, port: 1, caBundle: Base64.encode(identity.authority.utf8)
        ) {
            $0["failurePolicy"] = .string(policy)
            $0["timeoutSeconds"] = 2
        }
        _ = try await api.create(.mutatingWebhookConfigurations, object)
        if policy == "Ignore" {
            _ = try await api.create(.configMaps, configMap("a"))
        } else {
            let error = await refusal { () async throws(APIError) in try await api.create(.configMaps, configMap("a")) }
            #expect(error.code == 500)
        }
        // What no rule names is not asked about.
        _ = try await api.create(.pods, pod("p"))
    }

    @Test func `a webhook is called again when a later one changed the object`() async throws {
        // Each call counts itself; the second webhook of the configuration is the one that changes something else.
        let answer: @Sendable (JSONValue) -> JSONValue = { request in
            let data = request[path: "object", "data"] ?? [:]
            let calls = data["calls"]?.string.flatMap(Int.init) ?? 0
            let operations: JSONValue = [
                ["op": "add", "path": "/data/calls", "value": .string(String(calls + 1))]
            ]
            return [
                "allowed": true, "patchType": "JSONPatch",
                "patch": .string(Base64.encode(operations.serializedBytes())),
            ]
        }
        try await withWebhook(deciding: answer) { port, bundle in
            var object = configuration(.mutatingWebhookConfigurations, port: port, caBundle: bundle)
            let first = try #require(object.json["webhooks"]?[0])
            var second = first
            second["name"] = "two.heddle.dev"
            var again = first
            again["reinvocationPolicy"] = "IfNeeded"
            object.json["webhooks"] = [again, second]
            _ = try await api.create(.mutatingWebhookConfigurations, object)
            let made = try await api.create(.configMaps, configMap("a", ["k": "1"]))
            #expect(made.json[path: "data", "calls"] == "3")
        }
    }

    @Test func `selectors choose namespaces and objects`() async throws {
        let answer = patch([["op": "add", "path": "/data/added", "value": "yes"]])
        try await withWebhook(answering: answer) { port, bundle in
            _ = try await api.create(
                .mutatingWebhookConfigurations,
                configuration(.mutatingWebhookConfigurations, port: port, caBundle: bundle) { hook in
                    hook["namespaceSelector"] = ["matchLabels": ["kubernetes.io/metadata.name": "default"]]
                    hook["objectSelector"] = ["matchExpressions": [["key": "skip", "operator": "DoesNotExist"]]]
                })
            #expect(try await api.create(.configMaps, configMap("a", ["k": "1"])).json["data"]?["added"] == "yes")
            #expect(
                try await api.create(.configMaps, configMap("b", ["k": "1"], labels: ["skip": "1"])).json["data"]?[
                    "added"] == nil)
            var other = configMap("c", ["k": "1"])
            other.namespace = "kube-public"
            #expect(try await api.create(.configMaps, other).json["data"]?["added"] == nil)
        }
    }

    @Test(arguments: [
        ("pods", nil, true), ("pods", "status", false), ("pods/status", "status", true), ("pods/*", "status", true),
        ("pods/*", nil, true),
        ("*", nil, true), ("*", "status", false), ("*/*", nil, true), ("*/status", "status", true),
        ("services", nil, false),
    ])
    func `rule patterns name resources and subresources`(pattern: String, subresource: String?, expected: Bool) {
        #expect(AdmissionWebhook.matches(pattern, "pods", subresource) == expected)
    }
}
