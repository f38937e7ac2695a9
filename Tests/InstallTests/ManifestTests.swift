import Foundation
import KubeCore
import Testing

@testable import HeddleAPI

@Suite(.enabled(if: Tool.areThere, "scripts/get-tools installs helm and kubectl"))
struct ManifestTests {
    @Test func `every kustomization builds`() throws {
        for folder in [
            "base", "rbac", "crds", "istio-crds", "samples", "overlays/sandbox", "overlays/hardened",
            "overlays/monitoring", "overlays/cert-manager",
        ] {
            #expect(try !Tool.kubectl.run("kustomize", "manifests/\(folder)").isEmpty)
        }
        #expect(try !Tool.kubectl.run("kustomize", "Examples/shop").isEmpty)
    }

    @Test func `helm lints the chart and renders it with every value set`() throws {
        _ = try Tool.helm.run("lint", "--strict", "charts/heddle")
        let rendered = try chart(
            "--set", "mesh.create=true", "--set", "mesh.spec.provider=Istio", "--set", "extraArgs={--log-level=debug}",
            "--set", "imagePullSecrets[0].name=pull", "--set", "tolerations[0].operator=Exists",
            "--set", "nodeSelector.a=b", "--set", "podAnnotations.c=d", "--set", "priorityClassName=high",
            "--set", "injector.failurePolicy=Ignore", "--set", "istioCRDs.create=false")
        #expect(rendered.contains { $0.kind == "Mesh" && $0.spec["provider"] == "Istio" })
        #expect(!rendered.contains { $0.name.hasSuffix(".istio.io") })
        let operatorPod = rendered.first { $0.kind == "Deployment" }?.spec[path: "template", "spec"]
        #expect(operatorPod?["priorityClassName"] == "high")
        #expect(operatorPod?["containers"]?[0]?["args"] == ["--namespace=heddle-system", "--log-level=debug"])
    }

    @Test func `a value that the chart does not know is refused`() {
        #expect(throws: Tool.Failure.self) { try chart("--set", "replicas=none") }
        #expect(throws: Tool.Failure.self) { try chart("--set", "injectr.failurePolicy=Fail") }
        #expect(throws: Tool.Failure.self) { try chart("--set", "injector.failurePolicy=Sometimes") }
    }

    /// An overlay and the values that make the chart say the same.
    private static let twins: [(folder: String, values: [String])] = [
        ("base", []),
        ("overlays/hardened", ["networkPolicy.create=true"]),
        ("overlays/monitoring", ["metrics.serviceMonitor.create=true", "metrics.podMonitor.create=true"]),
        (
            "overlays/cert-manager",
            [
                "certManager.create=true", "certManager.issuerRef.name=mesh-root",
                "certManager.issuerRef.kind=ClusterIssuer",
            ]
        ),
    ]

    @Test(arguments: 0..<Self.twins.count)
    func `chart and manifests make the same objects`(index: Int) throws {
        let (folder, values) = Self.twins[index]
        let fromChart = byName(try chart(["--skip-tests"] + values.flatMap { ["--set", $0] }))
        let fromManifests = byName(
            try objects(
                inYAML: Tool.kubectl.run("kustomize", "manifests/\(folder)") + "---\n"
                    + Tool.kubectl.run("kustomize", "manifests/istio-crds")))
        // Helm makes the namespace itself (--create-namespace).
        #expect(Set(fromManifests.keys).subtracting(fromChart.keys) == ["Namespace/heddle-system"])
        #expect(Set(fromChart.keys).subtracting(fromManifests.keys).isEmpty)
        for (name, object) in fromChart {
            #expect(
                fromManifests[name] == object,
                "\(name) differs between charts/heddle and manifests/\(folder): run scripts/generate-manifests")
        }
    }

    @Test func `every value has a schema, and every schema a value with a comment`() throws {
        let text = try String(
            contentsOf: repository.appendingPathComponent("charts/heddle/values.yaml"), encoding: .utf8)
        let schema = try JSONValue.parse(
            String(contentsOf: repository.appendingPathComponent("charts/heddle/values.schema.json"), encoding: .utf8))
        let values = try #require(try objects(inYAML: text).first?.json.object)
        let declared = try #require(schema["properties"]?.object)
        #expect(schema["additionalProperties"] == false)
        #expect(Set(declared.keys).subtracting(values.keys) == ["global"])
        #expect(Set(values.keys).subtracting(declared.keys).isEmpty)
    }

    @Test func `the definitions stay when the chart is removed`() throws {
        // Helm never removes what is in crds/; of what is in templates only what says so stays.
        for object in try chart([], withDefinitions: false) where object.kind == "CustomResourceDefinition" {
            #expect(object.annotations["helm.sh/resource-policy"] == "keep", "\(object.name)")
            #expect(!object.name.hasSuffix(".heddle.dev"))
        }
    }

    @Test func `every pod of Heddle's meets the restricted Pod Security Standard`() throws {
        let rendered = try chart([])
        let pods = rendered.compactMap { object -> JSONValue? in
            object.kind == "Pod" ? object.spec : object.spec[path: "template", "spec"]
        }
        #expect(pods.count == 2, "the operator's and the test's")
        for pod in pods {
            #expect(pod[path: "securityContext", "runAsNonRoot"] == true)
            #expect(pod[path: "securityContext", "seccompProfile", "type"] == "RuntimeDefault")
            #expect(pod["hostNetwork"] == nil && pod["hostPID"] == nil && pod["hostIPC"] == nil)
            for container in pod["containers"]?.array ?? [] {
                #expect(container[path: "securityContext", "allowPrivilegeEscalation"] == false)
                #expect(container[path: "securityContext", "readOnlyRootFilesystem"] == true)
                #expect(container[path: "securityContext", "capabilities"] == ["drop": ["ALL"]])
                #expect(container[path: "resources", "requests", "memory"] != nil)
                #expect(container[path: "resources", "limits", "memory"] != nil)
            }
        }
    }

    @Test func `the operator survives the loss of a node and the drain of another`() throws {
        let rendered = try chart([])
        let deployment = try #require(rendered.first { $0.kind == "Deployment" })
        #expect(deployment.spec["replicas"] == 2)
        #expect(deployment.spec[path: "strategy", "rollingUpdate", "maxUnavailable"] == 0)
        let budget = try #require(rendered.first { $0.kind == "PodDisruptionBudget" })
        #expect(budget.spec["maxUnavailable"] == 1)
        #expect(budget.spec["selector"] == deployment.spec["selector"])
        let pod = try #require(deployment.spec[path: "template", "spec"])
        let spread = (pod["topologySpreadConstraints"]?.array ?? []).compactMap { $0["topologyKey"]?.string }
        #expect(spread == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"])
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            #expect(pod["containers"]?[0]?[probe] != nil)
        }
    }

    @Test
    func
        `no webhook sees the system's namespaces or Heddle's own, and only pods that ask for a sidecar can be held up`()
        throws
    {
        let rendered = try chart(["--namespace", "mesh"])
        let configurations = rendered.filter { $0.kind.hasSuffix("WebhookConfiguration") }
        #expect(configurations.count == 3)
        for configuration in configurations {
            for webhook in configuration.json["webhooks"]?.array ?? [] {
                let name = webhook["name"]?.string ?? ""
                let excluded = (webhook[path: "namespaceSelector", "matchExpressions"]?.array ?? []).first {
                    $0["key"] == "kubernetes.io/metadata.name" && $0["operator"] == "NotIn"
                }
                #expect(
                    excluded?["values"] == ["kube-system", "kube-public", "kube-node-lease", "mesh"], "\(name)")
                #expect((webhook["timeoutSeconds"]?.int ?? 30) <= 10, "\(name)")
                #expect(webhook[path: "clientConfig", "service", "namespace"] == "mesh")
                #expect(webhook["sideEffects"] != nil && webhook["failurePolicy"] != nil)
                guard webhook["failurePolicy"] == "Fail" else { continue }
                let selectors = ["namespaceSelector", "objectSelector"].flatMap {
                    webhook[path: $0, "matchExpressions"]?.array ?? []
                }
                #expect(
                    selectors.contains { $0["key"] == "heddle.dev/inject" && $0["operator"] == "In" },
                    "\(name) may stop requests of those who asked for nothing")
                #expect(webhook["rules"]?[0]?["operations"] == ["CREATE"])
            }
        }
    }

    @Test func `samples and the shop's objects are valid`() throws {
        var checked: [String: Int] = [:]
        let example = repository.appendingPathComponent("Examples/shop/mesh")
        var text = try Tool.kubectl.run("kustomize", "manifests/samples")
        for file in try FileManager.default.contentsOfDirectory(atPath: example.path) {
            text += "\n---\n" + (try String(contentsOf: example.appendingPathComponent(file), encoding: .utf8))
        }
        for object in try objects(inYAML: text) {
            let problems =
                switch object.kind {
                case "Mesh": Mesh.problems(in: object)
                case "Adoption": Adoption.problems(in: object)
                case "Canary": Canary.problems(in: object)
                case "ServicePolicy": ServicePolicy.problems(in: object)
                case "MetricTemplate": MetricTemplate.problems(in: object)
                default: [FieldError(path: "kind", message: "\(object.kind) is none of ours")]
                }
            #expect(problems.isEmpty, "\(object.kind) \(object.key)")
            #expect(object.apiVersion == "\(HeddleGroup.name)/\(HeddleGroup.version)")
            if let schema = Self.schemas[object.kind] {
                #expect(unknownMembers(of: object.spec, in: schema, at: "spec").isEmpty, "\(object.kind) \(object.key)")
            }
            checked[object.kind, default: 0] += 1
        }
        #expect(checked == ["Mesh": 2, "Adoption": 2, "Canary": 2, "ServicePolicy": 2, "MetricTemplate": 1])
    }

    @Test func `programs, chart and manifests are of one version`() throws {
        func text(_ file: String) throws -> String {
            try String(contentsOf: repository.appendingPathComponent(file), encoding: .utf8)
        }
        let chart = try #require(try objects(inYAML: text("charts/heddle/Chart.yaml")).first?.json)
        let version = try #require(chart["appVersion"]?.string)
        #expect(chart["version"]?.string == version)
        for file in [
            "heddle/Heddle.swift", "heddle-operator/HeddleOperator.swift", "heddle-agent/HeddleAgent.swift",
            "heddle-sample/HeddleSample.swift", "HeddleAPI/Mesh/MeshSpec.swift",
        ] { #expect(try text("Sources/\(file)").contains("\(version)\""), "\(file) is not \(version)") }
        let images = try objects(inYAML: Tool.kubectl.run("kustomize", "manifests/base")).compactMap {
            $0.spec[path: "template", "spec", "containers"]?[0]?["image"]?.string
        }
        #expect(images == ["heddle-operator:\(version)"])
    }

    @Test func `manifests use the names that the operator's code uses`() throws {
        let names = Set(
            try objects(inYAML: Tool.kubectl.run("kustomize", "manifests/base")).map { "\($0.kind)/\($0.key)" })
        for name in [
            "Namespace/\(HeddleOperator.namespace)",
            "Service/\(HeddleOperator.namespace)/\(HeddleOperator.service)",
            "MutatingWebhookConfiguration/\(HeddleOperator.injectorWebhook)",
            "MutatingWebhookConfiguration/\(HeddleOperator.releaseWebhook)",
            "ValidatingWebhookConfiguration/\(HeddleOperator.validatorWebhook)",
        ] {
            #expect(names.contains(name), "\(name) is missing")
        }
    }

    // MARK: -

    private static let schemas = Dictionary(
        uniqueKeysWithValues: CustomResourceDefinition.heddle.map { ($0.resource.kind, $0.spec) })

    private func chart(_ values: String...) throws -> [KubeObject] { try chart(values) }

    /// The chart's objects; a `--namespace` among `arguments` wins.
    private func chart(_ arguments: [String], withDefinitions: Bool = true) throws -> [KubeObject] {
        let command = ["template", "heddle", "charts/heddle", "--namespace", "heddle-system", "--kube-version", "1.33"]
        return try objects(
            inYAML: Tool.helm.run(command + (withDefinitions ? ["--include-crds"] : []) + arguments))
    }

    /// The objects without what Helm adds to every one.
    private func byName(_ objects: [KubeObject]) -> [String: KubeObject] {
        var named: [String: KubeObject] = [:]
        for var object in objects {
            for label in ["helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version"] {
                object.labels[label] = nil
            }
            object.annotations["helm.sh/resource-policy"] = nil
            named["\(object.kind)/\(object.name)"] = object
        }
        return named
    }

    private func unknownMembers(of value: JSONValue, in schema: Schema, at path: String) -> [String] {
        switch (schema.shape, value) {
        case (.object(let properties), .object(let members)):
            return members.flatMap { name, member -> [String] in
                guard let property = properties.first(where: { $0.name == name }) else { return ["\(path).\(name)"] }
                return unknownMembers(of: member, in: property.schema, at: "\(path).\(name)")
            }
        case (.array(let items, _), .array(let elements)):
            return elements.flatMap { unknownMembers(of: $0, in: items, at: "\(path)[]") }
        default: return []
        }
    }
}
