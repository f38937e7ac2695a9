import FoundationEssentials
import KubeCore
import KubeTesting
import ServiceLifecycle
import Testing

@testable import KubeRuntime

struct LeaseClaimTests {
    let date = Date(timeIntervalSince1970: 1_800_000_000)

    func claim(_ identity: String) -> LeaseClaim {
        LeaseClaim(.init(namespace: "heddle-system", name: "heddle", identity: identity), at: at(0))
    }

    func at(_ seconds: Double) -> AnyClock.Instant { AnyClock.Instant(offset: .seconds(seconds)) }

    func lease(_ holder: String, transitions: Int = 3, renewed: String = "t1", duration: Int = 15) -> KubeObject {
        var lease = KubeObject(.leases, namespace: "heddle-system", name: "heddle")
        lease.spec = [
            "holderIdentity": .string(holder), "leaseTransitions": .int(transitions), "renewTime": .string(renewed),
            "acquireTime": "t0", "leaseDurationSeconds": .int(duration),
        ]
        return lease
    }

    @Test func `without a lease one is made`() {
        guard case .create(let lease) = claim("me").next(at: at(0), date: date) else { return #expect(Bool(false)) }
        #expect(lease.spec["holderIdentity"] == "me" && lease.spec["leaseTransitions"] == 0)
        #expect(lease.spec["leaseDurationSeconds"] == 15)
    }

    @Test func `another's lease is left alone until it has not changed for its duration on our clock`() {
        var claim = claim("me")
        claim.observe(lease("other"), at: at(100))
        #expect(claim.next(at: at(114.9), date: date) == .wait(holder: "other"))
        claim.observe(lease("other", renewed: "t2"), at: at(114))
        #expect(claim.next(at: at(128.9), date: date) == .wait(holder: "other"), "it was renewed at 114")
        guard case .update(let taken) = claim.next(at: at(129), date: date) else { return #expect(Bool(false)) }
        #expect(taken.spec["leaseTransitions"] == 4 && taken.spec["holderIdentity"] == "me")
        #expect(taken.spec["acquireTime"] == .string(KubeTime.formatMicro(date)))
    }

    @Test func `a lease that was given up is taken at once`() {
        var claim = claim("me")
        claim.observe(lease("", duration: 1), at: at(0))
        guard case .update(let taken) = claim.next(at: at(0), date: date) else { return #expect(Bool(false)) }
        #expect(taken.spec["holderIdentity"] == "me")
    }

    @Test func `renewing keeps the time of acquisition and the transitions`() {
        var claim = claim("me")
        claim.confirm(lease("me"), sentAt: at(0), at: at(1))
        guard case .update(let renewed) = claim.next(at: at(2), date: date) else { return #expect(Bool(false)) }
        #expect(renewed.spec["acquireTime"] == "t0" && renewed.spec["leaseTransitions"] == 3)
    }

    @Test func `every renewal changes the lease, though the calendar stands still`() {
        var claim = claim("me")
        var seen: [JSONValue?] = []
        claim.confirm(lease("me", renewed: KubeTime.formatMicro(date)), sentAt: at(0), at: at(0))
        for second in 1...4 {
            guard case .update(let renewed) = claim.next(at: at(Double(second)), date: date) else {
                return #expect(Bool(false))
            }
            #expect(renewed.spec["renewTime"] != seen.last)
            seen.append(renewed.spec["renewTime"])
            claim.confirm(renewed, sentAt: at(Double(second)), at: at(Double(second)))
        }
        #expect(seen.first != .string(KubeTime.formatMicro(date)))
    }

    @Test func `a lease that changed and changed back has changed`() {
        var claim = claim("me")
        var seen = lease("other")
        seen.resourceVersion = "1"
        claim.observe(seen, at: at(100))
        seen.resourceVersion = "3"
        claim.observe(seen, at: at(110))
        #expect(claim.next(at: at(120), date: date) == .wait(holder: "other"))
    }

    @Test func `a late answer does not bring back a lead that was given up`() {
        var claim = claim("me")
        claim.confirm(lease("me"), sentAt: at(0), at: at(0))
        claim.giveUp(at: at(2))
        claim.confirm(lease("me", renewed: "t2"), sentAt: at(1), at: at(3))
        #expect(!claim.isLeading(at: at(3)))
        claim.confirm(lease("me", renewed: "t3"), sentAt: at(4), at: at(4))
        #expect(claim.isLeading(at: at(4)))
    }

    @Test func `the lead counts from when the write was sent and ends before another may start`() {
        var claim = claim("me")
        claim.confirm(lease("me"), sentAt: at(0), at: at(4))
        #expect(claim.isLeading(at: at(9.9)) && !claim.isLeading(at: at(10)))
        var other = self.claim("other")
        other.observe(lease("me"), at: at(0))
        #expect(other.next(at: at(14.9), date: date) == .wait(holder: "me"))
    }

    @Test func `seeing another holder ends the lead`() {
        var claim = claim("me")
        claim.confirm(lease("me"), sentAt: at(0), at: at(0))
        claim.observe(lease("other"), at: at(1))
        #expect(!claim.isLeading(at: at(1)))
        #expect(claim.release(at: at(1), date: date) == nil)
    }
}

struct LeaderElectionTests {
    let cluster = InMemoryCluster()
    let clock = ManualClock()

    func election(_ identity: String) -> LeaderElection {
        LeaderElection(
            api: cluster, configuration: .init(namespace: "heddle-system", name: "heddle", identity: identity),
            clock: AnyClock(clock), logger: quiet,
            date: { [clock] in Date(timeIntervalSince1970: 1_800_000_000 + Double(clock.now.offset.components.seconds))
            },
            random: { 0 })
    }

    var lease: KubeObject? { cluster.object(.leases, namespace: "heddle-system", name: "heddle") }

    @Test func `the lease is handed over when the work ends and the next takes it at once`() async throws {
        let value = try await election("a").withLeadership { 7 }
        #expect(value == 7)
        #expect(lease?.spec["holderIdentity"] == "")
        try await election("b").withLeadership {}
        #expect(lease?.spec["leaseTransitions"] == 2 || lease?.spec["leaseTransitions"] == 1)
        #expect(clock.now.offset == .zero)
    }

    @Test func `only one leads, and the lease is renewed`() async throws {
        let first = election("a")
        let second = election("b")
        let led = Recorded<String>()
        let hold: @Sendable (String) async throws -> Void = { name in
            led.append(name)
            try await Task.sleep(for: .seconds(60))
        }
        let one = Task { try await first.withLeadership { try await hold("a") } }
        #expect(await eventually { led.all == ["a"] })
        let two = Task { try await second.withLeadership { try await hold("b") } }
        for _ in 0..<20 {
            // The leader's renewal and its guard, and the other's polling.
            #expect(await eventually { clock.sleeperCount == 3 })
            clock.advance(by: .seconds(2))
        }
        #expect(led.all == ["a"] && first.isLeading && !second.isLeading && second.holder == "a")
        one.cancel()
        _ = await one.result
        #expect(
            await eventually {
                clock.advance(by: .seconds(2))
                return led.all == ["a", "b"]
            })
        two.cancel()
        _ = await two.result
    }

    @Test func `when the API is away the body is cancelled at the deadline`() async throws {
        let election = election("a")
        let started = Signal()
        let leading = Task {
            try await election.withLeadership {
                started.raise()
                try await Task.sleep(for: .seconds(60))
            }
        }
        await started.wait()
        cluster.injectFaults { _, _ in .refuse(APIError(code: 0, reason: "Unreachable", message: "away")) }
        #expect(
            await eventually {
                clock.advance(by: .milliseconds(100))
                return !election.isLeading
            })
        await #expect(throws: LeadershipLost(holder: "")) { try await leading.value }
        #expect(lease?.spec["holderIdentity"] == "a", "what was lost is not released")
    }

    @Test func `when a renewal hangs the body is cancelled at the deadline all the same`() async throws {
        let election = election("a")
        let started = Signal()
        let unblock = Signal()
        let cancelled = Signal()
        let leading = Task {
            try await election.withLeadership {
                started.raise()
                try? await Task.sleep(for: .seconds(60))
                cancelled.raise()
            }
        }
        await started.wait()
        cluster.injectFaults { _, _ in .hold { await unblock.wait() } }
        #expect(await eventually { clock.sleeperCount == 2 })
        clock.advance(by: .seconds(2))
        // The guard of the deadline, and the limit of this try.
        #expect(await eventually { clock.nextDeadline == .seconds(6) })
        clock.advance(by: .seconds(4))
        // It is given up, and another one is sent.
        #expect(await eventually { clock.nextDeadline == .seconds(8) })
        clock.advance(by: .seconds(2))
        #expect(await eventually { cluster.requests.filter { $0.verb == .update }.count == 2 })
        #expect(election.isLeading)
        clock.advance(by: .seconds(2))
        await cancelled.wait()
        await #expect(throws: LeadershipLost.self) { try await leading.value }
    }

    @Test func `a lease that somebody took ends the lead`() async throws {
        let election = election("a")
        let started = Signal()
        let leading = Task {
            try await election.withLeadership {
                started.raise()
                try await Task.sleep(for: .seconds(60))
            }
        }
        await started.wait()
        _ = try await cluster.patch(
            .leases, namespace: "heddle-system", name: "heddle", ["spec": ["holderIdentity": "thief"]])
        #expect(await eventually { clock.sleeperCount == 2 })
        clock.advance(by: .seconds(2))
        await #expect(throws: LeadershipLost(holder: "thief")) { try await leading.value }
    }

    @Test func `a renewal whose answer was lost keeps the lead`() async throws {
        let election = election("a")
        let started = Signal()
        let leading = Task {
            try await election.withLeadership {
                started.raise()
                try await Task.sleep(for: .seconds(60))
            }
        }
        await started.wait()
        let lost = Recorded<Bool>()
        cluster.injectFaults { _, number in
            guard number > 0, lost.count == 0 else { return nil }
            lost.append(true)
            return .loseAnswer(APIError(code: 0, reason: "Unreachable", message: "lost"))
        }
        for _ in 0..<10 {
            #expect(await eventually { clock.sleeperCount == 2 })
            clock.advance(by: .seconds(2))
            #expect(await eventually { clock.sleeperCount == 2 })
        }
        #expect(election.isLeading && lost.count == 1)
        leading.cancel()
        _ = await leading.result
    }

    @Test func `a failing body releases the lease and its error is thrown`() async throws {
        await #expect(throws: Failure.self) { try await election("a").withLeadership { throw Failure("no") } }
        #expect(lease?.spec["holderIdentity"] == "")
    }

    @Test func `controllers run only on the leader and move when it goes`() async throws {
        cluster.seed(.pods, pod("p"))
        let seen = Recorded<String>()
        func runtime(_ name: String) -> Runtime {
            let runtime = Runtime(
                api: cluster, logger: quiet, clock: AnyClock(clock), leadership: election(name))
            runtime.add(
                Controller(
                    name: "test", sources: [.primary(runtime.store(for: .pods))], clock: AnyClock(clock), logger: quiet,
                    reconciler: ClosureReconciler { _ in
                        seen.append(name)
                        return .done
                    }))
            return runtime
        }
        let first = ServiceGroup(services: [runtime("a")], logger: quiet)
        let firstRun = Task { try await first.run() }
        #expect(await eventually { seen.all == ["a"] })
        let standby = runtime("b")
        let second = ServiceGroup(services: [standby], logger: quiet)
        let secondRun = Task { try await second.run() }
        #expect(await eventually { standby.isReady }, "stores run on every replica")
        #expect(seen.all == ["a"])
        await first.triggerGracefulShutdown()
        try await firstRun.value
        #expect(
            await eventually {
                clock.advance(by: .seconds(2))
                return seen.all == ["a", "b"]
            })
        await second.triggerGracefulShutdown()
        try await secondRun.value
        #expect(lease?.spec["holderIdentity"] == "")
    }

    @Test func `a lead that is handed over is taken up within the standby period`() async throws {
        let first = ServiceGroup(services: [LeaderBody(election: election("a"))], logger: quiet)
        let firstRun = Task { try await first.run() }
        #expect(await eventually { lease?.spec["holderIdentity"] == "a" })
        let second = election("b")
        let took = Recorded<Duration>()
        let two = Task { [clock] in
            try await second.withLeadership {
                took.append(clock.now.offset)
                try await Task.sleep(for: .seconds(60))
            }
        }
        // Renewal and guard of the one, standby of the other.
        #expect(await eventually { clock.sleeperCount == 3 })
        clock.advance(by: .milliseconds(500))
        await first.triggerGracefulShutdown()
        try await firstRun.value
        #expect(lease?.spec["holderIdentity"] == "")
        #expect(await eventually { clock.sleeperCount == 1 })
        clock.advance(by: .milliseconds(500))
        #expect(await eventually { took.all == [.seconds(1)] })
        two.cancel()
        _ = await two.result
    }

    @Test func `a leader that is cancelled ends its work and hands the lead over`() async throws {
        let election = election("a")
        let started = Signal()
        let goOn = Signal()
        let held = Recorded<Bool>()
        let leading = Task {
            try await election.withLeadership {
                started.raise()
                // What is in hand is finished, cancelled or not.
                await Task { await goOn.wait() }.value
                held.append(election.isLeading)
            }
        }
        await started.wait()
        #expect(await eventually { clock.sleeperCount == 2 })
        leading.cancel()
        #expect(await eventually { clock.sleeperCount == 0 })
        #expect(lease?.spec["holderIdentity"] == "a", "the work is not done")
        goOn.raise()
        try await leading.value
        #expect(held.all == [true] && lease?.spec["holderIdentity"] == "")
    }

    @Test func `the lead is handed over though a renewal was under way`() async throws {
        let election = election("a")
        let started = Signal()
        let end = Signal()
        let leading = Task {
            try await election.withLeadership {
                started.raise()
                await end.wait()
            }
        }
        await started.wait()
        // The renewal is done, and its answer does not come.
        let lost = Recorded<Bool>()
        let never = Signal()
        cluster.injectFaults { [cluster] request, number in
            guard number > 0, lost.count == 0 else { return nil }
            lost.append(true)
            return .hold {
                _ = try? await cluster.perform(request)
                await never.wait()
            }
        }
        #expect(await eventually { clock.sleeperCount == 2 })
        clock.advance(by: .seconds(2))
        #expect(await eventually { cluster.writes.count == 2 })
        end.raise()
        try await leading.value
        #expect(lease?.spec["holderIdentity"] == "")
    }

    @Test func `replicas whose calendars differ by a day take turns all the same`() async throws {
        func election(_ identity: String, day: Double) -> LeaderElection {
            LeaderElection(
                api: cluster, configuration: .init(namespace: "heddle-system", name: "heddle", identity: identity),
                clock: AnyClock(clock), logger: quiet,
                date: { [clock] in
                    Date(timeIntervalSince1970: 1_800_000_000 + day * 86_400 + clock.now.offset / .seconds(1))
                }, random: { 0 })
        }
        let ahead = election("ahead", day: 1)
        let behind = election("behind", day: -1)
        let led = Recorded<String>()
        let one = Task {
            try await ahead.withLeadership {
                led.append("ahead")
                try await Task.sleep(for: .seconds(60))
            }
        }
        #expect(await eventually { led.all == ["ahead"] })
        let two = Task {
            try await behind.withLeadership {
                led.append("behind")
                try await Task.sleep(for: .seconds(60))
            }
        }
        for _ in 0..<30 {
            #expect(await eventually { clock.sleeperCount == 3 })
            clock.advance(by: .seconds(1))
        }
        #expect(led.all == ["ahead"] && ahead.isLeading)
        // The leader cannot renew any more, the other one can: it waits for the whole duration all the same.
        cluster.injectFaults { request, _ in
            request.body?["spec"]?["holderIdentity"] == "ahead"
                ? .refuse(APIError(code: 500, reason: "InternalError", message: "no")) : nil
        }
        let cut = clock.now.offset
        let together = Recorded<Bool>()
        #expect(
            await eventually {
                if ahead.isLeading && behind.isLeading { together.append(true) }
                if led.count == 1 { clock.advance(by: .milliseconds(100)) }
                return led.count == 2
            })
        #expect(led.all == ["ahead", "behind"] && !ahead.isLeading && together.count == 0)
        #expect(clock.now.offset - cut >= .seconds(13), "the last renewal was up to two seconds before the cut")
        for task in [one, two] {
            task.cancel()
            _ = await task.result
        }
    }
}

/// Leads until it is told to stop.
private struct LeaderBody: Service {
    let election: LeaderElection
    func run() async throws { try await election.withLeadership { try await gracefulShutdown() } }
}
