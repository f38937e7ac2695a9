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
        #expect(await eventually { clock.sleeperCount == 1 })
        clock.advance(by: .seconds(8))
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
}
