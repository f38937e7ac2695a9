import FoundationEssentials
import KubeCore
import KubeTesting
import Testing

@testable import KubeRuntime

/// A controller as Heddle's are: it keeps a finalizer, an owned object and a status, and says what happened.
private struct Keeper: Reconciler {
    let api: any ClusterAPI
    let objects: Store
    let configMaps: Store
    let owned: OwnedObjects
    let events: EventRecorder

    static let finalizer = "heddle.dev/test"

    func reconcile(_ key: ObjectKey) async throws -> ReconcileResult {
        guard let object = objects.get(key) else { return .done }
        return try await Finalizer(Self.finalizer, of: .deployments, api: api).reconcile(object) { object in
            if configMaps.get(key) == nil {
                var made = KubeObject(.configMaps, namespace: key.namespace, name: key.name)
                try made.setController(object)
                _ = try await api.create(.configMaps, made)
                events.record(reason: "Made", message: "the config map was made", on: object)
            }
            try await owned.prune(of: object, keeping: [key])
            try await StatusWriter(.deployments, api: api).write(Self.status(of: object), to: object)
            return .done
        } cleanup: { _ in
            .done
        }
    }

    static func status(of object: KubeObject) -> JSONValue {
        ["observedGeneration": .int(object.generation), "ready": true]
    }
}

struct AtRestTests {
    let cluster = InMemoryCluster()
    let clock = ManualClock()

    func addSettled(_ number: Int) throws {
        var object = KubeObject(.deployments, namespace: "shop", name: "d\(number)")
        object.spec = ["replicas": 1]
        object.finalizers = [Keeper.finalizer]
        object.status = ["observedGeneration": 1, "ready": true]
        let stored = cluster.seed(.deployments, object)
        var made = KubeObject(.configMaps, namespace: "shop", name: object.name)
        try made.setController(stored)
        cluster.seed(.configMaps, made)
    }

    /// An operator starts over objects that are as they should be, looks at each of them, and then twice an hour for six
    /// hours while its watches are renewed every five minutes: no list, no read, no write, and no more watches than with
    /// one object.
    @Test(.timeLimit(.minutes(3)), arguments: [1, 10_000])
    func `at rest nothing is sent at any number of objects`(_ count: Int) async throws {
        for number in 0..<count { try addSettled(number) }
        let runtime = Runtime(api: cluster, logger: quiet, clock: AnyClock(clock))
        let (objects, configMaps) = (runtime.store(for: .deployments), runtime.store(for: .configMaps))
        let events = EventRecorder(api: cluster, component: "test", instance: "test", logger: quiet)
        let keeper = Keeper(
            api: runtime.leaderAPI, objects: objects, configMaps: configMaps,
            owned: OwnedObjects(configMaps, api: runtime.leaderAPI), events: events)
        let looks = Recorded<ObjectKey>()
        runtime.add(
            Controller(
                name: "test", sources: [.primary(objects), .owned(configMaps, by: .deployments)], concurrency: 4,
                resyncPeriod: .seconds(1800), clock: AnyClock(clock), logger: quiet,
                reconciler: ClosureReconciler { key in
                    defer { looks.append(key) }
                    return try await keeper.reconcile(key)
                }, random: { 0 }))
        try await alongside {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { try? await runtime.run() }
                group.addTask { await events.run() }
            }
        } during: {
            #expect(await eventually(within: .seconds(60)) { looks.count >= count && cluster.watchCount == 2 })
            for step in 1...72 {
                // Two watchdogs, and the next resync.
                #expect(await eventually { clock.sleeperCount == 3 })
                clock.advance(by: .seconds(300))
                // The server ends watches at their time; each is resumed where it was.
                cluster.closeWatches()
                #expect(await eventually { cluster.watchCount == 2 })
                if step % 6 == 0 {
                    let expected = (1 + step / 6) * count
                    #expect(await eventually(within: .seconds(60)) { looks.count >= expected })
                }
            }
            #expect(Set(looks.all).count == count)
            #expect(cluster.writes.isEmpty && cluster.requests.allSatisfy { $0.verb == .watch })
            #expect(cluster.requests.filter { $0.query["sendInitialEvents"] != nil }.count == 2)
            // As many as with one object: seventy-two renewals a store, and no more where a watchdog comes first.
            let watches = cluster.requests.count
            #expect(watches >= 146 && watches <= 290)

            // It is not deaf: a change of one object leads to one write of one object.
            let sent = cluster.requests.count
            _ = try await cluster.patch(.deployments, namespace: "shop", name: "d0", ["spec": ["replicas": 2]])
            #expect(
                await eventually {
                    cluster.object(.deployments, namespace: "shop", name: "d0")?.status["observedGeneration"] == 2
                })
            #expect(cluster.requests.count == sent + 2)
        }
    }
}
