import Foundation
import KubeCore
import Testing

/// The operator's roles against the calls that were recorded of it: nothing is missing, and nothing is left over.
///
/// `Recorded/operator-calls.txt` is what a demo's operator wrote down (`HEDDLE_RECORD_API_CALLS=<file> make demo`);
/// `Recorded/other-calls.txt` names calls that the demo does not come to, each with its reason.
@Suite(.enabled(if: Tool.areThere, "scripts/get-tools installs helm and kubectl"))
struct RBACTests {
    private let granted: [Permission]
    private let objects: [KubeObject]

    init() throws {
        objects = try InstallTests.objects(inYAML: Tool.kubectl.run("kustomize", "manifests/rbac"))
        granted = objects.filter { $0.name == "heddle-operator" }.flatMap { object -> [Permission] in
            switch object.kind {
            case "ClusterRole":
                Permission.granted(by: object) { clusterScoped.contains($0) ? "cluster" : "any" }
            case "Role": Permission.granted(by: object) { _ in "own" }
            default: []
            }
        }
    }

    private var used: [Permission] {
        get throws {
            try Permission.recorded(in: "operator-calls.txt") + Permission.recorded(in: "other-calls.txt")
        }
    }

    @Test func `every call that was recorded is granted`() throws {
        #expect(try Permission.recorded(in: "operator-calls.txt").count > 40)
        for call in try used {
            #expect(granted.contains { $0.covers(call) }, "not granted: \(call)")
        }
    }

    @Test func `no verb is granted that is not used`() throws {
        let used = try used
        for grant in granted {
            #expect(used.contains(where: grant.covers), "granted and never used: \(grant)")
        }
        #expect(granted.count == Set(granted).count, "a verb is granted twice")
    }

    @Test func `the calls that the demo does not come to say why they are needed`() throws {
        let text = try String(contentsOf: here.appendingPathComponent("Recorded/other-calls.txt"), encoding: .utf8)
        let recorded = Set(try Permission.recorded(in: "operator-calls.txt"))
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            #expect(line.split(separator: "#").count == 2, "no reason: \(line)")
            for call in Permission.read(line) { #expect(!recorded.contains(call), "the demo comes to it: \(call)") }
        }
    }

    @Test func `no role has a wildcard, and secrets are reached by name in the own namespace alone`() {
        for object in objects where object.kind == "ClusterRole" || object.kind == "Role" {
            for rule in object.json["rules"]?.array ?? [] {
                for field in ["resources", "verbs", "apiGroups"] {
                    #expect(rule[field]?.array?.contains("*") != true, "\(object.kind) \(object.name)")
                }
            }
        }
        let secrets = granted.filter { $0.resource.hasPrefix("secrets") }
        #expect(secrets.allSatisfy { $0.scope == "own" && ($0.name == "heddle-ca" || $0.verb == "create") })
        #expect(!granted.contains { $0.resource.contains("rbac.authorization") || $0.verb == "impersonate" })
    }

    @Test func `people's roles are added to Kubernetes' own and cover every kind`() throws {
        func role(_ name: String) throws -> KubeObject {
            try #require(objects.first { $0.kind == "ClusterRole" && $0.name == name })
        }
        let (view, edit) = (try role("heddle-view"), try role("heddle-edit"))
        for target in ["view", "edit", "admin"] {
            #expect(view.labels["rbac.authorization.k8s.io/aggregate-to-\(target)"] == "true")
        }
        #expect(edit.labels["rbac.authorization.k8s.io/aggregate-to-view"] == nil)
        #expect(edit.labels["rbac.authorization.k8s.io/aggregate-to-edit"] == "true")
        let seen = Set(Permission.granted(by: view) { _ in "any" }.map(\.resource))
        let changed = Set(Permission.granted(by: edit) { _ in "any" }.map(\.resource))
        #expect(seen.count == 5)
        #expect(seen.subtracting(changed) == ["meshes.heddle.dev"], "only the mesh's own role changes a Mesh")
    }
}
