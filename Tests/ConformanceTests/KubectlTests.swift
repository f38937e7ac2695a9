import Foundation
import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite(.serialized, .enabled(if: Kubectl.executable != nil, "kubectl is not installed")) struct KubectlCommands {
        let cluster = Cluster.current

        @Test func `kubectl applies, reads, changes and deletes`() async throws {
            try await cluster.withNamespace { ns in
                try await Kubectl.run(on: cluster) { kubectl in
                    let deployment = try kubectl.file(
                        "web.json",
                        Objects.deployment().json.merging(["apiVersion": "apps/v1", "kind": "Deployment"]).serialized())
                    #expect(try await kubectl("apply", "-n", ns.name, "-f", deployment).contains("created"))
                    #expect(try await kubectl("apply", "-n", ns.name, "-f", deployment).contains("unchanged"))
                    try await kubectl("scale", "-n", ns.name, "deployment/web", "--replicas=1")
                    try await kubectl("set", "image", "-n", ns.name, "deployment/web", "app=registry.invalid/app:2")
                    try await kubectl("label", "-n", ns.name, "deploy", "web", "team=blue")
                    try await kubectl("annotate", "-n", ns.name, "deploy", "web", "note=x")
                    try await kubectl("patch", "-n", ns.name, "deploy", "web", "-p", "{\"spec\":{\"paused\":true}}")
                    let image = try await kubectl(
                        "get", "-n", ns.name, "deploy", "web", "-o",
                        "jsonpath={.spec.template.spec.containers[0].image} {.spec.paused} {.metadata.labels.team}")
                    #expect(image == "registry.invalid/app:2 true blue")
                    let table = try await kubectl("get", "-n", ns.name, "deployments", "-l", "team=blue")
                    #expect(table.contains("READY") && table.contains("web"))
                    try await kubectl(
                        "wait", "-n", ns.name, "deploy/web", "--for=jsonpath={.spec.paused}=true", "--timeout=10s")
                    // Its status is not asked for: other tests' groups come and go meanwhile.
                    let kinds = try await kubectl.outcome(of: ["api-resources", "--api-group=apps", "-o", "name"])
                    #expect(kinds.output.contains("deployments.apps"), "\(kinds)")
                    #expect(try await kubectl("auth", "can-i", "delete", "pods", "-n", ns.name).contains("yes"))
                    try await kubectl("delete", "-n", ns.name, "deploy", "web", "--wait=true", "--timeout=30s")
                    #expect(try await kubectl("get", "-n", ns.name, "deploy", "-o", "name").isEmpty)
                }
            }
        }

        @Test func `kubectl applies on the server's side and tells conflicts`() async throws {
            try await cluster.withNamespace { ns in
                try await Kubectl.run(on: cluster) { kubectl in
                    let file = try kubectl.file(
                        "map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {k: v}\n")
                    let apply = ["apply", "-n", ns.name, "--server-side", "-f", file]
                    #expect(try await kubectl.outcome(of: apply).status == 0)
                    try await ns.patch(.merge, .configMaps, "m", ["fieldManager": "editor"], ["data": ["k": "w"]])
                    let conflict = try await kubectl.outcome(of: apply)
                    #expect(conflict.status != 0 && conflict.errors.contains("conflict with \"editor\""), "\(conflict)")
                    #expect(conflict.errors.contains(".data.k"))
                    #expect(try await kubectl.outcome(of: apply + ["--force-conflicts"]).status == 0)
                    #expect(try await ns.get(.configMaps, "m").json["data"] == ["k": "v"])
                    let diff = try await kubectl.outcome(of: ["diff", "-n", ns.name, "-f", file])
                    #expect(diff.status == 0 || Self.isMissing("diff"), "\(diff)")
                }
            }
        }

        private static func isMissing(_ program: String) -> Bool {
            !["/usr/bin", "/bin"].contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
        }

        @Test func `kubectl shows custom resources by their columns and short name`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(cluster.definitions.widgets, Widget.object("a"))
                try await Kubectl.run(on: cluster) { kubectl in
                    let isShown = try await eventually(within: .seconds(30)) {
                        let table = try await kubectl.outcome(of: ["get", "-n", ns.name, "widgetx"])
                        return table.status == 0 && table.output.contains("SIZE") && table.output.contains("READY")
                    }
                    #expect(isShown)
                }
            }
        }

        // MARK: - README

        @Test func `the README's kubectl commands are those that run here`() throws {
            #expect(try Readme().commands == ["kubectl apply --server-side -k .", "kubectl get nodes"])
        }

        @Test func `the README's first look works`() async throws {
            try await Kubectl.run(on: cluster) { kubectl in try await kubectl("get", "nodes") }
        }

        /// As the README says: the kustomization is applied, then the objects of its examples.
        @Test func `the README's installation and examples are applied by kubectl`() async throws {
            guard cluster.serves(.heddle), cluster.serves(.throwaway) else { return }
            let readme = try Readme()
            let kustomization = try #require(readme.documents.first { $0.contains("kind: Kustomization") })
            let objects = try readme.objects(of: "heddle.dev")
            #expect(Set(objects.map(\.kind)) == ["Mesh", "Adoption", "Canary"])
            try await Kubectl.run(on: cluster) { kubectl in
                _ = try kubectl.file("kustomization.yaml", kustomization)
                let link = kubectl.directory.appending(path: "heddle")
                try FileManager.default.createDirectory(at: link, withIntermediateDirectories: true)
                try FileManager.default.copyItem(
                    at: Readme.checkout.appending(path: "manifests"), to: link.appending(path: "manifests"))
                try await kubectl("apply", "--server-side", "-k", ".")
                let deployment = try await cluster.client.get(
                    .deployments, namespace: "heddle-system", name: "heddle-operator")
                let image = deployment.spec[path: "template", "spec", "containers"]?[0]?["image"]?.string
                #expect(image == "registry.example.com/heddle-operator:0.1.0")
                // No operator runs here whose webhooks could answer.
                for resource in [
                    GroupVersionResource.mutatingWebhookConfigurations, .validatingWebhookConfigurations,
                ] {
                    for hooks in try await cluster.client.list(resource).items
                    where hooks.name.hasPrefix("heddle") && !hooks.name.hasPrefix("heddle-conformance") {
                        try await cluster.client.delete(resource, name: hooks.name)
                    }
                }
                try await kubectl("create", "namespace", "shop")
                for (index, object) in objects.enumerated() {
                    let file = try kubectl.file("example\(index).json", object.json.serialized())
                    let isApplied = try await eventually(within: .seconds(20)) {
                        try await kubectl.outcome(of: ["apply", "--server-side", "-f", file]).status == 0
                    }
                    #expect(isApplied, "\(object.kind)")
                }
                let all = try await kubectl("get", "heddle", "--all-namespaces", "-o", "name")
                for name in ["mesh.heddle.dev/default", "adoption.heddle.dev/shop", "canary.heddle.dev/catalog"] {
                    #expect(all.contains(name), "\(all)")
                }
                try await kubectl("delete", "namespace", "shop", "--wait=false")
                try await kubectl("delete", "-k", ".", "--wait=false", "--ignore-not-found")
            }
        }

        @Test(arguments: Definitions.Home.all)
        func `the README's examples fit Heddle's definitions`(home: Definitions.Home) async throws {
            guard cluster.serves(.heddle, at: home), home == .separate else { return }
            let client = try #require(cluster.definitions.clients[home])
            let folder = Readme.checkout.appending(path: "manifests/crds")
            var definitions: [KubeObject] = []
            for file in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            where file.hasPrefix("heddle.dev_") {
                definitions += try Readme.objects(String(contentsOf: folder.appending(path: file), encoding: .utf8))
            }
            for definition in definitions { try await cluster.definitions.install(definition, with: client) }
            try await cluster.withNamespace { ns in
                for var object in try Readme().objects(of: "heddle.dev") {
                    let definition = try #require(
                        definitions.first { $0.spec[path: "names", "kind"]?.string == object.kind })
                    let resource = GroupVersionResource(
                        group: "heddle.dev", version: "v1alpha1",
                        resource: definition.spec[path: "names", "plural"]?.string ?? "", kind: object.kind,
                        isNamespaced: definition.spec["scope"] == "Namespaced")
                    if resource.isNamespaced { object.namespace = ns.name }
                    _ = try await client.create(resource, object, options: .init(fieldValidation: .strict))
                    if !resource.isNamespaced { try await client.delete(resource, name: object.name) }
                }
            }
            for definition in definitions {
                try await client.delete(.customResourceDefinitions, name: definition.name)
            }
        }
    }
}
