import EnvoyAPI
import Testing

@testable import XDSServer

/// Make before break: no request may ever meet a cluster that is missing.
@Suite struct UpdateOrderTests {
    static let old = ResourceSet([
        resource(.cluster, "a"), resource(.endpoints, "a"), resource(.listener, "l"), resource(.route, "r", "to a"),
    ])
    static let new = ResourceSet([
        resource(.cluster, "b"), resource(.endpoints, "b"), resource(.listener, "l"), resource(.route, "r", "to b"),
    ])

    @Test func aRouteWaitsUntilItsNewClusterIsTakenAndHasEndpoints() {
        var harness = StreamHarness.settled(Self.old)
        harness.stream.update(Self.new)
        let cluster = harness.responses()
        #expect(cluster.map(harness.text) == ["Cluster +b"])
        // As Envoy does it: it asks for the endpoints, and takes the cluster only when it has them.
        harness.subscribe(.endpoints, ["b"])
        let endpoints = harness.responses()
        #expect(endpoints.map(harness.text) == ["ClusterLoadAssignment +b"])
        harness.acknowledge(endpoints[0])
        #expect(harness.sent() == [])
        harness.acknowledge(cluster[0])
        #expect(harness.sent() == ["RouteConfiguration +r"])
    }

    @Test func aRouteWaitsForEndpointsWhenTheClusterIsTakenFirst() {
        var harness = StreamHarness.settled(Self.old)
        harness.stream.update(Self.new)
        harness.acknowledge(harness.responses()[0])
        #expect(harness.sent() == [])
        harness.subscribe(.endpoints, ["b"])
        let endpoints = harness.responses()
        #expect(endpoints.map(harness.text) == ["ClusterLoadAssignment +b"])
        harness.acknowledge(endpoints[0])
        #expect(harness.sent() == ["RouteConfiguration +r"])
    }

    @Test func aRouteDoesNotWaitForEverForAClusterThatDoesNotGetWarm() throws {
        var harness = StreamHarness.settled(Self.old)
        harness.stream.update(Self.new)
        #expect(harness.sent() == ["Cluster +b"])
        let wakeUp = try #require(harness.stream.nextWakeUp)
        #expect(wakeUp == harness.now + .seconds(5))
        harness.now = wakeUp
        #expect(harness.sent() == ["RouteConfiguration +r"])
    }

    @Test func aRouteThatNamesItsClustersDoesNotWaitForOthers() {
        var harness = StreamHarness.settled(Self.old)
        var set = Self.old
        set.insert(resource(.cluster, "b"))
        set.insert(resource(.route, "r", "to a, quickly", requires: ["a"]))
        harness.stream.update(set)
        #expect(harness.sent() == ["Cluster +b", "RouteConfiguration +r"])
    }

    @Test func aClusterGoesOnlyWhenTheNewRouteIsTakenAndTheGraceIsOver() throws {
        var harness = StreamHarness.settled(Self.old)
        harness.stream.update(Self.new)
        harness.acknowledge(harness.responses()[0])
        harness.subscribe(.endpoints, ["b"])
        harness.acknowledge(harness.responses()[0])
        let route = harness.responses()
        harness.now += .seconds(60)
        #expect(harness.sent() == [], "the route is under way for a minute, the cluster stays")
        harness.acknowledge(route[0])
        #expect(harness.sent() == [])
        #expect(harness.stream.isSynced, "a cluster that lingers is not out of sync")
        harness.now = try #require(harness.stream.nextWakeUp)
        let removal = harness.responses()
        #expect(removal.map(harness.text) == ["Cluster -a"])
        harness.subscribe(.endpoints, unsubscribe: ["a"])
        harness.acknowledge(removal[0])
        harness.now += .seconds(60)
        #expect(harness.sent() == [])
        #expect(harness.stream.nextWakeUp == nil)
    }

    @Test func aClusterStaysWhileTheRouteThatReplacesItIsRefused() {
        var harness = StreamHarness.settled(Self.old)
        harness.stream.update(Self.new)
        harness.acknowledge(harness.responses()[0])
        harness.subscribe(.endpoints, ["b"])
        harness.acknowledge(harness.responses()[0])
        harness.reject(harness.responses()[0])
        harness.now += .seconds(3600)
        #expect(harness.sent() == [])
    }

    @Test func aClusterThatComesBackInTimeIsNeitherRemovedNorSent() {
        var harness = StreamHarness.settled(Self.old)
        harness.stream.update(Self.new)
        harness.acknowledge(harness.responses()[0])
        harness.subscribe(.endpoints, ["b"])
        harness.acknowledge(harness.responses()[0])
        harness.acknowledge(harness.responses()[0])
        harness.stream.update(Self.old)
        #expect(harness.settle() == ["RouteConfiguration +r"])
        #expect(harness.settle() == [])
        harness.now += .seconds(60)
        let removal = harness.responses()
        #expect(removal.map(harness.text) == ["Cluster -b"])
        harness.subscribe(.endpoints, unsubscribe: ["b"])
        harness.acknowledge(removal[0])
        harness.now += .seconds(60)
        #expect(harness.settle() == [])
    }

    @Test func aListenerGoesBeforeItsCluster() {
        var harness = StreamHarness.settled(Self.old)
        harness.stream.update(ResourceSet())
        let first = harness.responses()
        #expect(first.map(harness.text) == ["RouteConfiguration -r", "Listener -l"])
        harness.now += .seconds(60)
        #expect(harness.sent() == [])
        for response in first { harness.acknowledge(response) }
        #expect(harness.sent() == [])
        harness.now += .seconds(6)
        #expect(harness.settle().first == "Cluster -a")
    }

    @Test func aClusterThatIsSentAgainGetsItsEndpointsAgain() {
        var harness = StreamHarness.settled(Self.old)
        var set = Self.old
        set.insert(resource(.cluster, "a", "2"))
        harness.stream.update(set)
        #expect(harness.settle() == ["Cluster +a", "ClusterLoadAssignment +a"])
    }

    @Test func aReconnectingProxyGetsTheEndpointsOfAClusterThatChangedMeanwhile() {
        var harness = StreamHarness()
        var set = Self.old
        set.insert(resource(.cluster, "a", "2"))
        harness.stream.update(set)
        harness.subscribe(.cluster, has: Self.old[.cluster].mapValues(\.version))
        let cluster = harness.responses()
        harness.subscribe(.endpoints, ["a"], has: Self.old[.endpoints].mapValues(\.version))
        harness.acknowledge(cluster[0])
        #expect(harness.settle() == ["ClusterLoadAssignment +a"])
    }

    @Test func endpointsAloneAreSentAtOnce() {
        var harness = StreamHarness.settled(Self.old)
        var set = Self.old
        set.insert(resource(.endpoints, "a", "2"))
        harness.stream.update(set)
        #expect(harness.sent() == ["ClusterLoadAssignment +a"])
    }

    @Test func aRouteIsKeptBackWhileAClusterThatItRequiresIsRefused() {
        var harness = StreamHarness.settled(Self.old)
        var set = Self.old
        set.insert(resource(.cluster, "b"))
        set.insert(resource(.route, "r", "to b", requires: ["b"]))
        harness.stream.update(set)
        harness.reject(harness.responses()[0])
        #expect(harness.sent() == [])
        #expect(!harness.stream.isSynced)
        set.insert(resource(.cluster, "b", "repaired"))
        harness.stream.update(set)
        #expect(harness.settle() == ["Cluster +b", "RouteConfiguration +r"])
        #expect(harness.stream.isSynced)
    }

    @Test func aRefusedClusterHoldsUpNothingElse() {
        var harness = StreamHarness.settled(Self.old)
        var set = Self.old
        set.insert(resource(.cluster, "b"))
        set.insert(resource(.route, "r", "to a, 0 %"))
        harness.stream.update(set)
        harness.reject(harness.responses()[0])
        #expect(harness.sent() == ["RouteConfiguration +r"])
    }
}
