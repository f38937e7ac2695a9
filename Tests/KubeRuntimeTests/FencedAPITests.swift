import KubeCore
import KubeTesting
import Testing

@testable import KubeRuntime

struct FencedAPITests {
    let cluster = InMemoryCluster()
    let clock = ManualClock()
    let deadline = Mutexed<AnyClock.Instant?>(nil)

    let fenced: FencedAPI

    init() {
        fenced = FencedAPI(cluster, clock: AnyClock(clock), deadline: { [deadline] in deadline.value })
    }

    func at(_ seconds: Int) -> AnyClock.Instant { AnyClock.Instant(offset: .seconds(seconds)) }

    @Test(arguments: [
        APIRequest(.create, .pods, namespace: "shop", body: pod("b").json),
        APIRequest(.update, .pods, namespace: "shop", name: "a", body: pod("a").json),
        APIRequest(.patch(.merge), .pods, namespace: "shop", name: "a", body: ["spec": [:]]),
        APIRequest(.patch(.apply), .pods, namespace: "shop", name: "a", body: pod("a").json),
        APIRequest(.delete, .pods, namespace: "shop", name: "a"),
        APIRequest(.deleteCollection, .pods, namespace: "shop"),
    ])
    func `no write leaves a replica that does not lead`(_ write: APIRequest) async throws {
        cluster.seed(.pods, pod("a"))
        await #expect { _ = try await fenced.perform(write) } throws: {
            let error = $0 as? APIError
            return error?.isNotLeading == true && error?.isUnprocessed == true
        }
        #expect(cluster.requests.isEmpty)
    }

    @Test func `reads and watches pass without the lead`() async throws {
        cluster.seed(.pods, pod("a"))
        #expect(try await fenced.get(.pods, namespace: "shop", name: "a").name == "a")
        #expect(try await fenced.list(.pods).items.count == 1)
        for try await event in try await fenced.watch(APIRequest(.watch, .pods)) {
            #expect(event.object.name == "a")
            break
        }
    }

    @Test func `the gate closes at the deadline by the clock alone`() async throws {
        deadline.value = at(10)
        _ = try await fenced.create(.pods, pod("a"))
        clock.advance(by: .milliseconds(9_999))
        _ = try await fenced.create(.pods, pod("b"))
        clock.advance(by: .milliseconds(1))
        await #expect(throws: APIError.self) { try await fenced.create(.pods, pod("c")) }
        deadline.value = at(20)
        _ = try await fenced.create(.pods, pod("c"))
    }

    @Test func `a write under way is called back at the deadline, which renewals move`() async throws {
        deadline.value = at(10)
        let unblock = Signal()
        cluster.injectFaults { _, _ in .hold { await unblock.wait() } }
        let write = Task { [fenced] in try await fenced.create(.pods, pod("a")) }
        #expect(await eventually { clock.nextDeadline == .seconds(10) })
        deadline.value = at(15)
        clock.advance(by: .seconds(10))
        #expect(await eventually { clock.nextDeadline == .seconds(15) })
        clock.advance(by: .seconds(5))
        await #expect { _ = try await write.value } throws: { ($0 as? APIError)?.isNotLeading == true }
        #expect(cluster.objects(.pods).isEmpty)
    }

    @Test func `a process that was stopped past its deadline writes nothing when it goes on`() async throws {
        // The replica has its own clock: time passes while it is stopped, and wakes nothing.
        let election = LeaderElection(
            api: cluster, configuration: .init(namespace: "heddle-system", name: "heddle", identity: "a"),
            clock: AnyClock(clock), logger: quiet, random: { 0 })
        let fenced = FencedAPI(cluster, leadership: election)
        let started = Signal()
        let goOn = Signal()
        let refused = Recorded<APIError>()
        let leading = Task {
            try await election.withLeadership {
                started.raise()
                // Between its decision and its write the process is stopped.
                await goOn.wait()
                do throws(APIError) { _ = try await fenced.create(.pods, pod("a")) } catch { refused.append(error) }
            }
        }
        await started.wait()
        clock.hold()
        clock.advance(by: .seconds(11))
        #expect(!election.isLeading)
        // Its tasks run before its timers do.
        goOn.raise()
        #expect(await eventually { refused.count == 1 })
        #expect(refused.all.first?.isNotLeading == true && cluster.objects(.pods).isEmpty)
        clock.goOn()
        _ = await leading.result
    }
}
