import HeddleAPI
import KubeCore
import KubeTesting
import MeshPlan
import Testing

/// An operator that is upgraded finds what the one before it left, and changes nothing.
///
/// A new release adds its recording: run the demo of the released build with `--keep`, take the objects of its kinds from
/// `shop` and `heddle-system`, without `managedFields`.
@Suite struct UpgradeTests {
    static let versions = ["0.1.0"]

    @Test(arguments: versions)
    func `templates hash as they did, so no Deployment has a change to release`(version: String) throws {
        let recorded = try RecordedCluster(version)
        let canary = try Canary(try #require(recorded.object("Canary", "catalog")))
        let promoted = try #require(canary.status.change.promoted)
        let rejected = try #require(canary.status.change.rejected)
        #expect(
            ChangeHash.isCurrent(promoted), "hashes of an older version cannot be compared: say what an upgrade does")
        // The Deployment is held on the rejected template; the promoted one is its stable ReplicaSet's.
        let deployment = try #require(recorded.object("Deployment", "catalog"))
        #expect(ChangeHash.of(template: deployment.spec["template"] ?? [:]) == rejected)
        let stable = try #require(
            recorded.objects.first {
                $0.kind == "ReplicaSet" && $0.labels[HeddleLabel.podTemplateHash] == canary.status.stableHash
            })
        #expect(ChangeHash.of(template: stable.spec["template"] ?? [:]) == promoted)
    }

    @Test(arguments: versions)
    func `every status is read and written back as it was`(version: String) throws {
        let recorded = try RecordedCluster(version)
        for object in recorded.objects {
            switch object.kind {
            case "Canary": try expectUnchanged(Canary(object))
            case "Adoption": try expectUnchanged(Adoption(object))
            case "ServicePolicy": try expectUnchanged(ServicePolicy(object))
            case "Mesh": try expectUnchanged(Mesh(object))
            default: break
            }
        }
    }

    private func expectUnchanged<Spec, Status>(_ resource: Resource<Spec, Status>) {
        #expect(!resource.hasStatusChanges)
        let lost = differences(resource.object.status, resource.status.json)
        #expect(lost.isEmpty, "\(resource.object.kind): \(lost)")
    }

    @Test(arguments: versions)
    func `the controllers start no release, no restart and no change of phase`(version: String) async throws {
        let recorded = try RecordedCluster(version)
        let before = recorded.workloads
        #expect(before.count > 30)
        try await recorded.start()
        #expect(recorded.workloads == before, "no Deployment, ReplicaSet or pod is touched")
        for write in recorded.writes { #expect(isHarmless(write, in: recorded), "\(write.path)") }
        let canary = differences(
            recorded.object("Canary", "catalog")?.status ?? [:],
            recorded.cluster.object(.canaries, namespace: "shop", name: "catalog")?.status ?? [:])
        #expect(canary.isEmpty, "a release at rest keeps its status: \(canary)")
        let old = try Adoption(try #require(recorded.object("Adoption", "shop"))).status
        let new = try Adoption(
            try #require(recorded.cluster.object(.adoptions, namespace: "shop", name: "shop"))
        ).status
        #expect(new.phase == old.phase && new.phaseStartedAt == old.phaseStartedAt)
        #expect(!old.workloads.isEmpty)
        #expect(new.workloads == old.workloads)
        // What an upgrade writes, it writes once.
        recorded.cluster.clearLog()
        try await recorded.start()
        #expect(recorded.writes.isEmpty, "\(recorded.writes.map(\.path))")
    }

    /// Beside statuses and events: a finalizer on a Canary, and a DestinationRule of Heddle's that says all that it said and
    /// more (0.1.0 did not render retry budgets).
    private func isHarmless(_ request: APIRequest, in recorded: RecordedCluster) -> Bool {
        switch request.resource {
        case .canaries:
            return request.body?.object?.keys.contains("spec") == false
        case .destinationRules:
            let now = recorded.cluster.object(.destinationRules, namespace: "shop", name: request.name ?? "")
            let old = recorded.object("DestinationRule", request.name ?? "")
            return differences(old?.spec ?? [:], now?.spec ?? [:]).allSatisfy { $0.hasSuffix("is new") }
        default: return false
        }
    }

    /// The members that differ, as paths; numbers are compared as numbers.
    private func differences(_ old: JSONValue, _ new: JSONValue, at path: String = "") -> [String] {
        if let old = old.object, let new = new.object {
            return Set(old.keys).union(new.keys).sorted().flatMap { name -> [String] in
                guard let before = old[name] else { return ["\(path).\(name) is new"] }
                guard let after = new[name] else { return ["\(path).\(name) is gone"] }
                return differences(before, after, at: "\(path).\(name)")
            }
        }
        if let old = old.array, let new = new.array, old.count == new.count {
            return zip(old, new).enumerated().flatMap { differences($1.0, $1.1, at: "\(path)[\($0)]") }
        }
        if let old = old.double, let new = new.double { return old == new ? [] : ["\(path): \(old) is \(new)"] }
        return old == new ? [] : ["\(path) changed"]
    }
}
