import HeddleAPI
import KubeCore
import MeshEvidence

extension AdoptionMachine {
    /// How often a workload is tried before only a change of the spec helps.
    static let maximumAttempts = 5

    /// Brings workloads into the mesh, a batch at a time; every Service stays available. Runs in all phases, since new
    /// workloads may come at any time.
    mutating func meshWorkloads() {
        finishRestores()
        finishRestarts()
        if hasSteppedBack || isChanging { return }
        guard !status.workloads.contains(where: { $0.state == .restarting }) else {
            isChanging = true
            return
        }
        let graph = CallGraph(workloads: status.workloads.map(\.name), calls: input.calls)
        var batch: [String] = []
        var open = 0
        for name in graph.leavesFirst {
            guard let workload = status.workloads.first(where: { $0.name == name }),
                workload.state == .notMeshed || workload.state == .failed, let fact = facts[name]
            else { continue }
            open += 1
            if isHeldBack(workload, fact) { continue }
            if batch.count < max(1, spec.batch.maxWorkloads) { batch.append(name) }
        }
        guard !batch.isEmpty else { return }
        isChanging = true
        if let ended = status.batchEndedAt, input.now < ended.adding(spec.batch.pause) {
            status.message =
                "\(open) of \(status.workloads.count) workloads to mesh; the next batch follows after \(spec.batch.pause)."
            return
        }
        for name in batch { restart(name) }
        status.message = "Restarting \(batch.joined(separator: ", ")) with a sidecar; \(open - batch.count) to follow."
    }

    private mutating func isHeldBack(_ workload: WorkloadStatus, _ fact: WorkloadFacts) -> Bool {
        if let problem = fact.restartProblem {
            block(.readiness, workload: workload.name, "\(workload.name) is not restarted: \(problem)")
            return true
        }
        if workload.state == .failed {
            let backoff = spec.batch.workloadDeadline.seconds * Double(1 << min(workload.attempts, 10))
            let waited = workload.restartedAt.map { input.now.seconds(since: $0) } ?? .infinity
            guard workload.attempts < Self.maximumAttempts, waited >= backoff else {
                block(.readiness, workload: workload.name, workload.message ?? "\(workload.name) could not be meshed.")
                return true
            }
        }
        guard fact.isHealthy else {
            block(
                .readiness, workload: workload.name,
                "\(workload.name) is not healthy (\(fact.podsReady) of \(fact.desired) pods ready); it is restarted when it is."
            )
            return true
        }
        return false
    }

    private mutating func restart(_ name: String) {
        let patch =
            #"{"spec":{"template":{"metadata":{"annotations":{"\#(HeddleAnnotation.restartedAt)":null},"#
            + #""labels":{"\#(HeddleLabel.inject)":null}}}}}"#
        let now = input.now
        update(name) { workload in
            workload.state = .restarting
            workload.restartedAt = now
            workload.message = nil
            if !workload.restore.contains(where: { $0.phase == .observe }) {
                workload.restore.append(
                    RestoreRecord(phase: .observe, resource: "deployments.apps", name: name, patch: patch))
            }
        }
        actions.append(.restartWorkload(name: name, at: input.now))
        record(
            "workload \(name)", .allMeshed, .pass, action: "Restart",
            rule: "healthy, and its strategy keeps it available",
            "its pods are replaced by pods with a sidecar")
        actions.append(.event(.workloadRestarted, isWarning: false, message: "Restarting \(name) with a sidecar."))
    }

    private mutating func finishRestarts() {
        for workload in status.workloads where workload.state == .restarting {
            guard let fact = facts[workload.name], let restarted = workload.restartedAt else { continue }
            if fact.isMeshed, fact.isHealthy, fact.areProxiesSynced || fact.podsTotal == 0 {
                update(workload.name) { $0.state = $0.mtls == .strict ? .strict : .meshed }
                status.batchEndedAt = input.now
                if status.state == .steppedBack { status.state = .progressing }
                let seconds = NumberText.seconds(input.now.seconds(since: restarted))
                record(
                    "workload \(workload.name)", .allMeshed, .pass, action: "Meshed",
                    rule: "pods ready, sidecars in sync",
                    "\(fact.podsMeshed) of \(fact.podsTotal) pods meshed after \(seconds)")
            } else if input.now >= restarted.adding(spec.batch.workloadDeadline) {
                stepBack(workload, fact)
            } else if fact.restartMark != restarted.description {
                // The action was lost; it is safe to repeat.
                actions.append(.restartWorkload(name: workload.name, at: restarted))
            }
        }
    }

    private mutating func stepBack(_ workload: WorkloadStatus, _ fact: WorkloadFacts) {
        let message =
            "\(workload.name) was not ready within \(spec.batch.workloadDeadline) of its restart (\(fact.podsReady) of "
            + "\(fact.desired) pods ready, \(fact.podsMeshed) meshed): its pods were put back without a sidecar."
        update(workload.name) { workload in
            workload.state = .failed
            workload.attempts += 1
            workload.message = message
        }
        status.batchEndedAt = input.now
        status.message = message
        hasSteppedBack = true
        restore(workload.name)
        actions.append(.event(.steppedBack, isWarning: true, message: message))
        record(
            "workload \(workload.name)", .readiness, .fail, action: "StepBack",
            rule: "ready within \(spec.batch.workloadDeadline)", message)
    }

    /// Undoes restarts of workloads that were stepped back, until their templates show it: the status has promised it, and an
    /// operator that dies between the two must not leave the pods that do not start.
    mutating func finishRestores() {
        for workload in status.workloads where workload.state == .failed {
            guard workload.restore.contains(where: { $0.phase == .observe }) else { continue }
            let fact = facts[workload.name]
            if fact?.restartMark == nil, fact?.isRolloutComplete != false {
                update(workload.name) { $0.restore.removeAll { $0.phase == .observe } }
            } else {
                if fact?.restartMark != nil { restore(workload.name) }
                // The next batch waits for it, as long as for any workload.
                if let ended = status.batchEndedAt, input.now < ended.adding(spec.batch.workloadDeadline) {
                    isChanging = true
                }
            }
        }
    }

    private mutating func restore(_ name: String) {
        let action = AdoptionAction.restoreWorkload(name: name)
        if !actions.contains(action) { actions.append(action) }
    }

    mutating func judgeObserve() {
        requireMeshed()
        guard !isChanging else { return }
        requireMetrics()
        if spec.observe.requireTraces, (input.tracesReceived ?? 0) == 0 {
            block(.tracesArrive, "No traces have arrived yet.")
        }
        requireWithin(
            .addedLatency, input.addedLatencyP99Ms, spec.observe.maxAddedLatencyP99.seconds * 1000,
            "The latency that the mesh adds",
            unit: " ms")
        requireWithin(
            .proxyMemory, input.proxyMemoryBytes.map { Double($0) / 1_048_576 },
            spec.observe.maxProxyMemory.value / 1_048_576,
            "The memory of a sidecar", unit: " MiB")
    }

    // MARK: Gates that several phases share

    mutating func requireMeshed() {
        for workload in status.workloads where workload.state == .notMeshed && !isChanging {
            if blockers.contains(where: { $0.workload == workload.name }) { continue }
            block(.allMeshed, workload: workload.name, workload.message ?? "\(workload.name) is not meshed yet.")
        }
        guard !isChanging else { return }
        for fact in input.workloads where fact.podsMeshed > 0 && !fact.areProxiesSynced {
            guard status.phase == .observe else {
                // Later every change of the configuration passes through here; it is waited for, and no alarm.
                if status.phase == .strict {
                    isChanging = true
                    status.message = "Waiting for the sidecars of \(fact.name) to acknowledge their configuration."
                }
                continue
            }
            block(
                .proxiesSynced, workload: fact.name,
                "Sidecars of \(fact.name) have not acknowledged their configuration yet.")
        }
    }

    mutating func requireMetrics() {
        if let problem = input.metricsProblem {
            block(.metricsSource, "Metrics cannot be read: \(problem)")
        } else if let requests = input.requests, requests.mutualTLS + requests.plaintext > 0 {
            return
        } else {
            block(.metricsArrive, count: 0, "No request metrics of these workloads have arrived yet.")
        }
    }

    mutating func requireWithin(_ gate: AdoptionGate, _ value: Double?, _ bound: Double, _ what: String, unit: String) {
        guard let value else {
            if input.metricsProblem == nil { block(gate, "\(what) is not measured yet.") }
            return
        }
        if value > bound {
            block(
                gate,
                "\(what) is \(NumberText.significant(value))\(unit), above the bound of \(NumberText.significant(bound))\(unit)."
            )
        }
    }
}
