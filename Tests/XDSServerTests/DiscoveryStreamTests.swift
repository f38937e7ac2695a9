import EnvoyAPI
import Testing

@testable import XDSServer

@Suite struct DiscoveryStreamTests {
    static let shop = ResourceSet([
        resource(.cluster, "a"), resource(.endpoints, "a"), resource(.listener, "l"), resource(.route, "r"),
    ])

    @Test func aFirstRequestWithoutNamesAsksForAllClustersAndListeners() {
        var harness = StreamHarness()
        harness.stream.update(Self.shop)
        harness.subscribe(.cluster)
        #expect(harness.settle() == ["Cluster +a"])
        harness.subscribe(.endpoints, ["a"])
        #expect(harness.settle() == ["ClusterLoadAssignment +a"])
        harness.subscribe(.listener)
        #expect(harness.settle() == ["Listener +l"])
    }

    @Test func aFirstRequestWithoutNamesAsksForNoEndpointsOrRoutes() {
        var harness = StreamHarness()
        harness.stream.update(Self.shop)
        harness.subscribe(.endpoints)
        harness.subscribe(.route)
        #expect(harness.settle() == [])
    }

    @Test func aStarAsksForAllAndItsEndLeavesTheNames() {
        var harness = StreamHarness()
        harness.stream.update(ResourceSet([resource(.route, "r"), resource(.route, "s")]))
        harness.subscribe(.route, ["*", "r"])
        #expect(harness.settle() == ["RouteConfiguration +r +s"])
        harness.subscribe(.route, unsubscribe: ["*"])
        harness.stream.update(ResourceSet([resource(.route, "r", "2"), resource(.route, "s", "2")]))
        #expect(harness.settle() == ["RouteConfiguration +r"])
    }

    @Test func whatIsTakenIsNotSentAgain() {
        var harness = StreamHarness.settled(Self.shop)
        harness.stream.update(Self.shop)
        #expect(harness.sent() == [])
        #expect(harness.stream.isSynced)
    }

    @Test func onlyTheDifferenceIsSent() {
        var set = ResourceSet([resource(.cluster, "a"), resource(.cluster, "b")])
        var harness = StreamHarness.settled(set)
        set.insert(resource(.cluster, "b", "2"))
        harness.stream.update(set)
        #expect(harness.settle() == ["Cluster +b"])
    }

    @Test func aReconnectingProxyIsSentNothingThatItHas() {
        var harness = StreamHarness()
        harness.stream.update(Self.shop)
        for type in [TypeURL.cluster, .endpoints, .listener, .route] {
            let has = Self.shop[type].mapValues(\.version)
            harness.subscribe(type, type.allowsLegacyWildcard ? [] : has.keys.sorted(), has: has)
        }
        #expect(harness.sent() == [])
        #expect(harness.stream.isSynced)
    }

    @Test func aReconnectingProxyIsSentWhatChangedMeanwhile() {
        var harness = StreamHarness()
        harness.stream.update(ResourceSet([resource(.listener, "new"), resource(.listener, "changed", "2")]))
        harness.subscribe(.listener, has: ["gone": "1", "changed": resource(.listener, "changed", "1").version])
        #expect(harness.settle() == ["Listener +changed +new", "Listener -gone"])
    }

    @Test func oneResponseATypeIsUnderWayAndChangesMeanwhileAreMerged() {
        var harness = StreamHarness()
        harness.stream.update(ResourceSet([resource(.cluster, "a", "1")]))
        harness.subscribe(.cluster)
        let first = harness.responses()
        for content in 2...9 {
            harness.stream.update(ResourceSet([resource(.cluster, "a", "\(content)")]))
            #expect(harness.sent() == [])
        }
        #expect(!harness.stream.isSynced)
        harness.acknowledge(first[0])
        let second = harness.responses()
        #expect(second.map { $0.resources.map(\.version) } == [[resource(.cluster, "a", "9").version]])
        harness.acknowledge(second[0])
        #expect(harness.stream.isSynced)
    }

    @Test func anAnswerToAnOlderResponseSaysNothing() {
        var harness = StreamHarness()
        harness.stream.update(ResourceSet([resource(.cluster, "a")]))
        harness.subscribe(.cluster)
        let response = harness.responses()[0]
        var stale = response
        stale.nonce = "stale"
        #expect(harness.acknowledge(stale) == .none)
        #expect(harness.reject(stale) == .none)
        #expect(!harness.stream.isSynced)
        #expect(harness.acknowledge(response) == .acknowledged)
        #expect(harness.stream.isSynced)
    }

    @Test func aNameThatDoesNotExistIsAnsweredOnce() {
        var harness = StreamHarness()
        harness.subscribe(.route, ["nowhere"])
        #expect(harness.settle() == ["RouteConfiguration -nowhere"])
        #expect(harness.sent() == [])
        harness.stream.update(ResourceSet([resource(.route, "nowhere")]))
        #expect(harness.settle() == ["RouteConfiguration +nowhere"])
    }

    @Test func aNameThatIsAskedForAgainIsSentAgain() {
        var harness = StreamHarness.settled(Self.shop)
        harness.subscribe(.route, ["r"])
        #expect(harness.settle() == ["RouteConfiguration +r"])
    }

    @Test func aNameThatIsAskedForAgainWhileItIsUnderWayIsSentOnceMore() {
        var harness = StreamHarness()
        harness.stream.update(Self.shop)
        harness.subscribe(.route, ["r"])
        let response = harness.responses()[0]
        harness.subscribe(.route, ["r"])
        harness.acknowledge(response)
        #expect(harness.settle() == ["RouteConfiguration +r"])
    }

    @Test func aNameThatIsNoLongerAskedForIsNotSent() {
        var harness = StreamHarness.settled(Self.shop)
        harness.subscribe(.route, unsubscribe: ["r"])
        harness.stream.update(ResourceSet([resource(.route, "r", "2")]))
        #expect(!harness.sent().contains { $0.hasPrefix("Route") })
    }

    @Test func aRefusedVersionIsNotSentAgainUntilItChanges() throws {
        var harness = StreamHarness.settled(Self.shop)
        var set = Self.shop
        set.insert(resource(.route, "r", "bad"))
        harness.stream.update(set)
        let outcome = harness.reject(harness.responses()[0], "duplicate domain")
        let version = resource(.route, "r", "bad").version
        #expect(outcome == .rejected(Rejection(type: .route, message: "duplicate domain", versions: ["r": version])))
        harness.stream.update(set)
        #expect(harness.sent() == [])
        #expect(!harness.stream.isSynced)
        let status = try #require(harness.stream.status[.route])
        #expect(status.rejected == ["r"] && status.lastRejection?.message == "duplicate domain" && !status.isInSync)

        set.insert(resource(.route, "r", "good"))
        harness.stream.update(set)
        #expect(harness.settle() == ["RouteConfiguration +r"])
        #expect(harness.stream.isSynced)
        #expect(harness.stream.status[.route]?.lastRejection == nil)
    }

    @Test func goingBackToTheVersionThatAProxyHasAfterARefusalSendsNothing() {
        var harness = StreamHarness.settled(Self.shop)
        var set = Self.shop
        set.insert(resource(.route, "r", "bad"))
        harness.stream.update(set)
        harness.reject(harness.responses()[0])
        harness.stream.update(Self.shop)
        #expect(harness.sent() == [])
        #expect(harness.stream.isSynced)
    }

    @Test(arguments: [1, 2, 7, 64])
    func ofARefusedResponseEverythingButTheCulpritArrives(count: Int) {
        let names = (0..<count).map { "r\($0)" }
        var harness = StreamHarness()
        harness.stream.update(ResourceSet(names.map { resource(.route, $0) }))
        harness.subscribe(.route, names)
        var taken: Set<String> = []
        var reported: [[String]] = []
        var responses = 0
        while let response = harness.stream.nextResponse(at: harness.now) {
            responses += 1
            let members = response.resources.map(\.name)
            if members.contains("r0") {
                if case .rejected(let rejection) = harness.reject(response) { reported.append(rejection.resourceNames) }
            } else {
                harness.acknowledge(response)
                taken.formUnion(members)
            }
        }
        #expect(taken == Set(names).subtracting(["r0"]))
        #expect(reported == [["r0"]])
        #expect(responses <= 14)
    }
}
