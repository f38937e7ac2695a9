import Foundation
import KubeCore
import Testing

@testable import KubeSandbox

/// The node's parts that need no machine.
struct NodePureTests {
    @Test func `images map by their name alone`() {
        let images = ImageMap(["web": "/opt/web", "heddle-agent": "/opt/agent"])
        #expect(
            images.commandLine(image: "reg.io:5000/acme/web:1.2@sha256:00", command: [], arguments: ["-v"]) == [
                "/opt/web", "-v",
            ])
        #expect(
            images.commandLine(image: "web", command: ["/usr/bin/heddle-agent", "proxy"], arguments: ["x"]) == [
                "/opt/agent", "proxy", "x",
            ])
        #expect(
            images.commandLine(image: "web:2", command: ["sh", "-c"], arguments: ["true"]) == ["sh", "-c", "true"])
        #expect(images.commandLine(image: "other", command: ["sh"], arguments: []) == nil)
    }

    @Test(arguments: [("a$(B)c", "a1c"), ("$$(B)", "$(B)"), ("$(X)", "$(X)"), ("$", "$"), ("100$ $(B)", "100$ 1")])
    func `variables expand as in Kubernetes`(text: String, expected: String) {
        #expect(ContainerEnvironment.expand(text, with: ["B": "1"]) == expected)
    }

    @Test func `the environment takes values from fields, ConfigMaps and Secrets`() throws {
        var pod = KubeObject(.pods, namespace: "shop", name: "p")
        pod.labels = ["app": "web"]
        let container = ContainerSpec(
            role: .application,
            json: [
                "name": "c", "envFrom": [["prefix": "C_", "configMapRef": ["name": "cm"]]],
                "env": [
                    ["name": "IP", "valueFrom": ["fieldRef": ["fieldPath": "status.podIP"]]],
                    ["name": "APP", "valueFrom": ["fieldRef": ["fieldPath": "metadata.labels['app']"]]],
                    ["name": "KEY", "valueFrom": ["secretKeyRef": ["name": "s", "key": "k"]]],
                    ["name": "URL", "value": "http://$(IP)/$(C_a)"],
                    [
                        "name": "GONE",
                        "valueFrom": ["configMapKeyRef": ["name": "none", "key": "k", "optional": true]],
                    ],
                ],
            ], pod: pod)
        let environment = try ContainerEnvironment(container: container, podIP: "10.0.0.9", hostIP: "10.0.0.1") {
            resource, name in
            switch name {
            case "cm": KubeObject(json: ["kind": "ConfigMap", "data": ["a": "x"]])
            case "s": KubeObject(json: ["kind": "Secret", "data": ["k": "c2VjcmV0"]])
            default: nil
            }
        }.resolve(base: [:])
        #expect(
            environment == ["C_a": "x", "IP": "10.0.0.9", "APP": "web", "KEY": "secret", "URL": "http://10.0.0.9/x"])
    }

    @Test func `a volume's files change all at once`() throws {
        let path = NSTemporaryDirectory() + "heddle-atomic-\(UInt64.random(in: 0...UInt64.max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let directory = AtomicDirectory(path: path)
        try directory.write(["a": Array("1".utf8), "d/b": Array("2".utf8)])
        #expect(try String(contentsOfFile: path + "/a", encoding: .utf8) == "1")
        #expect(try String(contentsOfFile: path + "/d/b", encoding: .utf8) == "2")
        let version = try FileManager.default.destinationOfSymbolicLink(atPath: path + "/..data")
        try directory.write(["a": Array("1".utf8), "d/b": Array("2".utf8)])
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path + "/..data") == version)
        try directory.write(["a": Array("3".utf8)])
        #expect(try String(contentsOfFile: path + "/a", encoding: .utf8) == "3")
        #expect(!FileManager.default.fileExists(atPath: path + "/d"))
        #expect(throws: SandboxError.self) { try directory.write(["../x": []]) }
    }

    @Test func `service rules send to ready endpoints and refuse without`() {
        var service = KubeObject(.services, namespace: "a", name: "web")
        service.spec = [
            "clusterIP": "10.96.0.5",
            "ports": [["name": "http", "port": 80], ["name": "dns", "port": 53, "protocol": "UDP"]],
        ]
        var headless = KubeObject(.services, namespace: "a", name: "none")
        headless.spec = ["clusterIP": "None", "ports": [["port": 80]]]
        var slice = KubeObject(.endpointSlices, namespace: "a", name: "web-1")
        slice.labels = ["kubernetes.io/service-name": "web"]
        slice.json["ports"] = [["name": "http", "port": 8080, "protocol": "TCP"]]
        slice.json["endpoints"] = [
            ["addresses": ["10.244.0.2"], "conditions": ["ready": true]],
            ["addresses": ["10.244.0.3"], "conditions": ["ready": false]],
            ["addresses": ["10.244.0.4 } evil {"], "conditions": ["ready": true]],
        ]
        let rules = ServiceRules(services: [service, headless], slices: [slice])
        #expect(rules.ports.count == 2)
        #expect(rules.script.contains("10.96.0.5 . tcp . 80 : goto service0"))
        #expect(rules.script.contains("numgen random mod 1 map { 0 : 10.244.0.2 . 8080 }"))
        #expect(rules.script.contains("elements = { 10.96.0.5 . udp . 53 }"))
        #expect(!rules.script.contains("evil"))
    }

    @Test func `DNS answers what the cluster knows and nothing else`() {
        let cache = ClusterCache(api: APIServer(), resources: [])
        var service = KubeObject(.services, namespace: "shop", name: "web")
        service.json.set("u1", at: ["metadata", "uid"])
        service.spec = ["clusterIP": "10.96.0.5"]
        cache.observe(.services, service)
        let names = ClusterNames(cache: cache)
        #expect(names.resolve("web.shop.svc.cluster.local") == .addresses(["10.96.0.5"]))
        #expect(names.resolve("web.other.svc.cluster.local") == .unknown)
        #expect(names.resolve("example.com") == .foreign)

        let query: [UInt8] =
            [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + [3] + Array("WEB".utf8) + [4] + Array("shop".utf8) + [3]
            + Array("svc".utf8) + [7] + Array("cluster".utf8) + [5] + Array("local".utf8) + [0, 0, 1, 0, 1]
        let answer = names.answer(query, limit: 512) ?? []
        #expect(answer.prefix(2) == [0x12, 0x34])
        #expect(answer[3] & 0x0f == 0 && answer[7] == 1)
        #expect(answer.suffix(4) == [10, 96, 0, 5])
        // Truncated and hostile input.
        for length in 0..<query.count { _ = names.answer(Array(query.prefix(length)), limit: 512) }
        #expect(names.answer([0, 1, 0x81, 0] + [UInt8](repeating: 0, count: 8), limit: 512) == nil)
    }

    @Test func `a pod's status follows its containers`() {
        var pod = KubeObject(.pods, namespace: "a", name: "p")
        pod.spec = [
            "initContainers": [["name": "side", "restartPolicy": "Always"]], "containers": [["name": "app"]],
            "restartPolicy": "Never",
        ]
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        var runtime = PodRuntime(startedAt: now)
        func status() -> KubeObject {
            KubeObject(json: ["status": PodStatus(pod: pod, runtime: runtime, nodeAddress: "10.244.0.1", now: now).json]
            )
        }
        #expect(status().podPhase == "Pending")
        runtime.isInitialized = true
        runtime.podIP = "10.244.0.2"
        let running = PodRuntime.Container(state: .running(since: now), isStarted: true, isReady: true, id: "x")
        runtime.containers = ["side": running, "app": running]
        #expect(status().podPhase == "Running" && status().isPodReady)
        runtime.containers["side"]?.isReady = false
        #expect(!status().isPodReady)
        runtime.containers["app"]?.state = .terminated(
            .init(exit: .signalled(9), reason: "Error", startedAt: now, finishedAt: now, containerID: "x"))
        runtime.containers["app"]?.isOver = true
        #expect(status().podPhase == "Failed")
        #expect(status().status["containerStatuses"]?[0]?[path: "state", "terminated", "exitCode"] == 137)
    }
}
