package import FoundationEssentials
package import KubeCore

/// Who leads, by a Lease: what this process believes and what it should write next. Pure.
///
/// Other machines' clocks are never compared with ours. A foreign claim is over when the Lease has not *changed* for its
/// duration on our own monotonic clock; our own claim counts from when the write that renewed it was *sent*, and is given
/// up after `renewDeadline`. As `renewDeadline` is shorter than `duration`, we stop before anybody else may start: another
/// replica can have seen our last write no earlier than we sent it, and waits `duration` from then. The difference (5 s)
/// covers clocks that run at different speeds and writes that are still under way.
package struct LeaseClaim: Sendable {
    package struct Configuration: Sendable, Hashable {
        package var namespace: String
        package var name: String
        /// Unique for each process, such as the pod's name.
        package var identity: String
        package var duration: Duration
        package var renewDeadline: Duration
        /// How often the leader renews, and how soon it tries again.
        package var retryPeriod: Duration
        /// How often a replica that waits reads the Lease: a lead that is handed over is taken up this fast.
        package var standbyPeriod: Duration

        package init(
            namespace: String, name: String, identity: String, duration: Duration = .seconds(15),
            renewDeadline: Duration = .seconds(10), retryPeriod: Duration = .seconds(2),
            standbyPeriod: Duration = .seconds(1)
        ) {
            precondition(
                retryPeriod < renewDeadline && renewDeadline < duration, "retryPeriod < renewDeadline < duration")
            self.namespace = namespace
            self.name = name
            self.identity = identity
            self.duration = duration
            self.renewDeadline = renewDeadline
            self.retryPeriod = retryPeriod
            self.standbyPeriod = standbyPeriod
        }
    }

    package enum Action: Sendable, Hashable {
        case create(KubeObject)
        /// Carries the resource version that it replaces.
        case update(KubeObject)
        /// Somebody else leads.
        case wait(holder: String)
    }

    package let configuration: Configuration
    private var lease: KubeObject?
    /// When the Lease was last seen to change.
    private var changedAt: AnyClock.Instant
    /// When the last successful write of ours was sent; nil when we do not lead.
    private var renewedAt: AnyClock.Instant?
    /// When the lead was last given up.
    private var gaveUpAt: AnyClock.Instant?

    package init(_ configuration: Configuration, at now: AnyClock.Instant) {
        self.configuration = configuration
        changedAt = now
    }

    package var holder: String { lease?.spec["holderIdentity"]?.string ?? "" }

    /// Until when we lead for certain; nil when we do not.
    package var deadline: AnyClock.Instant? { renewedAt?.advanced(by: configuration.renewDeadline) }

    package func isLeading(at now: AnyClock.Instant) -> Bool { deadline.map { now < $0 } ?? false }

    /// Takes what a read found.
    package mutating func observe(_ found: KubeObject?, at now: AnyClock.Instant) {
        // By its version too: two renewals that were not seen may come to the spec that was.
        let isSame =
            found?.spec == lease?.spec && found?.uid == lease?.uid && found?.resourceVersion == lease?.resourceVersion
        if !isSame { changedAt = now }
        lease = found
        if holder != configuration.identity { renewedAt = nil }
    }

    /// Takes the answer to a write that was sent at `sentAt`.
    package mutating func confirm(_ written: KubeObject, sentAt: AnyClock.Instant, at now: AnyClock.Instant) {
        observe(written, at: now)
        // What was sent before the lead was given up says nothing about the time since: it may be handed over already.
        if let gaveUpAt, sentAt <= gaveUpAt { return }
        if holder == configuration.identity { renewedAt = sentAt }
    }

    package mutating func giveUp(at now: AnyClock.Instant) {
        renewedAt = nil
        gaveUpAt = now
    }

    /// What to write now to get or keep the lead.
    package func next(at now: AnyClock.Instant, date: Date) -> Action {
        guard let lease else {
            var new = KubeObject(.leases, namespace: configuration.namespace, name: configuration.name)
            new.spec = claim(date, acquired: KubeTime.formatMicro(date), transitions: 0)
            return .create(new)
        }
        let isOurs = holder == configuration.identity
        if !isOurs, !holder.isEmpty {
            let seconds = lease.spec["leaseDurationSeconds"]?.double
            let duration = seconds.map { Duration.seconds($0) } ?? configuration.duration
            if changedAt.duration(to: now) < duration { return .wait(holder: holder) }
        }
        // Others see that we live by the Lease changing: it must, though our calendar stand still.
        let isSame = lease.spec["renewTime"]?.string == KubeTime.formatMicro(date)
        let date = isSame ? date.addingTimeInterval(0.002) : date
        let transitions = lease.spec["leaseTransitions"]?.int ?? 0
        let acquired = lease.spec["acquireTime"]?.string
        var new = lease
        new.spec = lease.spec.merging(
            claim(
                date, acquired: isOurs ? acquired ?? KubeTime.formatMicro(date) : KubeTime.formatMicro(date),
                transitions: isOurs ? transitions : transitions + 1))
        return .update(new)
    }

    /// What hands the lead over at once; nil when it is not ours to hand over.
    package func release(at now: AnyClock.Instant, date: Date) -> KubeObject? {
        guard isLeading(at: now), var free = lease else { return nil }
        free.spec["holderIdentity"] = ""
        free.spec["leaseDurationSeconds"] = 1
        free.spec["renewTime"] = .string(KubeTime.formatMicro(date))
        return free
    }

    private func claim(_ date: Date, acquired: String, transitions: Int) -> JSONValue {
        [
            "holderIdentity": .string(configuration.identity),
            // Whole seconds, and never less than what we count on ourselves.
            "leaseDurationSeconds": .int(Int(configuration.duration.inSeconds.rounded(.up))),
            "acquireTime": .string(acquired), "renewTime": .string(KubeTime.formatMicro(date)),
            "leaseTransitions": .int(transitions),
        ]
    }
}
