import Foundation
import KubeCore
import Testing

@testable import KubeSandbox

/// Real pods in real network namespaces. Run by `NodeEntryTests`.
@Suite(
    .enabled(if: NodeTestProcess.isInside, "run by NodeEntryTests inside a private namespace"), .serialized,
    .timeLimit(.minutes(3)))
struct NodeLiveTests {
    @Test func `a pod is reached through its Service's address and name, and itself through it too`() async throws {
        try await TestSandbox.run("net") { box in
            for name in ["web-1", "web-2"] {
                try await box.pod(name, labels: ["app": "web"], spec: ["containers": [box.server()]])
            }
            var service = KubeObject(.services, namespace: "net", name: "web")
            service.spec = ["selector": ["app": "web"], "ports": [["name": "http", "port": 80, "targetPort": "http"]]]
            let address = try await box.api.create(.services, service).spec["clusterIP"]?.string ?? ""
            var empty = KubeObject(.services, namespace: "net", name: "empty")
            empty.spec = ["selector": ["app": "nobody"], "ports": [["port": 80]]]
            _ = try await box.api.create(.services, empty)
            try await eventually("both are ready") {
                let (first, second) = (try await box.isReady("web-1"), try await box.isReady("web-2"))
                return first && second
            }
            try await Task.sleep(for: .milliseconds(300))
            let script =
                TestSandbox.fetch + """

                    for i in 1 2 3 4 5 6 7 8 9 10; do fetch http://web/; done
                    fetch http://\(address)/ && fetch http://web.net.svc.cluster.local/ && echo names-work
                    fetch http://empty/ 2>&1 | grep -q refused && echo refused
                    fetch http://example.com/ 2>/dev/null || echo no-outside
                    """
            try await box.pod("client", spec: ["restartPolicy": "Never", "containers": [box.shell(script)]])
            try await eventually("the client is done", within: 30) {
                try await box.get("client")?.podPhase == "Succeeded"
            }
            let log = try await box.log("client")
            for part in ["web-1", "web-2", "names-work", "refused", "no-outside"] {
                #expect(log.contains(part), "\(log)")
            }

            // From the pod itself, which may be sent to itself.
            try await box.pod(
                "self", labels: ["app": "self"],
                spec: [
                    "restartPolicy": "Never",
                    "containers": [
                        box.shell(TestSandbox.fetch + "\nuntil fetch http://mirror/; do sleep 0.3; done; echo hairpin"),
                        box.server().merging(["name": "s"]),
                    ],
                ])
            var hairpin = KubeObject(.services, namespace: "net", name: "mirror")
            hairpin.spec = [
                "selector": ["app": "self"], "publishNotReadyAddresses": true,
                "ports": [["port": 80, "targetPort": 8080]],
            ]
            _ = try await box.api.create(.services, hairpin)
            try await eventually("the hairpin") { try await box.log("self").contains("hairpin") }
        }
    }

    @Test func `sidecars start in order before the application and end after it in reverse`() async throws {
        try await TestSandbox.run("order") { box in
            func step(_ name: String) -> String {
                "echo start-\(name) >> /run/log/steps; trap 'echo end-\(name) >> /run/log/steps; exit 0' TERM; "
            }
            let mounts: JSONValue = ["volumeMounts": [["name": "log", "mountPath": "/run/log"]]]
            func sidecar(_ name: String) -> JSONValue {
                box.shell(
                    step(name) + "sleep 0.3; touch /tmp/up-\(name)-$HOSTNAME; while :; do sleep 0.1; done", name: name
                ).merging(mounts)
                    .merging([
                        "restartPolicy": "Always",
                        "startupProbe": [
                            "exec": ["command": ["sh", "-c", .string("test -e /tmp/up-\(name)-$HOSTNAME")]],
                            "periodSeconds": 1, "failureThreshold": 20,
                        ],
                    ])
            }
            try await box.pod(
                "p",
                spec: [
                    "volumes": [["name": "log", "emptyDir": [:]]],
                    "initContainers": [
                        sidecar("one"), sidecar("two"),
                        box.shell("echo init >> /run/log/steps", name: "init").merging(mounts),
                    ],
                    "containers": [box.shell(step("app") + "while :; do sleep 0.1; done", name: "app").merging(mounts)],
                ])
            try await eventually("the pod is ready", within: 20) { try await box.isReady("p") }
            let uid = try #require(try await box.get("p")).uid
            let steps = "\(box.sandbox.configuration.directory)/pods/\(uid)/volumes/log/steps"
            #expect(try String(contentsOfFile: steps, encoding: .utf8) == "start-one\nstart-two\ninit\nstart-app\n")
            try await box.api.delete(.pods, namespace: "order", name: "p")
            nonisolated(unsafe) var last = ""
            try await eventually("the pod is gone") {
                if let text = try? String(contentsOfFile: steps, encoding: .utf8) { last = text }
                return try await box.get("p") == nil
            }
            let ends = last.split(separator: "\n").filter { $0.hasPrefix("end-") }
            // The very last line may go with the volume before it was read.
            #expect(ends.starts(with: ["end-app", "end-two"]) || ends == ["end-app"], "\(last)")
            for name in ["one", "two"] { unlink("/tmp/up-\(name)-p") }
        }
    }

    @Test func `volumes, tokens and the environment reach the container, and follow their sources`() async throws {
        try await TestSandbox.run("vol") { box in
            var config = KubeObject(.configMaps, namespace: "vol", name: "cm")
            config.json["data"] = ["key": "one"]
            _ = try await box.api.create(.configMaps, config)
            let script = """
                echo "user $(id -u)"; echo "env $NAME $IP"
                for f in /var/run/secrets/x/token /var/run/secrets/kubernetes.io/serviceaccount/token; do test -s $f && echo has $f; done
                echo mem > /run/mem/f && echo memory; df -t tmpfs /run/mem >/dev/null && echo tmpfs
                cat /etc/resolv.conf
                while :; do cat /run/cm/key; echo; sleep 0.2; done
                """
            try await box.pod(
                "p",
                spec: [
                    "securityContext": ["runAsUser": 1337],
                    "volumes": [
                        ["name": "cm", "configMap": ["name": "cm"]], ["name": "mem", "emptyDir": ["medium": "Memory"]],
                        [
                            "name": "t",
                            "projected": [
                                "sources": [
                                    [
                                        "serviceAccountToken": [
                                            "path": "token", "audience": "heddle-ca", "expirationSeconds": 3600,
                                        ]
                                    ]
                                ]
                            ],
                        ],
                    ],
                    "containers": [
                        box.shell(script).merging([
                            "env": [
                                ["name": "NAME", "valueFrom": ["fieldRef": ["fieldPath": "metadata.name"]]],
                                ["name": "IP", "valueFrom": ["fieldRef": ["fieldPath": "status.podIP"]]],
                            ],
                            "volumeMounts": [
                                ["name": "cm", "mountPath": "/run/cm"], ["name": "mem", "mountPath": "/run/mem"],
                                ["name": "t", "mountPath": "/var/run/secrets/x", "readOnly": true],
                            ],
                        ])
                    ],
                ])
            try await eventually("the first content") {
                guard try await box.isReady("p") else { return false }
                return try await box.log("p").contains("one")
            }
            let log = try await box.log("p")
            let address = try #require(try await box.get("p")?.podIP)
            for part in [
                "user 1337", "env p \(address)", "has /var/run/secrets/x/token", "serviceaccount/token", "memory",
                "tmpfs", "nameserver 10.244.0.1",
            ] {
                #expect(log.contains(part), "\(part) is not in: \(log)")
            }
            _ = try await box.api.patch(.configMaps, namespace: "vol", name: "cm", ["data": ["key": "two"]])
            try await eventually("the new content") { try await box.log("p").contains("two") }
        }
    }

    @Test func `containers restart with a growing wait, and their last run is kept`() async throws {
        try await TestSandbox.run("crash") { box in
            try await box.pod("p", spec: ["containers": [box.shell("echo run; exit 3")]])
            try await eventually("a crash loop") {
                let status = try await box.get("p")?.status["containerStatuses"]?[0]
                return status?[path: "state", "waiting", "reason"] == "CrashLoopBackOff"
                    && (status?["restartCount"]?.int ?? 0) >= 2
            }
            let status = try #require(try await box.get("p")?.status["containerStatuses"]?[0])
            #expect(status[path: "lastState", "terminated", "exitCode"] == 3)
            #expect(status[path: "lastState", "terminated", "reason"] == "Error")
            #expect(try await box.log("p", previous: true) == "run\n")
        }
    }

    @Test func `liveness restarts, readiness follows, and a stubborn container is killed after its grace`() async throws
    {
        try await TestSandbox.run("probe") { box in
            try await box.pod(
                "p",
                spec: [
                    "terminationGracePeriodSeconds": 1,
                    "containers": [
                        box.shell("trap '' TERM; touch /run/live; while :; do sleep 0.1; done").merging([
                            "livenessProbe": [
                                "exec": ["command": ["test", "-e", "/run/live"]], "periodSeconds": 1,
                                "failureThreshold": 1, "initialDelaySeconds": 1,
                            ],
                            "readinessProbe": [
                                "exec": ["command": ["test", "-e", "/run/ready"]], "periodSeconds": 1,
                                "failureThreshold": 1,
                            ],
                            "lifecycle": ["postStart": ["exec": ["command": ["touch", "/run/ready"]]]],
                        ])
                    ],
                ])
            try await eventually("ready") { try await box.isReady("p") }
            let pods = try await box.sandbox.processes.run([
                "sh", "-c", "for p in /proc/[0-9]*; do grep -qs touch.*run/live $p/cmdline && echo ${p#/proc/}; done",
            ])
            let pid = try #require(pods.output.split(separator: "\n").first.map(String.init))
            _ = try await box.sandbox.processes.run(["nsenter", "-t", pid, "-m", "rm", "/run/ready"])
            try await eventually("not ready") { try await !box.isReady("p") }
            _ = try await box.sandbox.processes.run(["nsenter", "-t", pid, "-m", "rm", "/run/live"])
            try await eventually("restarted by liveness") {
                let status = try await box.get("p")?.status["containerStatuses"]?[0]
                return (status?["restartCount"]?.int ?? 0) >= 1
                    && status?[path: "lastState", "terminated", "exitCode"] == 137
            }
            let begin = ContinuousClock.now
            try await box.api.delete(.pods, namespace: "probe", name: "p")
            try await eventually("gone") { try await box.get("p") == nil }
            #expect(.now - begin < .seconds(3))
        }
    }

    @Test func `a Deployment rolls over real pods, and what cannot run says why`() async throws {
        try await TestSandbox.run("roll") { box in
            var web = deployment("web", replicas: 2)
            web.namespace = "roll"
            web.json.set(
                ["containers": [box.server()], "terminationGracePeriodSeconds": 1], at: ["spec", "template", "spec"])
            _ = try await box.api.create(.deployments, web)
            func rolledOut() async throws -> Bool {
                isRolledOut(try await box.api.get(.deployments, namespace: "roll", name: "web"))
            }
            try await eventually("the first rollout", within: 20) { try await rolledOut() }
            _ = try await box.api.patch(
                .deployments, namespace: "roll", name: "web",
                ["spec": ["template": ["metadata": ["annotations": ["v": "2"]]]]])
            try await eventually("the second rollout", within: 30) { try await rolledOut() }

            try await box.pod("bad", spec: ["containers": [["name": "c", "image": "unknown:1"]]])
            try await box.pod(
                "far",
                spec: [
                    "volumes": [["name": "v", "emptyDir": [:]]],
                    "containers": [
                        box.shell("true").merging(["volumeMounts": [["name": "v", "mountPath": "/no/such/place"]]])
                    ],
                ])
            try await eventually("both say why") {
                let bad = try await box.get("bad")?.status["containerStatuses"]?[0]?[path: "state", "waiting"]
                let far = try await box.get("far")?.status["containerStatuses"]?[0]?[
                    path: "state", "waiting", "message"]?.string
                return bad?["reason"] == "ErrImagePull" && bad?["message"]?.string?.contains("--image unknown=") == true
                    && far?.contains("/no/such/place") == true
            }
        }
    }
}
