import KubeCore
import Testing

@testable import MeshPlan

struct InjectionTests {
    private func pod(_ namespace: String = "shop") -> KubeObject {
        var pod = KubeObject(.pods, namespace: namespace, name: "catalog-1")
        pod.spec = ["containers": [["name": "app", "image": "app:1"]]]
        return pod
    }

    private func injected(_ pod: KubeObject, _ change: (inout SidecarInjector.Settings) -> Void = { _ in })
        -> KubeObject
    {
        var settings = SidecarInjector.Settings()
        change(&settings)
        return SidecarInjector(settings: settings).inject(pod)
    }

    // MARK: Decision

    struct Case: Sendable, CustomTestStringConvertible {
        var label: String?
        var annotation: String?
        var namespace: String?
        var expected: InjectionDecision
        var testDescription: String { "\(label ?? "-") \(annotation ?? "-") \(namespace ?? "-")" }
    }

    @Test(arguments: [
        Case(expected: .skip(.notRequested)),
        Case(namespace: "true", expected: .inject),
        Case(namespace: "false", expected: .skip(.notRequested)),
        Case(annotation: "true", expected: .inject),
        Case(annotation: "false", namespace: "true", expected: .skip(.optedOut)),
        Case(label: "true", annotation: "false", expected: .inject),
        Case(label: "false", annotation: "true", namespace: "true", expected: .skip(.optedOut)),
        Case(label: "true", namespace: "false", expected: .inject),
        Case(label: "True", namespace: "true", expected: .skip(.invalidValue)),
        Case(annotation: "", namespace: "true", expected: .skip(.invalidValue)),
    ])
    func `the pod's label beats its annotation and both beat the namespace`(_ row: Case) {
        var pod = pod()
        if let label = row.label { pod.labels[InjectionDecision.injectKey] = label }
        if let annotation = row.annotation { pod.annotations[InjectionDecision.injectKey] = annotation }
        let labels = row.namespace.map { [InjectionDecision.injectKey: $0] } ?? [:]
        #expect(InjectionDecision.decide(pod: pod, namespaceLabels: labels, excludedNamespaces: []) == row.expected)
    }

    @Test(arguments: [
        ("kube-system", InjectionDecision.skip(.excludedNamespace)), ("mine", .skip(.excludedNamespace)),
        ("shop", .inject),
    ])
    func `excluded namespaces are left alone whatever the pod says`(namespace: String, expected: InjectionDecision) {
        var pod = pod(namespace)
        pod.labels[InjectionDecision.injectKey] = "true"
        #expect(InjectionDecision.decide(pod: pod, namespaceLabels: [:], excludedNamespaces: ["mine"]) == expected)
    }

    @Test func `a pod on its node's network is left alone, for its rules would be the node's`() {
        var pod = pod()
        pod.labels[InjectionDecision.injectKey] = "true"
        pod.spec["hostNetwork"] = true
        #expect(InjectionDecision.decide(pod: pod, namespaceLabels: [:], excludedNamespaces: []) == .skip(.hostNetwork))
    }

    @Test(arguments: [
        ("containers", "istio-proxy"), ("initContainers", "linkerd-proxy"), ("initContainers", "heddle-proxy"),
    ])
    func `a pod has one sidecar at most`(list: String, name: String) {
        var pod = pod()
        pod.labels[InjectionDecision.injectKey] = "true"
        pod.spec[list] = .array((pod.spec[list]?.array ?? []) + [["name": .string(name)]])
        #expect(
            InjectionDecision.decide(pod: pod, namespaceLabels: [:], excludedNamespaces: []) == .skip(.alreadyInjected))
    }

    // MARK: Injector

    @Test func `the sidecar starts before the pod's own init containers and lives beside the rest`() throws {
        var before = pod()
        before.spec["initContainers"] = [["name": "migrate"], ["name": "side", "restartPolicy": "Always"]]
        let pod = injected(before)
        let containers = try #require(pod.spec["initContainers"]?.array)
        #expect(containers.compactMap { $0["name"]?.string } == ["heddle-init", "heddle-proxy", "migrate", "side"])
        #expect(containers[0]["restartPolicy"] == nil, "capturing ends before the others start")
        #expect(containers[1]["restartPolicy"] == "Always")
        #expect(containers[2] == ["name": "migrate"])
        #expect(pod.spec["containers"] == before.spec["containers"])
    }

    @Test func `only the capture has rights, and it has no more than it needs`() throws {
        let containers = try #require(injected(pod()).spec["initContainers"]?.array)
        let (capture, proxy) = (containers[0]["securityContext"], containers[1]["securityContext"])
        #expect(capture?[path: "capabilities", "add"] == ["NET_ADMIN", "NET_RAW"])
        #expect(proxy?[path: "capabilities", "add"] == nil)
        #expect(proxy?[path: "capabilities", "drop"] == ["ALL"])
        #expect(proxy?["runAsUser"] == 1337, "the capture's rules let this user's traffic through")
        #expect(proxy?["runAsNonRoot"] == true)
        for context in [capture, proxy] {
            #expect(context?["allowPrivilegeEscalation"] == false)
            #expect(context?["readOnlyRootFilesystem"] == true)
        }
    }

    @Test func `the proxy's token has the mesh's audience and its volumes are all mounted`() throws {
        let pod = injected(pod()) { $0.tokenSeconds = 900 }
        let volumes = try #require(pod.spec["volumes"]?.array)
        let token = volumes.first { $0["name"] == "heddle-token" }?[path: "projected", "sources"]?[0]?[
            "serviceAccountToken"]
        #expect(token == ["path": "token", "audience": "heddle-ca", "expirationSeconds": 900])
        let mounts = pod.spec["initContainers"]?[1]?["volumeMounts"]?.array?.compactMap { $0["name"]?.string } ?? []
        #expect(Set(mounts) == Set(volumes.compactMap { $0["name"]?.string }))
    }

    @Test func `the proxy is told what it has to know`() throws {
        var before = pod()
        before.labels = ["app": "catalog"]
        let pod = injected(before) {
            $0.image = "agent:7"
            $0.trustDomain = "example.org"
            $0.drainSeconds = 9
        }
        let proxy = try #require(pod.spec["initContainers"]?[1])
        var values: [String: String] = [:]
        for variable in proxy["env"]?.array ?? [] { values[variable["name"]?.string ?? ""] = variable["value"]?.string }
        #expect(proxy["image"] == "agent:7")
        #expect(values["HEDDLE_TRUST_DOMAIN"] == "example.org")
        #expect(values["HEDDLE_DRAIN_SECONDS"] == "9")
        #expect(values["HEDDLE_DISCOVERY_ADDRESS"] == "heddle-operator.heddle-system.svc:15012")
        #expect(try JSONValue.parse(Array((values["HEDDLE_POD_LABELS"] ?? "").utf8)) == ["app": "catalog"])
    }

    @Test func `what was injected is written on the pod`() throws {
        let pod = injected(pod())
        let status = try JSONValue.parse(Array((pod.annotations[SidecarInjector.statusAnnotation] ?? "").utf8))
        #expect(status["initContainers"] == ["heddle-init", "heddle-proxy"])
        #expect(pod.labels[SidecarInjector.injectedLabel] == "true")
    }

    // MARK: Probes

    private func rewritten(_ container: JSONValue) -> (container: JSONValue, targets: [String: JSONValue]) {
        var probes = ProbeRewrite()
        let container = probes.rewrite(container)
        return (container, probes.targets)
    }

    @Test func `network probes take the detour and keep their times`() {
        let container: JSONValue = [
            "name": "app", "ports": [["name": "web", "containerPort": 8080]],
            "readinessProbe": [
                "httpGet": ["path": "/r", "port": "web", "httpHeaders": [["name": "X", "value": "1"]]],
                "periodSeconds": 2,
            ],
            "livenessProbe": ["tcpSocket": ["port": 9090], "timeoutSeconds": 4],
            "startupProbe": ["grpc": ["port": 9000, "service": "health"]],
        ]
        let (after, targets) = rewritten(container)
        func detour(_ path: String) -> JSONValue {
            ["path": .string("/app-health/app/\(path)"), "port": 15020, "scheme": "HTTP"]
        }
        #expect(after["readinessProbe"] == ["httpGet": detour("readyz"), "periodSeconds": 2])
        #expect(after["livenessProbe"] == ["httpGet": detour("livez"), "timeoutSeconds": 4])
        #expect(after["startupProbe"] == ["httpGet": detour("startupz")])
        #expect(
            targets == [
                "/app-health/app/readyz": [
                    "timeoutSeconds": 1,
                    "httpGet": ["path": "/r", "port": 8080, "headers": [["name": "X", "value": "1"]]],
                ],
                "/app-health/app/livez": ["timeoutSeconds": 4, "tcpSocket": ["port": 9090]],
                "/app-health/app/startupz": ["timeoutSeconds": 1, "grpc": ["port": 9000, "service": "health"]],
            ])
    }

    @Test(
        arguments: [
            ["exec": ["command": ["true"]]], ["httpGet": ["path": "/", "port": "nowhere"]], [:],
        ] as [JSONValue])
    func `a probe that needs no detour, or has no known port, stays`(_ probe: JSONValue) {
        let container: JSONValue = ["name": "app", "readinessProbe": probe]
        let (after, targets) = rewritten(container)
        #expect(after == container)
        #expect(targets.isEmpty)
    }

    @Test func `a port given as text is a number when no port has that name`() {
        let (_, targets) = rewritten(["name": "app", "livenessProbe": ["httpGet": ["path": "/", "port": "8081"]]])
        #expect(targets["/app-health/app/livez"]?[path: "httpGet", "port"] == 8081)
    }

    @Test func `the agent is told of every container's probes`() throws {
        var before = pod()
        before.spec["containers"] = [
            ["name": "a", "readinessProbe": ["tcpSocket": ["port": 1]]],
            ["name": "b", "livenessProbe": ["tcpSocket": ["port": 2]]],
        ]
        let variables = injected(before).spec["initContainers"]?[1]?["env"]?.array ?? []
        let text = variables.first { $0["name"] == "HEDDLE_APP_PROBES" }?["value"]?.string
        let probes = try JSONValue.parse(Array((text ?? "").utf8))
        #expect(Set(probes.object.map { Array($0.keys) } ?? []) == ["/app-health/a/readyz", "/app-health/b/livez"])
    }
}
