import Foundation
import KubeCore
import Logging
import Synchronization

/// The life of one pod on the node: network, volumes, containers, status, and its end.
final class PodWorker: Sendable {
    let key: ObjectKey
    let uid: String
    private let node: NodeContext
    private let runtime: Mutex<PodRuntime>
    private let latest: Mutex<KubeObject>
    private let network = Mutex<NodeNetwork.PodNetwork?>(nil)
    private let runners = Mutex<[ContainerRunner]>([])

    private let statusBell = Doorbell()
    private let sourcesBell = Doorbell()
    private let deletion = Latch()
    private let prepared = Latch()
    private let chores: AsyncStream<@Sendable () async -> Void>
    private let choresContinuation: AsyncStream<@Sendable () async -> Void>.Continuation

    init(_ pod: KubeObject, node: NodeContext) {
        key = pod.key
        uid = pod.uid
        self.node = node
        runtime = Mutex(PodRuntime(startedAt: Date()))
        latest = Mutex(pod)
        // Bounded by what the pod's own containers ask for: a log and an ending each.
        (chores, choresContinuation) = AsyncStream.makeStream()
        if pod.isBeingDeleted { deletion.open() }
    }

    // MARK: What others tell

    /// A newer sight of the pod.
    func update(_ pod: KubeObject) {
        let old = latest.withLock { latest in
            defer { latest = pod }
            return latest
        }
        if pod.isBeingDeleted { deletion.open() }
        if pod.labels != old.labels || pod.annotations != old.annotations { sourcesBell.ring() }
        if pod.status["conditions"] != old.status["conditions"] { statusBell.ring() }
    }

    /// The pod is no longer in the API.
    func vanish() { deletion.open() }

    /// A ConfigMap or Secret of the namespace changed.
    func sourcesChanged() { sourcesBell.ring() }

    // MARK: What the containers need

    private var pod: KubeObject { latest.withLock { $0 } }
    private var directory: String { "\(node.directory)/pods/\(uid)" }
    var podIP: String { runtime.withLock(\.podIP) }
    var place: ContainerLauncher.Place {
        .init(podDirectory: directory, networkNamespace: network.withLock { $0 }.map(node.network.path), podIP: podIP)
    }

    func find(_ resource: GroupVersionResource, _ name: String) -> KubeObject? {
        node.cache.get(resource, namespace: key.namespace, name: name)
    }

    /// Changes a container's record; says whether it is another now.
    @discardableResult
    func change(_ container: String, _ edit: (inout PodRuntime.Container) -> Void) -> Bool {
        let changed = runtime.withLock { runtime in
            let old = runtime.containers[container] ?? .init()
            var new = old
            edit(&new)
            runtime.containers[container] = new
            return new != old
        }
        if changed { statusBell.ring() }
        return changed
    }

    func beginLog(of container: ContainerSpec) throws(SandboxError) -> ContainerLog {
        let run = runtime.withLock { $0.containers[container.name]?.restarts ?? 0 }
        return try node.logs.begin(
            key, container: container.name,
            path: "\(node.directory)/logs/\(key.namespace)_\(key.name)_\(uid)/\(container.name)/\(run).log")
    }

    func record(_ log: ContainerLog, stdout: Int32, stderr: Int32) {
        background { await log.record(stdout: stdout, stderr: stderr) }
    }

    /// Does something beside the containers, as long as the worker lives.
    func background(_ chore: @escaping @Sendable () async -> Void) { choresContinuation.yield(chore) }

    // MARK: Life

    /// Runs the pod until it is gone from the node; cancelled, it kills the pod's processes.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.doChores() }
            group.addTask { await self.reportStatus() }
            await live()
            await finish()
            group.cancelAll()
        }
    }

    private func doChores() async {
        await withDiscardingTaskGroup { group in
            for await chore in chores { group.addTask { await chore() } }
        }
    }

    private func live() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepVolumes() }
            await withTaskGroup(of: Void.self) { race in
                race.addTask { await self.work() }
                race.addTask { await self.deletion.wait() }
                await race.next()
                if deletion.isOpen { await stop() }
                race.cancelAll()
            }
            // A finished pod stays until somebody deletes it.
            await deletion.wait()
            group.cancelAll()
        }
    }

    private func work() async {
        guard await prepare() else { return }
        let specs = ContainerSpec.all(of: ServiceAccountMount.adding(to: pod))
        let initial = specs.initial.map { ContainerRunner($0, worker: self, node: node) }
        let applications = specs.applications.map { ContainerRunner($0, worker: self, node: node) }
        runners.withLock { $0 = initial + applications }
        await withDiscardingTaskGroup { group in
            for runner in initial where !deletion.isOpen {
                if runner.spec.role == .sidecar {
                    group.addTask { await runner.run() }
                    await runner.hasStarted.wait()
                } else {
                    let exit = await runner.run()
                    guard exit == .exited(0) else {
                        if !deletion.isOpen { fail(runner.spec.name, exit) }
                        await stopSidecars(by: .now + .seconds(2))
                        return
                    }
                }
            }
            guard !deletion.isOpen, !Task.isCancelled else { return }
            runtime.withLock { $0.isInitialized = true }
            statusBell.ring()
            await withDiscardingTaskGroup { group in
                for runner in applications { group.addTask { await runner.run() } }
            }
            if !deletion.isOpen { await stopSidecars(by: .now + .seconds(gracePeriod)) }
        }
    }

    private func fail(_ container: String, _ exit: ProcessExit?) {
        runtime.withLock { $0.failure = ("Error", "init container \(container) ended with \(exit?.code ?? -1)") }
        statusBell.ring()
    }

    /// Network and volumes; tried again until it works or the pod is deleted.
    private func prepare() async -> Bool {
        var told = ""
        while !deletion.isOpen, !Task.isCancelled {
            do {
                try await connect()
                _ = try await volumes.update(for: ServiceAccountMount.adding(to: pod))
                prepared.open()
                return true
            } catch {
                if told != "\(error)" {
                    told = "\(error)"
                    await node.event(pod, type: "Warning", reason: "FailedMount", told)
                    for container in (pod.spec["containers"]?.array ?? []).compactMap({ $0["name"]?.string }) {
                        change(container) { $0.state = .waiting(reason: "ContainerCreating", message: told) }
                    }
                }
                _ = await deletion.wait(atMost: .milliseconds(500))
            }
        }
        return false
    }

    private func connect() async throws {
        guard podIP.isEmpty else { return }
        let pod = pod
        var address = NodeAddresses.node
        if pod.spec["hostNetwork"]?.bool != true {
            let made = try await node.network.add()
            network.withLock { $0 = made }
            address = made.address
        }
        try PodFiles(pod: pod, podIP: address).write(to: directory + "/etc")
        runtime.withLock { $0.podIP = address }
        statusBell.ring()
    }

    private var volumes: PodVolumes {
        PodVolumes(
            directory: directory, cache: node.cache, tokens: node.tokens, processes: node.processes, podIP: podIP,
            hostIP: NodeAddresses.node)
    }

    /// Refreshes volumes when their sources change, and tokens before they end.
    private func keepVolumes() async {
        await prepared.wait()
        sourcesBell.ring()
        var timer = ContinuousClock.now
        await withDiscardingTaskGroup { group in
            for await _ in sourcesBell.rings {
                var next = Duration.seconds(5)
                do {
                    guard let renewal = try await volumes.update(for: ServiceAccountMount.adding(to: pod)) else {
                        continue
                    }
                    next = max(renewal, .seconds(1))
                } catch {
                    node.logger.debug(
                        "volumes keep their old content", metadata: ["object": "\(key)", "error": "\(error)"])
                }
                let due = ContinuousClock.now + next
                guard timer <= .now || due < timer else { continue }
                timer = due
                group.addTask {
                    try? await Task.sleep(until: due)
                    self.sourcesBell.ring()
                }
            }
        }
    }

    // MARK: The end

    private var gracePeriod: Int {
        let pod = pod
        return pod.json[path: "metadata", "deletionGracePeriodSeconds"]?.int
            ?? pod.spec["terminationGracePeriodSeconds"]?.int ?? 30
    }

    /// Applications first, all at once; then the sidecars, last started first.
    private func stop() async {
        runtime.withLock { $0.isStopping = true }
        statusBell.ring()
        let deadline = ContinuousClock.now + .seconds(gracePeriod)
        let all = runners.withLock { $0 }
        await withDiscardingTaskGroup { group in
            for runner in all where runner.spec.role != .sidecar { group.addTask { await runner.stop(by: deadline) } }
        }
        await stopSidecars(by: deadline)
    }

    private func stopSidecars(by deadline: ContinuousClock.Instant) async {
        for runner in runners.withLock({ $0 }).reversed() where runner.spec.role == .sidecar {
            await runner.stop(by: max(deadline, .now + .seconds(2)))
        }
    }

    private func finish() async {
        await writeStatus()
        node.tokens.forget(pod: uid)
        if let made = network.withLock({ $0 }) { await node.network.remove(made) }
        await volumes.remove(for: pod)
        node.logs.forget(key)
        guard !Task.isCancelled else { return }
        let options: JSONValue = [
            "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
            "preconditions": ["uid": .string(uid)],
        ]
        for _ in 0..<50 where !Task.isCancelled {
            do {
                _ = try await node.api.perform(
                    APIRequest(.delete, .pods, namespace: key.namespace, name: key.name, body: options))
                return
            } catch  where error.isRetryable {
                try? await Task.sleep(for: .milliseconds(200))
            } catch {
                // Gone, or another pod has the name.
                return
            }
        }
    }

    // MARK: Status

    private func reportStatus() async {
        statusBell.ring()
        for await _ in statusBell.rings {
            // Several changes at once, as at a start, become one write.
            try? await Task.sleep(for: .milliseconds(20))
            await writeStatus()
        }
    }

    private func writeStatus() async {
        let (pod, runtime) = (pod, runtime.withLock { $0 })
        let status = PodStatus(pod: pod, runtime: runtime, nodeAddress: NodeAddresses.node, now: Date()).json
        guard let patch = pod.status.mergePatch(to: status) else { return }
        do {
            let written = try await node.api.patch(
                .pods, namespace: key.namespace, name: key.name, subresource: "status",
                ["metadata": ["uid": .string(uid)], "status": patch])
            latest.withLock { latest in
                // The watch may have been faster.
                if (Int(latest.resourceVersion) ?? 0) < (Int(written.resourceVersion) ?? 0) { latest = written }
            }
            node.cache.observe(.pods, written)
        } catch  where error.isNotFound || error.isConflict {
            // Deleted meanwhile; the watch says so.
        } catch {
            node.logger.debug("status was not written", metadata: ["object": "\(key)", "error": "\(error)"])
            _ = await deletion.wait(atMost: .milliseconds(200))
            statusBell.ring()
        }
    }
}
