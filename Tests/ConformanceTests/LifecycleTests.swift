import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Namespaces {
        let cluster = Cluster.current

        @Test func `a new namespace is active and gets an account and the root certificate`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await cluster.client.get(.namespaces, name: ns.name)
                #expect(object.status["phase"] == "Active" && object.spec["finalizers"] == ["kubernetes"])
                if cluster.serves(.namespaceNameLabel) {
                    #expect(object.labels["kubernetes.io/metadata.name"] == ns.name)
                }
                guard cluster.serves(.controllers) else { return }
                let isFurnished = try await eventually {
                    let account = try await ns.find(.serviceAccounts, "default")
                    let root = try await ns.find(.configMaps, "kube-root-ca.crt")
                    return account != nil && root?.json[path: "data", "ca.crt"]?.string?.contains("BEGIN CERT") == true
                }
                #expect(isFurnished)
            }
        }

        @Test func `a namespace that is being deleted takes nothing new and empties itself`() async throws {
            guard cluster.serves(.controllers) else { return }
            try await cluster.withNamespace { ns in
                var held = Objects.configMap("held")
                held.finalizers = ["heddle.dev/hold"]
                try await ns.create(.configMaps, held)
                try await ns.create(.services, Objects.service("s"))
                try await ns.create(cluster.definitions.widgets, Widget.object("w"))
                try await cluster.client.delete(.namespaces, name: ns.name)
                let isTerminating = try await eventually {
                    try await cluster.client.get(.namespaces, name: ns.name).status["phase"] == "Terminating"
                }
                #expect(isTerminating)
                let error = await refusal { () async throws(APIError) in try await ns.configMap("late") }
                #expect(error.code == 403 && error.reason == "Forbidden", "\(error)")
                #expect(error.message.contains("being terminated"))
                #expect(try await ns.isGone(.services, "s"))
                #expect(try await ns.isGone(cluster.definitions.widgets, "w"))
                let isHeld = try await eventually(within: .seconds(40)) {
                    try await ns.get(.configMaps, "held").isBeingDeleted
                }
                #expect(isHeld)
                try await ns.patch(.merge, .configMaps, "held", ["metadata": ["finalizers": .null]])
                let isGone = try await eventually(within: .seconds(60)) {
                    try await cluster.client.find(.namespaces, name: ns.name) == nil
                }
                #expect(isGone)
            }
        }

        @Test(arguments: ["default", "kube-system", "kube-public"])
        func `the cluster's own namespaces stay`(name: String) async throws {
            let error = await refusal { () async throws(APIError) in
                try await cluster.client.delete(.namespaces, name: name, options: .init(isDryRun: true))
            }
            #expect(error.code == 403 && error.message.contains("may not be deleted"), "\(error)")
        }
    }

    @Suite struct Leases {
        let cluster = Cluster.current

        @Test func `a lease keeps its times to the microsecond`() async throws {
            try await cluster.withNamespace { ns in
                var lease = KubeObject(.leases, name: "l")
                lease.spec = [
                    "holderIdentity": "one", "leaseDurationSeconds": 15, "leaseTransitions": 0,
                    "acquireTime": "2026-01-02T03:04:05.000006Z", "renewTime": "2026-01-02T03:04:05.678901Z",
                ]
                let made = try await ns.create(.leases, lease)
                #expect(made.spec == lease.spec)
            }
        }

        @Test func `of two who take a lease of one version, one does`() async throws {
            try await cluster.withNamespace { ns in
                let free = try await ns.create(.leases, KubeObject(.leases, name: "l"))
                func take(_ who: String) async throws -> Bool {
                    var lease = free
                    lease.spec = ["holderIdentity": .string(who), "leaseDurationSeconds": 15]
                    do throws(APIError) {
                        _ = try await ns.update(.leases, lease)
                        return true
                    } catch {
                        #expect(error.isConflict, "\(error)")
                        return false
                    }
                }
                async let one = take("one")
                async let two = take("two")
                let taken = try await [one, two]
                #expect(taken.filter { $0 }.count == 1)
            }
        }

        @Test func `a lease's duration must be positive`() async throws {
            try await cluster.withNamespace { ns in
                var lease = KubeObject(.leases, name: "l")
                lease.spec = ["holderIdentity": "one", "leaseDurationSeconds": 0]
                let error = await refusal { [lease] () async throws(APIError) in try await ns.create(.leases, lease) }
                #expect(error.code == 422 && error.causes.first?.path == "spec.leaseDurationSeconds", "\(error)")
            }
        }
    }
}
