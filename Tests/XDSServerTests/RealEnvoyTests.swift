import Foundation
import MeshIdentity
import Testing

@testable import XDSServer

/// A real Envoy against the real server: what the protocol's rules are for.
@Suite(
    .serialized, .enabled(if: EnvoyProcess.isAvailable, "needs Envoy; HEDDLE_ENVOY names it"), .timeLimit(.minutes(2)))
struct RealEnvoyTests {
    private let options: AggregatedDiscoveryServer.Options
    private let authority: CertificateAuthority
    private let cart: SPIFFEIdentity

    init() throws {
        var options = AggregatedDiscoveryServer.Options(trustDomain: "cluster.local")
        options.removalGrace = .milliseconds(100)
        options.endpointPatience = .seconds(10)
        self.options = options
        authority = try CertificateAuthority.selfSigned(trustDomain: "cluster.local", now: Date())
        cart = try SPIFFEIdentity(trustDomain: "cluster.local", namespace: "shop", serviceAccount: "cart")
    }

    /// Asks until the answer is yes, for at most 20 s.
    private func eventually(_ what: Comment, _ condition: () -> Bool) async throws {
        for _ in 0..<2000 {
            if condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record(what)
        throw CancellationError()
    }

    private func mesh() -> TinyMesh {
        TinyMesh(
            frontPort: TinyHTTP.freePort(), backPort: TinyHTTP.freePort(), clusters: ["one": 1], target: "one")
    }

    private func onDemandMesh() -> TinyMesh {
        var mesh = mesh()
        mesh.isOnDemand = true
        mesh.clusters = ["one": 1, "two": 1, "three": 1, "four": 1]
        return mesh
    }

    @Test func aRequestPassesAndNoneIsLostWhileClustersAreReplacedBehindIt() async throws {
        let mesh = mesh()
        let server = try LoopbackServer(resources: try mesh.resources(), authority: authority, options: options)
        try await server.serving { port in
            let envoy = try EnvoyProcess(discoveryPort: port, authority: authority, identity: cart)
            defer { envoy.stop() }
            let front = mesh.frontPort
            try await eventually("Envoy does not answer: \(envoy.log)") { TinyHTTP.status(port: front) == 200 }
            try await eventually("not in sync") { server.hub.isSynced() }

            let load = TinyLoad(port: front)
            defer { load.stop() }
            for round in 1...10 {
                var next = mesh
                // The target is replaced by a new cluster, the old one goes, and a third is sent again changed.
                next.target = "target-\(round)"
                next.clusters = [next.target: 1, "other": UInt32(round)]
                server.source.replace(try next.resources())
                let generation = server.hub.changed()
                try await eventually("round \(round): \(server.hub.debugJSON())") {
                    server.hub.isSynced(generation: generation)
                }
                // The target itself is sent again changed, and warms while it is in use.
                next.clusters[next.target] = 2
                server.source.replace(try next.resources())
                let changed = server.hub.changed()
                try await eventually("round \(round), changed") { server.hub.isSynced(generation: changed) }
            }
            try await Task.sleep(for: .seconds(1))
            load.stop()
            #expect(load.total > 100)
            #expect(load.bad == [:], "of \(load.total) requests")
            #expect(server.rejections.value.isEmpty)
        }
    }

    @Test func aClusterComesWithTheFirstRequestThatNeedsItAndStaysOverAReconnection() async throws {
        let mesh = onDemandMesh()
        let resources = try mesh.resources()
        let front = mesh.frontPort
        let discoveryPort = Int(TinyHTTP.freePort())
        let running = Mutexed<EnvoyProcess?>(nil)
        defer { running.value?.stop() }
        let first = try LoopbackServer(
            resources: resources, authority: authority, port: discoveryPort, unasked: ["four"], options: options)
        try await first.serving { port in
            let envoy = try EnvoyProcess(discoveryPort: port, authority: authority, identity: cart)
            running.withLock { $0 = envoy }
            try await eventually("Envoy does not answer: \(envoy.log)") {
                TinyHTTP.status(port: front, path: "/two", seconds: 10) == 200
            }
            #expect(first.source.lastRequested == ["two"])
            for name in ["three", "one"] {
                #expect(TinyHTTP.status(port: front, path: "/\(name)", seconds: 10) == 200, "\(name): \(envoy.log)")
            }
            #expect(first.source.lastRequested == ["one", "two", "three"])
            #expect(TinyHTTP.status(port: front, path: "/absent", seconds: 10) == 503)
            #expect(TinyHTTP.status(port: front, path: "/two") == 200)
            try await eventually("not in sync: \(first.hub.debugJSON())") { first.hub.isSynced() }
        }
        #expect(TinyHTTP.status(port: front, path: "/three") == 200)
        let second = try LoopbackServer(
            resources: resources, authority: authority, port: discoveryPort, unasked: ["four"], options: options)
        try await second.serving { _ in
            try await eventually("no reconnection") { second.hub.isSynced() && !second.hub.proxies().isEmpty }
            #expect(second.source.lastRequested.isSuperset(of: ["one", "two", "three"]))
            for name in ["one", "two", "three", "four"] {
                #expect(TinyHTTP.status(port: front, path: "/\(name)", seconds: 10) == 200, "\(name)")
            }
            // A change of a cluster that came on demand reaches the proxy as any other.
            var next = mesh
            next.clusters["two"] = 2
            second.source.replace(try next.resources())
            let generation = second.hub.changed()
            try await eventually("the change is not taken") { second.hub.isSynced(generation: generation) }
            #expect(TinyHTTP.status(port: front, path: "/two") == 200)
        }
    }

    @Test func requestsOfWatchedClustersAreReportedAsTheyHappenAndOthersAreNot() async throws {
        let mesh = onDemandMesh()
        let server = try LoopbackServer(resources: try mesh.resources(), authority: authority, options: options)
        try await server.serving { port in
            let envoy = try EnvoyProcess(discoveryPort: port, authority: authority, identity: cart)
            defer { envoy.stop() }
            let front = mesh.frontPort
            try await eventually("Envoy does not answer: \(envoy.log)") { TinyHTTP.status(port: front) == 200 }
            #expect(server.loads.totals.isEmpty)
            // "absent" is a cluster that comes later, as a canary's does.
            server.loads.watch(["one", "two", "absent"])
            func load(_ path: String, _ count: Int) {
                for _ in 0..<count { _ = TinyHTTP.status(port: front, path: path) }
            }
            // Reports begin within a second of the word.
            try await eventually("no report") {
                load("/one", 1)
                return server.loads.totals["one"] != nil
            }
            let before = server.loads.totals["one"]?.requests ?? 0
            load("/one", 20)
            load("/two/fail", 7)
            load("/two", 3)
            load("/three", 5)
            try await eventually("not all requests are reported") {
                server.loads.totals["one"].map { $0.requests >= before + 20 } == true
                    && server.loads.totals["two"] == .init(requests: 10, failures: 7)
            }
            #expect(server.loads.totals["one"]?.failures == 0)
            #expect(server.loads.totals["three"] == nil)
            server.loads.watch([])
            #expect(server.loads.totals.isEmpty)
        }
    }

    @Test func aRefusedRouteIsReportedAndTheLastGoodOneServesOn() async throws {
        let mesh = mesh()
        let server = try LoopbackServer(resources: try mesh.resources(), authority: authority, options: options)
        try await server.serving { port in
            let envoy = try EnvoyProcess(discoveryPort: port, authority: authority, identity: cart)
            defer { envoy.stop() }
            let front = mesh.frontPort
            try await eventually("Envoy does not answer: \(envoy.log)") { TinyHTTP.status(port: front) == 200 }
            var broken = mesh
            broken.isBroken = true
            server.source.replace(try broken.resources())
            server.hub.changed()
            try await eventually("no refusal") { !server.rejections.value.isEmpty }
            let rejection = try #require(server.rejections.value.first)
            #expect(rejection.type == .route && rejection.resourceNames == ["front"])
            #expect(rejection.message.contains("domain"))
            #expect(!server.hub.isSynced())
            #expect(TinyHTTP.status(port: front) == 200)
            server.source.replace(try mesh.resources())
            let generation = server.hub.changed()
            try await eventually("does not recover") { server.hub.isSynced(generation: generation) }
        }
    }

    @Test func anEnvoyServesOnWhileTheServerIsAwayAndIsSentNothingThatItHasAfterwards() async throws {
        let mesh = mesh()
        let discoveryPort = Int(TinyHTTP.freePort())
        let resources = try mesh.resources()
        let front = mesh.frontPort
        let first = try LoopbackServer(
            resources: resources, authority: authority, port: discoveryPort, options: options)
        let running = Mutexed<EnvoyProcess?>(nil)
        defer { running.value?.stop() }
        try await first.serving { port in
            let envoy = try EnvoyProcess(discoveryPort: port, authority: authority, identity: cart)
            running.withLock { $0 = envoy }
            try await eventually("Envoy does not answer: \(envoy.log)") { TinyHTTP.status(port: front) == 200 }
            try await eventually("not in sync") { first.hub.isSynced() }
        }
        #expect(TinyHTTP.status(port: front) == 200)
        let second = try LoopbackServer(
            resources: resources, authority: authority, port: discoveryPort, options: options)
        try await second.serving { _ in
            try await eventually("no reconnection") { second.hub.proxies().first?.types.count == 4 }
            let status = try #require(second.hub.proxies().first)
            #expect(status.isSynced)
            #expect(status.types.values.allSatisfy { $0.sentVersion == nil })
            #expect(TinyHTTP.status(port: front) == 200)
        }
    }
}
