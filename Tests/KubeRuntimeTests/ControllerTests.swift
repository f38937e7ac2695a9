import Foundation
import KubeCore
import KubeTesting
import Logging
import ServiceLifecycle
import Synchronization
import Testing

@testable import KubeRuntime

struct ControllerTests {
    let cluster = InMemoryCluster()
    let clock = ManualClock()

    func run(
        _ reconciler: ClosureReconciler, logger: Logger = quiet, sources: (Runtime) -> [Controller.Source],
        during body: (Controller) async throws -> Void
    ) async throws {
        let runtime = Runtime(api: cluster, logger: quiet, clock: AnyClock(clock))
        let controller = Controller(
            name: "test", sources: sources(runtime),
            backoff: Backoff(first: .seconds(1), maximum: .seconds(8), jitter: 0),
            clock: AnyClock(clock), logger: logger, reconciler: reconciler)
        runtime.add(controller)
        try await alongside {
            try? await runtime.run()
        } during: {
            try await body(controller)
        }
    }

    @Test func `every object is looked at once, and again when it changes`() async throws {
        cluster.seed(.pods, pod("a"))
        let seen = Recorded<ObjectKey>()
        let reconciler = ClosureReconciler { key in
            seen.append(key)
            return .done
        }
        try await run(reconciler) {
            [.primary($0.store(for: .pods))]
        } during: { _ in
            #expect(await eventually { seen.all.map(\.name) == ["a"] })
            #expect(await eventually { cluster.watchCount == 1 })
            cluster.seed(.pods, pod("b"))
            #expect(await eventually { seen.all.map(\.name) == ["a", "b"] })
            cluster.remove(.pods, namespace: "shop", name: "a")
            #expect(await eventually { seen.all.map(\.name) == ["a", "b", "a"] })
        }
    }

    @Test func `changes of owned and mapped objects lead to their owners`() async throws {
        let deployment = cluster.seed(.deployments, KubeObject(.deployments, namespace: "shop", name: "web"))
        let seen = Recorded<ObjectKey>()
        let reconciler = ClosureReconciler { key in
            seen.append(key)
            return .done
        }
        let sources = { @Sendable (runtime: Runtime) -> [Controller.Source] in
            [
                .primary(runtime.store(for: .deployments)),
                .owned(runtime.store(for: .replicaSets), by: .deployments),
                .watching(runtime.store(for: .services)) { object in
                    object.labels["for"].map { [ObjectKey(namespace: object.namespace, name: $0)] } ?? []
                },
            ]
        }
        try await run(reconciler, sources: sources) { _ in
            #expect(await eventually { seen.count == 1 && cluster.watchCount == 3 })
            var set = KubeObject(.replicaSets, namespace: "shop", name: "web-1")
            set.ownerReferences = [deployment.asController]
            cluster.seed(.replicaSets, set)
            #expect(await eventually { seen.all.map(\.name) == ["web", "web"] })
            var service = KubeObject(.services, namespace: "shop", name: "s")
            service.labels = ["for": "one"]
            cluster.seed(.services, service)
            #expect(await eventually { seen.all.last?.name == "one" })
            service.labels = ["for": "two"]
            cluster.seed(.services, service)
            #expect(
                await eventually { Set(seen.all.suffix(2).map(\.name)) == ["one", "two"] },
                "both the old and the new hear")
        }
    }

    @Test func `a requeue comes back at its time`() async throws {
        cluster.seed(.pods, pod("a"))
        let seen = Recorded<ObjectKey>()
        let reconciler = ClosureReconciler { key in
            seen.append(key)
            return seen.count == 1 ? .requeue(after: .seconds(30)) : .done
        }
        try await run(reconciler) {
            [.primary($0.store(for: .pods))]
        } during: { _ in
            #expect(await eventually { clock.nextDeadline == .seconds(30) })
            clock.advance(by: .seconds(30))
            #expect(await eventually { seen.count == 2 })
            // The watch's watchdog alone.
            #expect(await eventually { clock.sleeperCount == 1 })
        }
    }

    @Test func `failures come back with backoff, are logged once per message, and recover`() async throws {
        cluster.seed(.pods, pod("a"))
        let tries = Recorded<ObjectKey>()
        let reconciler = ClosureReconciler { key in
            tries.append(key)
            if tries.count <= 3 { throw Failure(tries.count < 3 ? "first" : "second") }
            return .done
        }
        let log = Recorded<String>()
        let logger = Logger(label: "test") { _ in RecordingHandler(lines: log) }
        try await run(reconciler, logger: logger) {
            [.primary($0.store(for: .pods))]
        } during: { _ in
            var now = Duration.zero
            for delay in [1, 2, 4] {
                let deadline = now + .seconds(delay)
                #expect(await eventually { clock.nextDeadline == deadline })
                clock.advance(by: .seconds(delay))
                now = deadline
            }
            #expect(await eventually { tries.count == 4 })
            #expect(await eventually { log.all.contains("info: reconciled again after failures") })
            #expect(log.all.filter { $0 == "error: reconciliation failed" }.count == 2)
        }
    }

    @Test func `a mapping that takes its time does not hold up the cache`() async throws {
        cluster.seed(.pods, pod("a"))
        let isSlow = Recorded<Bool>()
        let mapped = Recorded<String>()
        let runtime = Runtime(api: cluster, logger: quiet, clock: AnyClock(clock))
        let store = runtime.store(for: .pods)
        let seen = Recorded<ObjectKey>()
        runtime.add(
            Controller(
                name: "test",
                sources: [
                    .watching(store) { object in
                        mapped.append(object.name)
                        // Keeps this consumer until the cache has all the changes that come meanwhile.
                        while store.get(namespace: "shop", name: "last") == nil {
                            if isSlow.count == 0 { isSlow.append(true) }
                            usleep(2000)
                        }
                        return [object.key]
                    }
                ], clock: AnyClock(clock), logger: quiet,
                reconciler: ClosureReconciler { key in
                    seen.append(key)
                    return .done
                }))
        try await alongside {
            try? await runtime.run()
        } during: {
            #expect(await eventually { isSlow.count == 1 && cluster.watchCount == 1 })
            for number in 0..<100 { cluster.seed(.pods, pod("p\(number)")) }
            cluster.seed(.pods, pod("last"))
            #expect(await eventually { Set(seen.all.map(\.name)).count == 102 })
        }
    }

    @Test func `a resync looks at every object again and sends nothing`() async throws {
        for number in 0..<20 { cluster.seed(.pods, pod("p\(number)")) }
        let seen = Recorded<ObjectKey>()
        let runtime = Runtime(api: cluster, logger: quiet, clock: AnyClock(clock))
        runtime.add(
            Controller(
                name: "test", sources: [.primary(runtime.store(for: .pods))], resyncPeriod: .seconds(100),
                clock: AnyClock(clock), logger: quiet,
                reconciler: ClosureReconciler { key in
                    seen.append(key)
                    return .done
                }))
        try await alongside {
            try? await runtime.run()
        } during: {
            #expect(await eventually { seen.count == 20 && cluster.watchCount == 1 && clock.sleeperCount == 2 })
            let sent = cluster.requests.count
            clock.advance(by: .seconds(100))
            // Spread over ten seconds.
            #expect(
                await eventually {
                    if (clock.nextDeadline ?? .zero) <= .seconds(110) { clock.advance(by: .milliseconds(500)) }
                    return seen.count == 40
                })
            #expect(cluster.requests.count == sent)
            #expect(clock.now.offset <= .seconds(111))
        }
    }

    @Test func `graceful shutdown lets a reconciliation end`() async throws {
        cluster.seed(.pods, pod("a"))
        let started = Signal()
        let goOn = Signal()
        let ended = Recorded<Bool>()
        let runtime = Runtime(api: cluster, logger: quiet, clock: AnyClock(clock))
        let store = runtime.store(for: .pods)
        runtime.add(
            Controller(
                name: "test", sources: [.primary(store)], clock: AnyClock(clock), logger: quiet,
                reconciler: ClosureReconciler { _ in
                    started.raise()
                    await goOn.wait()
                    ended.append(Task.isCancelled)
                    return .done
                }))
        let services = ServiceGroup(services: [runtime], logger: quiet)
        async let running: Void = services.run()
        await started.wait()
        await services.triggerGracefulShutdown()
        goOn.raise()
        try await running
        #expect(ended.all == [false])
        #expect(await eventually { cluster.watchCount == 0 })
    }

    @Test func `users of one scope share one watch`() async throws {
        let runtime = Runtime(api: cluster, logger: quiet, clock: AnyClock(clock))
        let first = runtime.store(for: .pods)
        #expect(runtime.store(for: .pods) === first)
        #expect(runtime.store(for: .pods, namespace: "shop") !== first)
        try await alongside {
            try? await runtime.run()
        } during: {
            #expect(await eventually { runtime.isReady && cluster.watchCount == 2 })
            _ = runtime.store(for: .services)
            #expect(
                await eventually { runtime.isReady && cluster.watchCount == 3 }, "a store asked for late starts too")
        }
    }
}

struct RecordingHandler: LogHandler {
    var lines: Recorded<String>
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .trace

    init(lines: Recorded<String>) { self.lines = lines }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.append("\(event.level): \(event.message)") }
}
