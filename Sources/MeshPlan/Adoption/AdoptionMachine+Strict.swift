import HeddleAPI
import KubeCore
import MeshEvidence
import MeshModel

extension AdoptionMachine {
    // MARK: The phase

    /// Makes workloads strict, leaves of the call graph first, a batch at a time with a soak after each; at last the whole
    /// namespace. Nothing becomes strict while plaintext that nobody excuses is seen.
    mutating func makeStrict() {
        if hasSteppedBack { return keepStrict() }
        undoHarm()
        keepStrict()
        if hasSteppedBack { return }
        requireMeshed()
        judgePlaintext()
        judgeCertificates()
        for (name, says) in input.foreignPolicies.sorted(by: { $0.key < $1.key }) {
            block(.readiness, "PeerAuthentication \(name) is not Heddle's: \(says)")
        }
        if isSoaking() { return }
        guard blockers.isEmpty, !isChanging else { return }
        let graph = CallGraph(workloads: status.workloads.map(\.name), calls: input.calls)
        let open = graph.leavesFirst.filter { name in
            status.workloads.contains { $0.name == name && $0.mtls != .strict && $0.state == .meshed }
        }
        guard !open.isEmpty else { return closeNamespace() }
        isChanging = true
        if let backoff = backoffLeft() {
            status.message = "Stepped back; the next try is in \(NumberText.seconds(backoff))."
            return
        }
        for name in open.prefix(max(1, spec.batch.maxWorkloads)) { tighten(name) }
    }

    private mutating func tighten(_ name: String) {
        guard let fact = facts[name] else { return }
        let intent = policy(for: fact)
        let now = input.now
        let failures = input.connectionFailures?[name] ?? 0
        update(name) { workload in
            workload.state = .strict
            workload.mtls = .strict
            workload.strictAt = now
            workload.connectionFailuresBefore = failures
            workload.message = nil
            workload.restore.removeAll { $0.phase == .strict }
            workload.restore.append(
                RestoreRecord(phase: .strict, resource: "peerauthentications.security.istio.io", name: intent.name))
        }
        actions.append(.setPeerPolicy(intent))
        let ports = intent.portModes.keys.sorted().map(String.init).joined(separator: ", ")
        let message =
            "\(name) accepts mutual TLS only"
            + (ports.isEmpty ? "." : ", but for port \(ports), which has an exception.")
        status.state = .progressing
        status.message = message
        record(
            "workload \(name)", .plaintextClients, .pass, action: "Strict",
            rule: "no plaintext but for exceptions within \(spec.strict.window)", message)
        actions.append(.event(.workloadStrict, isWarning: false, message: message))
    }

    private func policy(for fact: WorkloadFacts) -> PeerPolicyIntent {
        let ports = exemptions.permissivePorts(fact, plaintext: input.plaintext ?? [])
        return PeerPolicyIntent(
            name: PeerPolicyIntent.name(workload: fact.name), selector: fact.selector, mode: .strict,
            portModes: Dictionary(uniqueKeysWithValues: ports.map { ($0, .permissive) }))
    }

    /// One object for the namespace, so that workloads to come start strict. Not with a selector: the rest of the
    /// namespace is none of this Adoption's business.
    private mutating func closeNamespace() {
        guard spec.selector.isEmpty else { return }
        let intent = PeerPolicyIntent(name: PeerPolicyIntent.namespaceName, selector: nil, mode: .strict)
        guard !input.policies.contains(intent) else { return }
        actions.append(.setPeerPolicy(intent))
        isChanging = true
        status.message = "All workloads are strict; the namespace follows."
        // Decided already, and not seen or not done: done again, but no second decision.
        let isDecided = status.decisions.contains {
            $0.subject == "namespace" && $0.action == "Strict" && $0.at >= status.phaseStartedAt ?? $0.at
        }
        if isDecided { return }
        record(
            "namespace", .plaintextClients, .pass, action: "Strict", rule: "all workloads are strict",
            "one policy for all")
    }

    /// Puts policies right that were changed or lost. The status is the truth.
    mutating func keepStrict() {
        for workload in status.workloads where workload.mtls == .strict {
            guard let fact = facts[workload.name], workload.strictAt != input.now else { continue }
            let intent = policy(for: fact)
            if input.policies.contains(intent) { continue }
            actions.append(.setPeerPolicy(intent))
            // A workload is watched from when its policy is there: the operator may have died before it wrote it.
            let (isThere, now) = (input.policies.contains { $0.name == intent.name && $0.mode == .strict }, input.now)
            if !isThere { update(workload.name) { $0.strictAt = now } }
        }
    }

    // MARK: Undoing

    /// Takes away policies that the status does not ask for (any more), until they are gone: the status said so before, and
    /// an operator that dies between the two must not leave a workload strict that was stepped back.
    mutating func removeStrayPolicies() {
        let loosened = status.workloads.filter { $0.mtls == .permissive }.map(\.name)
        var strays = input.strayPolicies + loosened.map(PeerPolicyIntent.name(workload:))
        if !loosened.isEmpty { strays.append(PeerPolicyIntent.namespaceName) }
        let present = Set(input.policies.map(\.name))
        for name in strays where present.contains(name) { removePolicy(name) }
    }

    mutating func removePolicy(_ name: String) {
        let action = AdoptionAction.removePeerPolicy(name: name)
        if !actions.contains(action) { actions.append(action) }
    }

    /// A look comes a little after the soak's end: what happened in its last seconds is judged then.
    private static let lateLookSeconds = 5.0

    /// Undoes a workload's step when connections to it fail more than before, within its soak.
    private mutating func undoHarm() {
        guard let failures = input.connectionFailures else { return }
        for workload in status.workloads where workload.mtls == .strict {
            guard let since = workload.strictAt,
                input.now.seconds(since: since) <= spec.strict.soak.seconds + Self.lateLookSeconds
            else { continue }
            let now = failures[workload.name] ?? 0
            let before = workload.connectionFailuresBefore ?? 0
            guard now > before + spec.strict.maxConnectionFailures else { continue }
            let message =
                "\(NumberText.count(now, "failed connection")) to \(workload.name) since it became strict, \(before) before: "
                + "it accepts plaintext again."
            loosen(workload.name)
            update(workload.name) { workload in
                workload.attempts += 1
                workload.message = message
            }
            status.batchEndedAt = input.now
            status.message = message
            hasSteppedBack = true
            record(
                "workload \(workload.name)", .connectionFailures, .fail, action: "StepBack",
                rule: "at most \(spec.strict.maxConnectionFailures) more failed connections than before", message)
            actions.append(.event(.steppedBack, isWarning: true, message: message))
        }
    }

    private mutating func loosen(_ name: String) {
        let isNamespaceStrict = input.policies.contains { $0.name == PeerPolicyIntent.namespaceName }
        if isNamespaceStrict { removePolicy(PeerPolicyIntent.namespaceName) }
        removePolicy(PeerPolicyIntent.name(workload: name))
        update(name) { workload in
            if workload.state == .strict { workload.state = .meshed }
            workload.mtls = .permissive
            workload.strictAt = nil
            workload.connectionFailuresBefore = nil
            workload.restore.removeAll { $0.phase == .strict }
        }
    }

    mutating func undoStrict() {
        for workload in status.workloads where workload.mtls == .strict { loosen(workload.name) }
    }

    private func backoffLeft() -> Double? {
        guard let attempts = status.workloads.map(\.attempts).max(), attempts > 0, let ended = status.batchEndedAt,
            status.workloads.contains(where: { $0.mtls == .permissive && $0.attempts > 0 })
        else { return nil }
        let left = spec.strict.soak.seconds * Double(1 << min(attempts, 10)) - input.now.seconds(since: ended)
        return left > 0 ? left : nil
    }

    // MARK: Gates

    /// After each step its connection failures are watched for the soak.
    private mutating func isSoaking() -> Bool {
        let open = status.workloads.filter { workload in
            workload.mtls == .strict
                && (workload.strictAt.map { input.now.seconds(since: $0) < spec.strict.soak.seconds } ?? false)
        }
        guard let first = open.first, let since = first.strictAt else { return false }
        if input.connectionFailures == nil {
            block(.metricsSource, "Connection failures cannot be read, so no further workload becomes strict.")
            // A soak that nobody watched starts over.
            let now = input.now
            for workload in open { update(workload.name) { $0.strictAt = now } }
        }
        isChanging = true
        let left = spec.strict.soak.seconds - input.now.seconds(since: since)
        status.message = "Watching \(open.map(\.name).joined(separator: ", ")) for \(NumberText.seconds(left)) more."
        return true
    }

    private mutating func judgePlaintext() {
        requireMetrics()
        guard let plaintext = input.plaintext else {
            if input.metricsProblem == nil { block(.metricsSource, "Plaintext counts are not known yet.") }
            return
        }
        let unexcused = exemptions.unexcused(plaintext).sorted {
            ($0.workload, $0.client, $0.port ?? 0) < ($1.workload, $1.client, $1.port ?? 0)
        }
        for seen in unexcused {
            let port = seen.port.map { " port \($0)" } ?? ""
            let what =
                "\(seen.client) sent \(NumberText.count(seen.count, "plaintext request")) to \(seen.workload)\(port) within "
                + "\(spec.strict.window)."
            if let exception = exemptions.expiredException(for: seen) {
                block(
                    .exceptionExpired, workload: seen.workload, client: seen.client, port: seen.port, count: seen.count,
                    "\(what) Its exception (owner \(exception.owner)) expired on \(exception.expires).")
            } else {
                block(
                    .plaintextClients, workload: seen.workload, client: seen.client, port: seen.port, count: seen.count,
                    "\(what) Give it a sidecar, or an entry in spec.exceptions.")
            }
        }
        if blockers.isEmpty, let left = windowLeft() {
            block(
                .plaintextClients,
                "No plaintext is seen; \(NumberText.seconds(left)) of the window of \(spec.strict.window) left.")
        }
    }

    /// Time until every workload has been watched for a whole window; nil when it has.
    private func windowLeft() -> Double? {
        let starts = status.workloads.filter { $0.state == .meshed || $0.state == .strict }
            .map { $0.restartedAt ?? status.phaseStartedAt ?? input.now }
        guard let latest = starts.max() else { return nil }
        let left = spec.strict.window.seconds - input.now.seconds(since: latest)
        return left > 0 ? left : nil
    }

    private mutating func judgeCertificates() {
        for workload in status.workloads where workload.state == .meshed || workload.state == .strict {
            guard let fact = facts[workload.name], fact.podsTotal > 0 else { continue }
            guard let end = fact.certificateNotAfter else {
                block(.certificates, workload: workload.name, "The certificates of \(workload.name) are not known yet.")
                continue
            }
            let left = end.seconds(since: input.now)
            if left < spec.strict.minCertificateValidity.seconds {
                block(
                    .certificates, workload: workload.name,
                    "A certificate of \(workload.name) ends in \(NumberText.seconds(left)), sooner than "
                        + "\(spec.strict.minCertificateValidity).")
            }
        }
    }
}
