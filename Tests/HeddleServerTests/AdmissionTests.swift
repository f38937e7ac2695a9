import HeddleAPI
import KubeCore
import KubeTesting
import MeshPlan
import Synchronization
import Testing

@testable import HeddleServer

struct AdmissionTests {
    /// The whole way: review in, answer out, patch applied.
    private func admit(
        _ object: KubeObject, old: KubeObject? = nil, operation: String = "CREATE",
        _ answer: (AdmissionRequest) async -> AdmissionResponse
    ) async throws -> (answer: JSONValue, object: KubeObject) {
        let request = try AdmissionRequest(review: review(object, old: old, operation: operation))
        let json = await answer(request).review(uid: request.uid)
        return (json, try patched(object, by: json))
    }

    // MARK: Injection

    @Test func `injection adds the sidecar and sends the probes on a detour, and nothing else`() async throws {
        let before = samplePod()
        let (_, pod) = try await admit(before, AdmissionWebhooks.testing().inject)
        let names = pod.spec["initContainers"]?.array?.compactMap { $0["name"]?.string }
        #expect(names == ["heddle-init", "heddle-proxy", "migrate"])
        #expect(pod.spec["initContainers"]?[1]?["restartPolicy"] == "Always")
        #expect(pod.spec["initContainers"]?[1]?["image"] == "heddle-agent:test")
        #expect(pod.labels[HeddleLabel.injected] == "true")

        // Taken away again, what is left is the pod as it came.
        var rest = pod
        rest.spec["initContainers"] = .array(Array((pod.spec["initContainers"]?.array ?? []).dropFirst(2)))
        rest.spec["volumes"] = .array((pod.spec["volumes"]?.array ?? []).filter { $0["name"] == "data" })
        var containers = pod.spec["containers"]?.array ?? []
        #expect(
            containers[0]["readinessProbe"]
                == [
                    "httpGet": ["path": "/app-health/app/readyz", "port": 15020, "scheme": "HTTP"], "periodSeconds": 3,
                ])
        containers[0]["readinessProbe"] = before.spec["containers"]?[0]?["readinessProbe"]
        rest.spec["containers"] = .array(containers)
        rest.labels = before.labels
        rest.json[path: "metadata", "annotations"] = before.json[path: "metadata", "annotations"]
        #expect(rest == before)
    }

    @Test func `an injected pod comes through unchanged`() async throws {
        let (_, once) = try await admit(samplePod(), AdmissionWebhooks.testing().inject)
        let (answer, twice) = try await admit(once, AdmissionWebhooks.testing().inject)
        #expect(twice == once)
        #expect(answer[path: "response", "patch"] == nil)
        #expect(answer[path: "response", "allowed"] == true)
    }

    @Test(arguments: ["hostNetwork", "kube-system", "heddle-system", "label", "annotation", "unasked", "istio"])
    func `a pod that is not to be injected comes through unchanged`(why: String) async throws {
        var pod = samplePod()
        switch why {
        case "hostNetwork": pod.spec["hostNetwork"] = true
        case "label": pod.labels["heddle.dev/inject"] = "false"
        case "annotation": pod.annotations["heddle.dev/inject"] = "false"
        case "unasked": pod.namespace = "attic"
        case "istio": pod.spec["initContainers"] = [["name": "istio-proxy"]]
        default: pod.namespace = why
        }
        let (answer, after) = try await admit(pod, AdmissionWebhooks.testing().inject)
        #expect(after == pod)
        #expect(answer[path: "response", "allowed"] == true)
    }

    @Test func `a value that is neither true nor false is warned of`() async throws {
        var pod = samplePod()
        pod.labels["heddle.dev/inject"] = "yes"
        let (answer, after) = try await admit(pod, AdmissionWebhooks.testing().inject)
        #expect(after == pod)
        #expect(answer[path: "response", "warnings"]?[0]?.string?.contains("must be \"true\" or \"false\"") == true)
    }

    @Test(arguments: [false, true])
    func `the namespace gets the root certificates in time, but not for a dry run`(isDryRun: Bool) async throws {
        let prepared = Mutex<[String]>([])
        let webhooks = AdmissionWebhooks.testing(prepare: { name in prepared.withLock { $0.append(name) } })
        // The pod of a ReplicaSet has no name, and the API server puts its namespace into the request.
        var pod = samplePod()
        pod.json[path: "metadata", "name"] = .none
        pod.json[path: "metadata", "namespace"] = .none
        var json = review(pod, isDryRun: isDryRun)
        json[path: "request", "namespace"] = "shop"
        let request = try AdmissionRequest(review: json)
        let answer = await webhooks.inject(request).review(uid: request.uid)
        #expect(prepared.withLock { $0 } == (isDryRun ? [] : ["shop"]))
        #expect(try patched(pod, by: answer).labels[HeddleLabel.injected] == "true")
    }

    // MARK: Release

    @Test func `a new template of a Deployment with a Canary is admitted paused`() async throws {
        let old = deployment(image: "app:1")
        let new = deployment(image: "app:2")
        let webhooks = AdmissionWebhooks.testing(
            canary: catalogCanary { $0.change.promoted = ChangeHash.of(template: old.spec["template"] ?? [:]) })
        let (answer, held) = try await admit(new, old: old, operation: "UPDATE") { webhooks.holdRelease($0) }
        var expected = new
        expected.spec["paused"] = true
        expected.annotations[HeddleAnnotation.heldChange] = ChangeHash.of(template: new.spec["template"] ?? [:])
        #expect(held == expected)
        #expect(answer[path: "response", "warnings"]?[0]?.string?.contains("canary/catalog") == true)
    }

    @Test(arguments: ["no canary", "same template", "restart", "create", "promoting"])
    func `what is no change to release passes as it is`(why: String) async throws {
        let old = deployment(image: "app:1")
        var new = deployment(image: why == "same template" || why == "restart" ? "app:1" : "app:2")
        let change = ChangeHash.of(template: new.spec["template"] ?? [:])
        if why == "restart" {
            new.spec[path: "template", "metadata", "annotations"] = ["heddle.dev/restartedAt": "now"]
        }
        let canary = catalogCanary { status in
            status.change.promoted = ChangeHash.of(template: old.spec["template"] ?? [:])
            if why == "promoting" {
                status.phase = .promoting
                status.change.running = change
            }
        }
        let webhooks = AdmissionWebhooks.testing(canary: why == "no canary" ? nil : canary)
        let operation = why == "create" ? "CREATE" : "UPDATE"
        let (_, after) = try await admit(new, old: why == "create" ? nil : old, operation: operation) {
            webhooks.holdRelease($0)
        }
        #expect(after == new)
    }

    // MARK: Validation

    @Test func `a wrong object is refused with the paths of its fields`() async throws {
        var canary = catalogCanary()
        canary.spec["steps"] = [["weight": 50], ["weight": 10]]
        canary.spec["bake"] = "soon"
        let (answer, _) = try await admit(canary) { AdmissionWebhooks.testing().validate($0) }
        #expect(answer[path: "response", "allowed"] == false)
        #expect(answer[path: "response", "status", "code"] == 403)
        let message = try #require(answer[path: "response", "status", "message"]?.string)
        #expect(message.contains("Canary shop/catalog is invalid"))
        #expect(message.contains("spec.bake"))
    }

    @Test func `weights that fall are refused, though each of them is in range`() async throws {
        var canary = catalogCanary()
        canary.spec["steps"] = [["weight": 50], ["weight": 10]]
        let (answer, _) = try await admit(canary) { AdmissionWebhooks.testing().validate($0) }
        #expect(answer[path: "response", "allowed"] == false)
        #expect(answer[path: "response", "status", "message"]?.string?.contains("spec.steps[1].weight") == true)
    }

    @Test func `right objects and kinds of others pass`() async throws {
        for object in [catalogCanary(), samplePod()] {
            let (answer, _) = try await admit(object) { AdmissionWebhooks.testing().validate($0) }
            #expect(answer[path: "response", "allowed"] == true)
        }
    }

    // MARK: Wire form

    @Test func `an answer has the shape that the API server reads`() throws {
        let answer = AdmissionResponse.denied("no").review(uid: "u-7")
        #expect(
            answer == [
                "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                "response": [
                    "uid": "u-7", "allowed": false, "status": ["message": "no", "code": 403, "reason": "Forbidden"],
                ],
            ])
        #expect(AdmissionResponse.allowed.review(uid: "u-8")["response"] == ["uid": "u-8", "allowed": true])
    }

    @Test func `a body that is no AdmissionReview is a field error`() {
        #expect(throws: FieldError.self) { try AdmissionRequest(review: ["kind": "Pod"]) }
        #expect(throws: FieldError.self) { try AdmissionRequest(review: ["request": ["operation": "CREATE"]]) }
    }
}
