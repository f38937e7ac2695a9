import FoundationEssentials
import KubeCore
import KubeTesting
import Testing

@testable import KubeRuntime

/// Three replicas and an API server, played out in steps of 50 ms with lost, slow and late messages, stopped processes,
/// and clocks that run at different speeds. No thread and no waiting: hours in seconds.
struct LeaseSimulation {
    struct Replica {
        var claim: LeaseClaim
        /// How fast its clock runs.
        var rate: Double
        var date: Date
        var stoppedUntil = 0.0
        var nextTryAt = 0.0
    }

    enum Payload {
        case read
        case write(LeaseClaim.Action, sentAt: AnyClock.Instant)
        /// With when the write was sent that it answers; nil for a read, or a write that was refused.
        case answer(KubeObject?, sentAt: AnyClock.Instant?)
    }

    struct Message {
        var replica: Int
        var due: Double
        var payload: Payload
    }

    var random: SeededRandom
    var replicas: [Replica] = []
    var messages: [Message] = []
    var lease: KubeObject?
    var version = 0
    var now = 0.0
    var overlaps = 0
    var terms = 0
    var led = 0.0
    private var lastLeader: Int?

    /// - Parameter drift: share by which clocks may run fast or slow.
    init(seed: UInt64, drift: Double) {
        random = SeededRandom(seed: seed)
        for number in 0..<3 {
            let configuration = LeaseClaim.Configuration(namespace: "n", name: "l", identity: "r\(number)")
            replicas.append(
                Replica(
                    claim: LeaseClaim(configuration, at: AnyClock.Instant(offset: .zero)),
                    rate: Double.random(in: 1 - drift...1 + drift, using: &random),
                    // Calendars are far apart, and stand still.
                    date: Date(timeIntervalSince1970: Double.random(in: 0..<4e9, using: &random))))
        }
    }

    /// What the replica's own clock says.
    func clock(_ replica: Int) -> AnyClock.Instant {
        AnyClock.Instant(offset: .seconds(now * replicas[replica].rate))
    }

    mutating func run(seconds: Double) {
        while now < seconds {
            now += 0.05
            deliver()
            for index in replicas.indices { act(index) }
            let leaders = replicas.indices.filter { replicas[$0].claim.isLeading(at: clock($0)) }
            if leaders.count > 1 { overlaps += 1 }
            if let leader = leaders.first {
                led += 0.05
                if leader != lastLeader { terms += 1 }
                lastLeader = leader
            }
        }
    }

    private mutating func act(_ index: Int) {
        guard replicas[index].stoppedUntil <= now else { return }
        if Int.random(in: 0..<4000, using: &random) == 0 {
            replicas[index].stoppedUntil = now + Double.random(in: 1..<40, using: &random)
            return
        }
        guard replicas[index].nextTryAt <= now else { return }
        let isLeading = replicas[index].claim.isLeading(at: clock(index))
        replicas[index].nextTryAt = now + (isLeading ? 2 : 1) / replicas[index].rate
        if isLeading {
            if Int.random(in: 0..<60, using: &random) == 0 {
                // Hands the lead over.
                if let free = replicas[index].claim.release(at: clock(index), date: replicas[index].date) {
                    replicas[index].claim.giveUp(at: clock(index))
                    send(index, .write(.update(free), sentAt: clock(index)))
                }
                return
            }
            write(index)
        } else {
            send(index, .read)
        }
    }

    private mutating func write(_ index: Int) {
        let sentAt = clock(index)
        let action = replicas[index].claim.next(at: sentAt, date: replicas[index].date)
        if case .wait = action { return }
        send(index, .write(action, sentAt: sentAt))
    }

    /// One message in ten is lost; the others take from 50 ms to 3 s each way.
    private mutating func send(_ index: Int, _ payload: Payload) {
        guard Int.random(in: 0..<10, using: &random) > 0 else { return }
        let isSlow = Int.random(in: 0..<10, using: &random) == 0
        let delay = isSlow ? Double.random(in: 1..<3, using: &random) : Double.random(in: 0.05..<0.3, using: &random)
        messages.append(Message(replica: index, due: now + delay, payload: payload))
    }

    private mutating func deliver() {
        let due = messages.filter { $0.due <= now }.sorted { $0.due < $1.due }
        messages.removeAll { $0.due <= now }
        for message in due {
            switch message.payload {
            case .read: send(message.replica, .answer(lease, sentAt: nil))
            case .write(let action, let sentAt):
                if let stored = store(action) {
                    send(message.replica, .answer(stored, sentAt: sentAt))
                } else {
                    send(message.replica, .answer(lease, sentAt: nil))
                }
            case .answer(let found, let sentAt):
                let replica = message.replica
                if replicas[replica].stoppedUntil > now {
                    // It is read when the process goes on.
                    var late = message
                    late.due = replicas[replica].stoppedUntil
                    messages.append(late)
                } else if let found, let sentAt {
                    replicas[replica].claim.confirm(found, sentAt: sentAt, at: clock(replica))
                } else {
                    replicas[replica].claim.observe(found, at: clock(replica))
                    write(replica)
                }
            }
        }
    }

    /// As the API server: no write over a version that the writer has not seen.
    private mutating func store(_ action: LeaseClaim.Action) -> KubeObject? {
        var new: KubeObject
        switch action {
        case .create(let object):
            guard lease == nil else { return nil }
            new = object
        case .update(let object):
            guard object.resourceVersion == lease?.resourceVersion else { return nil }
            new = object
        case .wait: return nil
        }
        version += 1
        new.resourceVersion = String(version)
        lease = new
        return new
    }
}

struct LeaseSimulationTests {
    @Test(arguments: 0..<24 as Range<UInt64>)
    func `never do two lead at once`(_ seed: UInt64) {
        // Clocks of computers differ by far less than a tenth.
        var simulation = LeaseSimulation(seed: seed, drift: 0.1)
        simulation.run(seconds: 1800)
        #expect(simulation.overlaps == 0, "seed \(seed)")
        #expect(simulation.terms > 3, "the lead moves")
        #expect(simulation.led > 0.5 * 1800, "there mostly is a leader: \(simulation.led) s")
    }

    @Test func `the simulation finds two leaders where clocks differ by more than the margin`() {
        let overlaps = (0..<12 as Range<UInt64>).map { seed in
            var simulation = LeaseSimulation(seed: seed, drift: 0.6)
            simulation.run(seconds: 1800)
            return simulation.overlaps
        }
        #expect(overlaps.reduce(0, +) > 0)
    }
}
