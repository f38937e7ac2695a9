import Foundation
import KubeCore
import Testing

@testable import HeddleAPI

@Suite(.enabled(if: Tool.areThere, "scripts/get-tools installs helm and kubectl"))
struct ManifestTests {
    @Test func `every kustomization builds`() throws {
        for folder in ["base", "overlays/sandbox", "crds", "istio-crds", "samples"] {
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
        #expect(operatorPod?["containers"]?[0]?["args"] == ["--log-level=debug"])
    }

    @Test func `a value that the chart does not know is refused`() {
        #expect(throws: Tool.Failure.self) { try chart("--set", "replicas=none") }
        #expect(throws: Tool.Failure.self) { try chart("--set", "injectr.failurePolicy=Fail") }
        #expect(throws: Tool.Failure.self) { try chart("--set", "injector.failurePolicy=Sometimes") }
    }

    @Test func `chart and manifests make the same objects`() throws {
        let fromChart = byName(try chart("--set", "istioCRDs.create=true"))
        let fromManifests = byName(
            try objects(
                inYAML: Tool.kubectl.run("kustomize", "manifests/base") + "---\n"
                    + Tool.kubectl.run("kustomize", "manifests/istio-crds")))
        // Helm makes the namespace itself (--create-namespace).
        #expect(Set(fromManifests.keys).subtracting(fromChart.keys) == ["Namespace/heddle-system"])
        #expect(Set(fromChart.keys).subtracting(fromManifests.keys).isEmpty)
        for (name, object) in fromChart {
            #expect(fromManifests[name] == object, "\(name) differs between charts/heddle and manifests/base")
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

    @Test func `the operator may do what it needs on secrets only in its own namespace`() throws {
        let objects = try objects(inYAML: Tool.kubectl.run("kustomize", "manifests/base"))
        let role = try #require(objects.first { $0.kind == "ClusterRole" })
        for rule in role.json["rules"]?.array ?? [] {
            #expect(rule["resources"]?.array?.contains("secrets") != true)
            for field in ["resources", "verbs", "apiGroups"] { #expect(rule[field]?.array?.contains("*") != true) }
        }
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

    private func chart(_ values: String...) throws -> [KubeObject] {
        var arguments = ["template", "heddle", "charts/heddle", "--namespace", "heddle-system", "--include-crds"]
        arguments += ["--kube-version", "1.33"] + values
        return try objects(inYAML: Tool.helm.run(arguments))
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
