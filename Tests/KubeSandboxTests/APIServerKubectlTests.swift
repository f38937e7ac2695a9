import Foundation
import KubeCore
import Testing

@testable import KubeSandbox

@Suite(.enabled(if: Kubectl.executable != nil, "kubectl is not installed"))
struct APIServerKubectlTests {
    let api = APIServer()

    private let shop = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, labels: {app: web}}
        spec:
          replicas: 2
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              containers:
              - name: app
                image: shop:1
                ports: [{containerPort: 8080, name: http}]
                env: [{name: A, value: "1"}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web}
        spec:
          selector: {app: web}
          ports: [{port: 80, targetPort: http}]

        """

    @Test func `apply, patch, label, scale, edit an image, undo nothing, delete`() async throws {
        try await withKubectl(api) { kubectl in
            let file = try kubectl.file("shop.yaml", shop)
            #expect(try await kubectl("apply", "-f", file) == "deployment.apps/web created\nservice/web created\n")
            #expect(try await kubectl("apply", "-f", file) == "deployment.apps/web unchanged\nservice/web unchanged\n")
            let changed = try kubectl.file(
                "shop2.yaml",
                shop.replacingOccurrences(of: "env: [{name: A, value: \"1\"}]", with: "env: [{name: B, value: \"2\"}]"))
            #expect(
                try await kubectl("apply", "-f", changed) == "deployment.apps/web configured\nservice/web unchanged\n")
            #expect(
                try await kubectl(
                    "get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].env[*].name}") == "B")
            try await kubectl("scale", "deploy/web", "--replicas=4")
            try await kubectl("set", "image", "deploy/web", "app=shop:2")
            try await kubectl("label", "deploy/web", "team=shop")
            try await kubectl("annotate", "deploy/web", "note=yes")
            try await kubectl(
                "patch", "deploy", "web", "-p",
                #"{"spec":{"template":{"spec":{"containers":[{"name":"app","command":["x"]}]}}}}"#)
            try await kubectl(
                "patch", "deploy", "web", "--type=json", "-p",
                #"[{"op":"add","path":"/metadata/labels/x","value":"y"}]"#)
            try await kubectl("rollout", "restart", "deploy/web")
            try await kubectl("rollout", "pause", "deploy/web")
            let object = try await api.get(.deployments, namespace: "default", name: "web")
            #expect(object.spec["replicas"] == 4 && object.spec["paused"] == true)
            #expect(object.labels == ["app": "web", "team": "shop", "x": "y"])
            let container = object.json[path: "spec", "template", "spec", "containers"]?[0]
            #expect(container?["image"] == "shop:2" && container?["command"] == ["x"])
            #expect(
                object.json[path: "spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt"]
                    != nil)
            try await kubectl("rollout", "resume", "deploy/web")
            #expect(try await kubectl("delete", "-f", file).contains("deployment.apps \"web\" deleted"))
            #expect(try await api.list(.deployments).items.isEmpty)
        }
    }

    @Test func `server-side apply conflicts, forces and follows a client-side apply`() async throws {
        try await withKubectl(api) { kubectl in
            let file = try kubectl.file("shop.yaml", shop)
            try await kubectl("apply", "--server-side", "-f", file)
            try await kubectl("scale", "deploy/web", "--replicas=3")
            let conflict = try await kubectl.run("apply", "--server-side", "-f", file)
            #expect(conflict.status != 0)
            #expect(conflict.errors.contains("Apply failed with 1 conflict: conflict with \"kubectl\""))
            #expect(conflict.errors.contains(".spec.replicas"))
            try await kubectl("apply", "--server-side", "--force-conflicts", "-f", file)
            #expect(try await api.get(.deployments, namespace: "default", name: "web").spec["replicas"] == 2)

            let other = try kubectl.file("other.yaml", shop.replacingOccurrences(of: "name: web", with: "name: other"))
            try await kubectl("apply", "-f", other)
            try await kubectl("apply", "--server-side", "-f", other)
            let managed = ManagedFields(
                json: try await api.get(.deployments, namespace: "default", name: "other").json[
                    path: "metadata", "managedFields"])
            // kubectl keeps a second name for its own annotation.
            #expect(Set(managed.entries.keys.map(\.name)) == ["kubectl", "kubectl-last-applied"])
            #expect(managed.entries.keys.allSatisfy { $0.operation == .apply })
        }
    }

    @Test func `get prints tables and describe reads events`() async throws {
        _ = try await api.create(.namespaces, KubeObject(.namespaces, name: "shop"))
        var running = pod("a", node: "n1")
        running = try await api.create(.pods, running)
        running.status = [
            "phase": "Running", "podIP": "10.0.0.5",
            "containerStatuses": [["name": "app", "ready": true, "restartCount": 2, "state": ["running": [:]]]],
        ]
        running = try await api.update(.pods, running, subresource: "status")
        var event = KubeObject(.events, namespace: "default", name: "a.1")
        event.json["involvedObject"] = [
            "kind": "Pod", "name": "a", "namespace": "default", "uid": .string(running.uid),
        ]
        for (name, text) in [("reason", "Started"), ("message", "it runs"), ("type", "Normal")] {
            event.json[name] = .string(text)
        }
        _ = try await api.create(.events, event)
        try await withKubectl(api) { kubectl in
            let table = try await kubectl("get", "pods", "-o", "wide")
            #expect(table.split(separator: "\n").count == 2)
            for word in ["READY", "1/1", "Running", "RESTARTS", "10.0.0.5", "n1"] {
                #expect(table.contains(word), "\(table)")
            }
            #expect(try await kubectl("get", "pods", "-A").contains("NAMESPACE"))
            #expect(try await kubectl("get", "pod", "a", "-o", "name") == "pod/a\n")
            #expect(try await kubectl("get", "pod", "a", "-o", "json").contains("\"kind\": \"Pod\""))
            let description = try await kubectl("describe", "pod", "a")
            #expect(description.contains("it runs") && description.contains("10.0.0.5"))
            #expect(try await kubectl("get", "ns").contains("kube-system"))
            for resource in ["deploy,rs,svc,ep,endpointslices,nodes,events,cm,secrets,sa", "all", "crd,leases,hpa,pdb"]
            {
                try await kubectl("get", resource, "-A")
            }
            #expect(try await kubectl("api-resources").contains("deployments"))
            #expect(try await kubectl("version").contains("v1.32.0+heddle-sandbox"))
            #expect(try await kubectl("auth", "can-i", "get", "pods") == "yes\n")
            #expect(try await kubectl("create", "token", "default").split(separator: ".").count == 3)
            let missing = try await kubectl.run("get", "pod", "zzz")
            #expect(missing.errors == "Error from server (NotFound): pods \"zzz\" not found\n")
        }
    }

    @Test func `custom resources are installed, checked, shown and explained`() async throws {
        try await withKubectl(api) { kubectl in
            let file = try kubectl.file("crd.json", widgetDefinition.json.serialized())
            try await kubectl("apply", "-f", file)
            try await kubectl("wait", "--for=condition=Established", "crd/widgets.example.dev", "--timeout=10s")
            let good = try kubectl.file("good.json", widget().json.serialized())
            #expect(try await kubectl("apply", "-f", good) == "widget.example.dev/one created\n")
            #expect(
                try await kubectl("apply", "--server-side", "-f", good) == "widget.example.dev/one serverside-applied\n"
            )
            let table = try await kubectl("get", "wd")
            #expect(table.contains("SIZE") && table.contains("one    3"), "\(table)")
            let typo = try await kubectl.run(
                "apply", "-f",
                kubectl.file("typo.json", widget("two", spec: ["color": "red", "colour": "x"]).json.serialized()))
            #expect(typo.status != 0 && typo.errors.contains("unknown field \"spec.colour\""), "\(typo.errors)")
            let bad = try await kubectl.run(
                "apply", "-f", kubectl.file("bad.json", widget("two", spec: ["color": "blue"]).json.serialized()))
            #expect(
                bad.errors.contains("The Widget \"two\" is invalid: spec.color: Unsupported value: \"blue\""),
                "\(bad.errors)")
            try await kubectl("scale", "widget/one", "--replicas=5")
            #expect(try await api.get(widgets, namespace: "default", name: "one").spec["size"] == 5)
            #expect(try await kubectl("explain", "widget.spec").contains("color"))
            try await kubectl(
                "patch", "widget", "one", "--subresource=status", "--type=merge", "-p", #"{"status":{"size":5}}"#)
            #expect(try await api.get(widgets, namespace: "default", name: "one").status["size"] == 5)
        }
    }

    @Test func `what kubectl creates in protobuf is understood`() async throws {
        try await withKubectl(api) { kubectl in
            try await kubectl("create", "namespace", "shop")
            try await kubectl(
                "create", "deployment", "web", "--image=shop:1", "--replicas=0", "--port=8080", "-n", "shop")
            try await kubectl("create", "configmap", "c", "--from-literal=a=b", "-n", "shop")
            try await kubectl("create", "secret", "generic", "s", "--from-literal=a=b", "-n", "shop")
            try await kubectl("create", "service", "clusterip", "web", "--tcp=80:8080", "-n", "shop")
            try await kubectl("create", "serviceaccount", "robot", "-n", "shop")
            try await kubectl("create", "job", "j", "--image=shop:1", "-n", "shop", "--", "run", "it")
            try await kubectl("create", "cronjob", "cj", "--image=shop:1", "--schedule=* * * * *", "-n", "shop")
            try await kubectl("create", "role", "r", "--verb=get", "--resource=pods", "-n", "shop")
            try await kubectl("create", "rolebinding", "rb", "--role=r", "--serviceaccount=shop:robot", "-n", "shop")
            try await kubectl("create", "clusterrole", "cr", "--verb=get", "--resource=nodes")
            try await kubectl("create", "clusterrolebinding", "crb", "--clusterrole=cr", "--user=me")
            try await kubectl(
                "create", "poddisruptionbudget", "p", "--selector=app=web", "--min-available=50%", "-n", "shop")
            try await kubectl("auth", "whoami")
            let made = try await api.get(.deployments, namespace: "shop", name: "web")
            #expect(made.spec["replicas"] == 0 && made.spec["selector"] == ["matchLabels": ["app": "web"]])
            let container = made.json[path: "spec", "template", "spec", "containers"]?[0]
            #expect(container?["image"] == "shop:1" && container?["ports"]?[0]?["containerPort"] == 8080)
            #expect(try await api.get(.secrets, namespace: "shop", name: "s").json["data"] == ["a": "Yg=="])
            #expect(try await api.get(.configMaps, namespace: "shop", name: "c").json["data"] == ["a": "b"])
            let service = try await api.get(.services, namespace: "shop", name: "web").spec
            #expect(service["ports"]?[0] == ["name": "80-8080", "port": 80, "protocol": "TCP", "targetPort": 8080])
            let budget = try await api.get(.podDisruptionBudgets, namespace: "shop", name: "p").spec
            #expect(budget["minAvailable"] == "50%")
            let token = try await kubectl("create", "token", "robot", "-n", "shop", "--audience=x", "--duration=20m")
            guard
                case .success(let found) = api.authenticate(
                    token: token.split(separator: "\n").joined(), audiences: ["x"])
            else { return #expect(Bool(false), "the token is not valid for its audience") }
            #expect(found.caller.name == "system:serviceaccount:shop:robot")
        }
    }

    @Test func `rollout status, wait and a watch see changes as they happen`() async throws {
        _ = try await api.create(.deployments, deployment(replicas: 1))
        try await withKubectl(api) { kubectl in
            async let rollout = kubectl("rollout", "status", "deploy/web", "--timeout=30s")
            async let waiting = kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=30s")
            async let watching = kubectl.run("get", "deploy", "-w", "--request-timeout=6s")
            try await Task.sleep(for: .seconds(2))
            var object = try await api.get(.deployments, namespace: "default", name: "web")
            object.status = [
                "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1,
                "availableReplicas": 1,
                "conditions": [["type": "Available", "status": "True"]],
            ]
            _ = try await api.update(.deployments, object, subresource: "status")
            #expect(try await rollout.contains("successfully rolled out"))
            #expect(try await waiting.contains("condition met"))
            let lines = try await watching.output.split(separator: "\n")
            #expect(lines.count >= 3 && lines.last?.contains("1/1") == true, "\(lines)")
        }
    }

    @Test func `logs are streamed from the node`() async throws {
        struct Source: PodLogSource {
            func log(of pod: KubeObject, _ options: PodLogOptions) async throws(APIError) -> AsyncStream<[UInt8]> {
                AsyncStream { continuation in
                    continuation.yield(Array("\(pod.name)/\(options.container) tail \(options.tailLines ?? -1)\n".utf8))
                    continuation.finish()
                }
            }
        }
        api.setPodLogSource(Source())
        _ = try await api.create(.pods, pod("a", node: "n1"))
        try await withKubectl(api) { kubectl in
            #expect(try await kubectl("logs", "a", "--tail=5") == "a/app tail 5\n")
            let wrong = try await kubectl.run("logs", "a", "-c", "nope")
            #expect(wrong.errors.contains("container nope is not valid for pod a"))
        }
    }
}
