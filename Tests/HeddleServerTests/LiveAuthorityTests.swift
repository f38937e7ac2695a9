import FoundationEssentials
import KubeCore
import KubeRuntime
import KubeTesting
import Logging
import MeshIdentity
import Synchronization
import Testing

@testable import HeddleServer

/// Two replicas on one cluster; time is the test's.
@Suite struct LiveAuthorityTests {
    private let cluster = InMemoryCluster()
    private let clock = WallClock()
    private static let key = ObjectKey(namespace: "heddle-system", name: "heddle-ca")

    private func replica(_ store: Store? = nil, _ looks: AnyClock = .continuous) async throws -> LiveAuthority {
        let clock = clock
        return try await LiveAuthority(
            keeper: AuthorityKeeper(api: cluster, namespace: "heddle-system"),
            plan: AuthorityPlan(trustDomain: "cluster.local"),
            secrets: store ?? Store(scope: StoreScope(.secrets)), clock: looks, now: { clock.now },
            logger: Logger(label: "test"))
    }

    private var secret: KubeObject? { cluster.object(.secrets, namespace: "heddle-system", name: "heddle-ca") }
    private func text(_ name: String) -> String? { secret?.json["data"]?[name]?.string.flatMap(Base64.decodeText) }

    /// Both replicas look, in both orders, until neither writes.
    private func settle(_ replicas: [LiveAuthority]) async throws {
        for _ in 0..<4 {
            for replica in replicas { _ = try await replica.look() }
        }
        cluster.clearLog()
        for replica in replicas.reversed() { _ = try await replica.look() }
        #expect(cluster.writes.isEmpty, "at rest nothing is written")
        let pems = try replicas.map { try $0.current.authority.certificatePEM }
        #expect(Set(pems).count == 1, "replicas sign with one key")
        #expect(Set(replicas.map(\.current.bundlePEM)).count == 1, "and trust the same roots")
    }

    private func leaf(of replica: LiveAuthority) throws -> String {
        let identity = try SPIFFEIdentity(uri: "spiffe://cluster.local/ns/shop/sa/catalog")
        let request = try CertificateRequest(identity: identity)
        return try replica.current.authority.sign(csrPEM: request.csrPEM, identity: identity, now: clock.now).chainPEM
    }

    private func damage(_ how: Damage) throws {
        var secret = try #require(secret)
        switch how {
        case .gone: return cluster.remove(.secrets, namespace: "heddle-system", name: "heddle-ca")
        case .empty: secret.json["data"] = [:]
        case .noKey: secret.json[path: "data", "tls.key"] = .none
        case .noText: secret.json[path: "data", "tls.crt"] = "%%%"
        case .noCertificate: secret.json[path: "data", "tls.crt"] = .string(Base64.encode("hello"))
        case .otherKey:
            let other = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: clock.now)
            secret.json[path: "data", "tls.key"] = .string(Base64.encode(other.privateKeyPEM))
        }
        cluster.seed(.secrets, secret)
    }

    enum Damage: CaseIterable { case gone, empty, noKey, noText, noCertificate, otherKey }

    // MARK: Mending

    @Test(arguments: Damage.allCases)
    func `a Secret that is damaged while a replica runs gets back what it had`(how: Damage) async throws {
        let replicas = [try await replica(), try await replica()]
        let before = try (text("tls.crt"), text("tls.key"), replicas[0].current.authority.certificatePEM)
        try damage(how)
        try await settle(replicas)
        #expect(text("tls.crt") == before.0 && text("tls.key") == before.1)
        #expect(try replicas[0].current.authority.certificatePEM == before.2, "nothing in the mesh notices")
        #expect(text("previous.crt") == nil)
    }

    @Test(arguments: Damage.allCases)
    func `a Secret that is damaged while no replica runs gets a new authority, and roots that can be read stay trusted`(
        how: Damage
    ) async throws {
        let old = try await replica()
        let leaf = try leaf(of: old)
        try damage(how)
        let replicas = [try await replica(), try await replica()]
        try await settle(replicas)
        #expect(try replicas[0].current.authority.certificatePEM != old.current.authority.certificatePEM)
        #expect(secret?.json["type"] == "kubernetes.io/tls")
        let isOldRootReadable = how == .noKey || how == .otherKey
        let verified = try? await replicas[0].current.bundle.verify(chainPEM: leaf, at: clock.now)
        #expect((verified != nil) == isOldRootReadable)
    }

    @Test func `an authority that lapsed while nobody looked is replaced, and not trusted any longer`() async throws {
        let old = try await replica()
        clock.advance(days: 3651)
        let replicas = [try await replica(), try await replica()]
        try await settle(replicas)
        #expect(replicas[0].current.bundle.roots.count == 1)
        #expect(replicas[0].current.bundle != old.current.bundle)
        // The one that slept through it, with the lapsed authority in memory, takes the new one too.
        try await settle([old, replicas[0]])
        #expect(old.current.bundle == replicas[0].current.bundle)
    }

    @Test func `of replicas that mend at once the first decides, and the other takes its authority`() async throws {
        let waiting = Mutex(0)
        let replicas = [try await replica(), try await replica()]
        clock.advance(days: 3650 - 80)
        cluster.injectFaults { request, _ in
            guard request.verb == .update, waiting.withLock({ $0 < 2 }) else { return nil }
            return .hold {
                waiting.withLock { $0 += 1 }
                _ = await eventually { waiting.withLock { $0 } >= 2 }
            }
        }
        async let first = replicas[0].look()
        async let second = replicas[1].look()
        _ = try await (first, second)
        cluster.injectFaults(nil)
        #expect(waiting.withLock { $0 } == 2, "both had read the same Secret")
        try await settle(replicas)
        #expect(text("next.crt") != nil)
    }

    // MARK: Rotation

    @Test func `a root is replaced without a moment in which two replicas' certificates do not trust each other`()
        async throws
    {
        let replicas = [try await replica(), try await replica()]
        let changes = Mutex(0)
        replicas[1].onChange { _ in changes.withLock { $0 += 1 } }
        let first = try replicas[0].current.authority.certificatePEM
        var stages: [Int] = []
        clock.advance(days: 3650 - 92)
        for day in 0..<30 {
            clock.advance(days: 1)
            // They take turns, so that one is always a step behind the other.
            let (one, other) = (replicas[day % 2], replicas[(day + 1) % 2])
            _ = try await one.look()
            _ = try await other.current.bundle.verify(chainPEM: try leaf(of: one), at: clock.now)
            _ = try await other.look()
            _ = try await one.current.bundle.verify(chainPEM: try leaf(of: other), at: clock.now)
            stages.append(one.current.bundle.roots.count)
        }
        #expect(stages.first == 1 && stages.last == 1 && stages.contains(2))
        try await settle(replicas)
        #expect(try replicas[0].current.authority.certificatePEM != first)
        #expect(text("next.crt") == nil && text("previous.crt") == nil && text("next.key") == nil)
        #expect(changes.withLock { $0 } == 3, "handed out, signing, alone")
        #expect(replicas[0].current.nextLook.map { $0 > clock.now } == true)
    }

    @Test(arguments: ["next.crt", "next.key"])
    func `a damaged next root is replaced by another and waits anew`(member: String) async throws {
        let replicas = [try await replica(), try await replica()]
        clock.advance(days: 3650 - 80)
        try await settle(replicas)
        let next = text("next.crt")
        var broken = try #require(secret)
        broken.json[path: "data", member] = .string(Base64.encode("x"))
        cluster.seed(.secrets, broken)
        clock.advance(days: 8)
        try await settle(replicas)
        #expect(text("next.crt") != next)
        #expect(text("previous.crt") == nil, "it does not sign before it was handed out")
        clock.advance(days: 8)
        try await settle(replicas)
        #expect(text("previous.crt") != nil)
    }

    // MARK: Authorities of others

    private func putForeign(_ authority: CertificateAuthority, key: String? = nil) throws {
        var secret = KubeObject(.secrets, namespace: "heddle-system", name: "heddle-ca")
        secret.annotations["cert-manager.io/certificate-name"] = "heddle-ca"
        let pem = try authority.certificatePEM
        secret.json["data"] = [
            "tls.crt": .string(Base64.encode(pem)), "ca.crt": .string(Base64.encode(pem)),
            "tls.key": .string(Base64.encode(key ?? authority.privateKeyPEM)),
        ]
        cluster.seed(.secrets, secret)
    }

    @Test func `an authority of cert-manager's is followed and never written`() async throws {
        let one = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: clock.now)
        try putForeign(one)
        let replicas = [try await replica(), try await replica()]
        let leaf = try leaf(of: replicas[0])
        #expect(try replicas[0].current.authority.certificatePEM == one.certificatePEM)
        clock.advance(days: 1)
        let two = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: clock.now)
        try putForeign(two)
        try await settle(replicas)
        #expect(try replicas[1].current.authority.certificatePEM == two.certificatePEM)
        // Its certificates are an hour to a day old when it is replaced: they stay valid.
        _ = try await replicas[1].current.bundle.verify(chainPEM: leaf, at: clock.now.addingTimeInterval(-3600))
        // Broken, it is reported, and the last one signs on.
        try putForeign(two, key: "nonsense")
        cluster.clearLog()
        _ = try await replicas[0].look()
        #expect(replicas[0].current.problem?.contains("private key") == true)
        #expect(try replicas[0].current.authority.certificatePEM == two.certificatePEM)
        #expect(cluster.writes.isEmpty)
        // A replica that starts now has nothing to go by.
        let error = await #expect(throws: FieldError.self) { try await replica() }
        #expect(error?.description.contains("heddle-system/heddle-ca") == true)
        #expect(error?.description.contains("PRIVATE KEY-----") == false)
        #expect(cluster.writes.isEmpty)
    }

    @Test func `an authority that a person puts there signs at once, and the one before stays trusted for its leaves`()
        async throws
    {
        let replicas = [try await replica(), try await replica()]
        let leaf = try leaf(of: replicas[0])
        let other = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: clock.now)
        var secret = try #require(secret)
        secret.json["data"] = [
            "tls.crt": .string(Base64.encode(try other.certificatePEM)),
            "tls.key": .string(Base64.encode(other.privateKeyPEM)),
        ]
        cluster.seed(.secrets, secret)
        try await settle(replicas)
        #expect(try replicas[1].current.authority.certificatePEM == other.certificatePEM)
        _ = try await replicas[1].current.bundle.verify(chainPEM: leaf, at: clock.now)
        clock.advance(days: 8)
        try await settle(replicas)
        #expect(replicas[0].current.bundle == other.trustBundle)
    }

    // MARK: At rest

    @Test func `a running replica wakes for its Secret, and when something is due, and asks for nothing in between`()
        async throws
    {
        let looks = ManualClock()
        let runtime = Runtime(api: cluster, logger: Logger(label: "test"))
        let store = runtime.store(
            for: .secrets, namespace: "heddle-system", fields: "metadata.name=\(AuthorityKeeper.secretName)")
        let live = try await replica(store, AnyClock(looks))
        let before = text("tls.crt")
        let (cluster, key) = (cluster, Self.key)
        func isThere() -> Bool { cluster.object(.secrets, namespace: key.namespace, name: key.name) != nil }
        /// Secrets that were read so far.
        func reads() -> Int { cluster.requests.count { $0.resource == .secrets && $0.verb == .get } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runtime.run() }
            group.addTask { await live.run() }
            #expect(await eventually { store.hasSynced && reads() >= 2 && looks.sleeperCount == 1 })
            cluster.remove(.secrets, namespace: key.namespace, name: key.name)
            #expect(await eventually { isThere() && looks.sleeperCount == 1 })
            #expect(text("tls.crt") == before)
            // A look at the start, at most one for each of the Secret's changes, and none because time passes.
            #expect(await eventually { store.get(key) != nil && looks.sleeperCount == 1 })
            looks.advance(by: .seconds(6 * 3600))
            #expect(reads() <= 6)
            clock.advance(days: 3650 - 80)
            #expect(
                await eventually {
                    looks.advance(by: .seconds(3600))
                    return self.text("next.crt") != nil
                })
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
    }
}

/// A wall clock that moves when the test says so.
private final class WallClock: Sendable {
    private let date = Mutex(Date(timeIntervalSince1970: 1_800_000_000))
    var now: Date { date.withLock { $0 } }
    func advance(days: Double) { date.withLock { $0 += days * 86400 } }
}
