import KubeClient
import KubeCore
import KubeTesting
import NIOHTTP1
import Testing

extension Conformance {
    @Suite struct Watches {
        let cluster = Cluster.current

        @Test func `a watch from a list tells every change after it in order`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.create(.services, Objects.service("before"))
                var watch = try await ns.watch(.services, since: try await ns.version(.services))
                try await ns.create(.services, Objects.service("a"))
                try await ns.patch(.merge, .services, "a", ["metadata": ["labels": ["x": "1"]]])
                try await ns.delete(.services, "a")
                let events = try await [watch.next(), watch.next(), watch.next()]
                #expect(events.compactMap { $0?.told } == ["ADDED a", "MODIFIED a", "DELETED a"])
                #expect(events[0]?.object.kind == "Service" && events[0]?.object.apiVersion == "v1")
                #expect(events[2]?.object.labels == ["x": "1"])
                let versions = events.compactMap { Int($0?.object.resourceVersion ?? "") }
                #expect(versions == versions.sorted() && Set(versions).count == 3)
            }
        }

        @Test func `without a version the present objects come first`() async throws {
            try await cluster.withNamespace { ns in
                for name in ["b", "a"] { try await ns.create(.services, Objects.service(name)) }
                var watch = try await ns.watch(.services)
                #expect(Set(try await watch.take(2)) == ["ADDED a", "ADDED b"])
                try await ns.delete(.services, "a")
                #expect(try await watch.take(1) == ["DELETED a"])
            }
        }

        @Test func `version 0 begins with any state that the server has, then goes on`() async throws {
            try await cluster.withNamespace { ns in
                var watch = try await ns.watch(.services, since: "0")
                try await ns.create(.services, Objects.service("a"))
                #expect(try await watch.take(1) == ["ADDED a"])
            }
        }

        @Test func `a watch resumes after the event that was seen last`() async throws {
            try await cluster.withNamespace { ns in
                let start = try await ns.version(.configMaps)
                var watch = try await ns.watch(.configMaps, since: start, ["labelSelector": "mine"])
                try await ns.configMap("a", labels: ["mine": ""])
                let seen = try await watch.next()
                try await ns.configMap("b", labels: ["mine": ""])
                try await ns.delete(.configMaps, "a")
                var resumed = try await ns.watch(
                    .configMaps, since: seen?.object.resourceVersion, ["labelSelector": "mine"])
                #expect(try await resumed.take(2) == ["ADDED b", "DELETED a"])
                // And from the deletion's version nothing is told twice.
                let deleted = try await watch.take(2)
                #expect(deleted == ["ADDED b", "DELETED a"])
            }
        }

        @Test func `a deletion has a version of its own to resume from`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.configMap("a", labels: ["mine": ""])
                var watch = try await ns.watch(
                    .configMaps, since: object.resourceVersion, ["labelSelector": "mine"])
                try await ns.delete(.configMaps, "a")
                let event = try #require(try await watch.next())
                #expect(event.told == "DELETED a")
                #expect(Int(event.object.resourceVersion) ?? 0 > Int(object.resourceVersion) ?? 0)
                try await ns.configMap("b", labels: ["mine": ""])
                var resumed = try await ns.watch(
                    .configMaps, since: event.object.resourceVersion, ["labelSelector": "mine"])
                #expect(try await resumed.take(1) == ["ADDED b"])
            }
        }

        @Test func `an object that leaves the label selector is deleted, as it was last seen`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.configMap("a", ["k": "old"], labels: ["show": "yes"])
                var watch = try await ns.watch(
                    .configMaps, since: object.resourceVersion, ["labelSelector": "show=yes"])
                let left = try await ns.patch(
                    .merge, .configMaps, "a", ["metadata": ["labels": ["show": "no"]], "data": ["k": "new"]])
                let event = try #require(try await watch.next())
                #expect(event.told == "DELETED a")
                #expect(event.object.labels == ["show": "yes"] && event.object.json["data"] == ["k": "old"])
                #expect(event.object.resourceVersion == left.resourceVersion)
                try await ns.patch(.merge, .configMaps, "a", ["data": ["k": "unseen"]])
                try await ns.patch(.merge, .configMaps, "a", ["metadata": ["labels": ["show": "yes"]]])
                let back = try #require(try await watch.next())
                #expect(back.told == "ADDED a" && back.object.json["data"] == ["k": "unseen"])
            }
        }

        @Test func `a field selector sees one object, and one that leaves it is deleted`() async throws {
            try await cluster.withNamespace { ns in
                try await ns.awaitServiceAccount()
                let version = try await ns.version(.pods)
                var one = try await ns.watch(.pods, since: version, ["fieldSelector": "metadata.name=b"])
                var free = try await ns.watch(.pods, since: version, ["fieldSelector": "spec.nodeName="])
                try await ns.create(.pods, Objects.pod("a"))
                try await ns.create(.pods, Objects.pod("b"))
                _ = try await cluster.client.perform(
                    APIRequest(
                        .create, .pods, namespace: ns.name, name: "a", subresource: "binding",
                        body: [
                            "apiVersion": "v1", "kind": "Binding", "metadata": ["name": "a"],
                            "target": ["kind": "Node", "name": "nowhere"],
                        ]))
                try await ns.delete(.pods, "b")
                // A pod is marked before it goes, though this one has no node to wait for.
                let seen = try await one.take(3)
                #expect(seen == ["ADDED b", "MODIFIED b", "DELETED b"])
                let unbound = try await free.take(5)
                #expect(unbound == ["ADDED a", "ADDED b", "DELETED a", "MODIFIED b", "DELETED b"])
                try await ns.delete(.pods, "a", ["gracePeriodSeconds": 0])
            }
        }

        @Test func `a watch with bookmarks gets one before its time is over`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.create(.services, Objects.service("a"))
                var watch = try await ns.watch(
                    .services, since: object.resourceVersion,
                    ["allowWatchBookmarks": "true", "timeoutSeconds": "4"])
                var bookmarks: [KubeObject] = []
                while let event = try await watch.nextOfAny() {
                    #expect(event.kind == .bookmark)
                    bookmarks.append(event.object)
                }
                let bookmark = try #require(bookmarks.last)
                #expect(bookmark.kind == "Service" && bookmark.name.isEmpty)
                #expect(Int(bookmark.resourceVersion) ?? 0 >= Int(object.resourceVersion) ?? 0)
                var resumed = try await ns.watch(.services, since: bookmark.resourceVersion)
                try await ns.delete(.services, "a")
                #expect(try await resumed.take(1) == ["DELETED a"])
            }
        }

        @Test func `a watch ends in good order after its timeout`() async throws {
            try await cluster.withNamespace { ns in
                let version = try await ns.version(.services)
                var watch = try await ns.watch(.services, since: version, ["timeoutSeconds": "1"])
                #expect(try await watch.rest() == [])
            }
        }

        /// Of a definition's objects no server knows anything before the definition.
        @Test(arguments: Definitions.Home.all)
        func `a watch from a forgotten version is told that it is gone`(home: Definitions.Home) async throws {
            if cluster.kind == .sandbox { try await cluster.forget?(cluster.past.version) }
            try await cluster.withWidgets(at: home) { ns, widgets in
                do {
                    var watch = try await ns.watch(widgets, since: "1", ["timeoutSeconds": "10"])
                    let event = try await watch.nextOfAny()
                    Issue.record("the watch went on: \(event?.told ?? "it ended")")
                } catch let error as APIError {
                    #expect(error.code == 410 && error.isExpired && error.message.contains("too old"), "\(error)")
                }
            }
        }

        @Test func `a version that is no number is refused`() async throws {
            try await cluster.withNamespace { ns in
                let error = await refusal { () async throws(APIError) in
                    _ = try await ns.client.watch(
                        APIRequest(
                            .watch, .services, namespace: ns.name,
                            query: ["resourceVersion": "new", "timeoutSeconds": "5"]))
                }
                #expect([400, 422, 500].contains(error.code), "\(error)")
            }
        }

        @Test func `a write that changes nothing tells nobody`() async throws {
            try await cluster.withNamespace { ns in
                let object = try await ns.create(.services, Objects.service("a"))
                var watch = try await ns.watch(.services, since: object.resourceVersion)
                try await ns.update(.services, object)
                try await ns.patch(.merge, .services, "a", ["spec": ["sessionAffinity": "None"]])
                try await ns.delete(.services, "a")
                #expect(try await watch.take(1) == ["DELETED a"])
            }
        }

        @Test func `a watch of all namespaces sees each`() async throws {
            try await cluster.withNamespace { one in
                try await cluster.withNamespace { two in
                    let version = try await one.version(.configMaps)
                    var watch = try await WatchProbe(
                        cluster.client.watch(
                            APIRequest(
                                .watch, .configMaps,
                                query: [
                                    "labelSelector": "of=\(one.name)", "resourceVersion": version,
                                    "timeoutSeconds": "30",
                                ])))
                    try await one.configMap("x", labels: ["of": one.name])
                    try await two.configMap("y", labels: ["of": one.name])
                    #expect(try await watch.take(2) == ["ADDED x", "ADDED y"])
                }
            }
        }

        @Test func `a streaming list ends with a bookmark that says so`() async throws {
            try await cluster.withNamespace { ns in
                for name in ["a", "b"] { try await ns.create(.services, Objects.service(name)) }
                let request = APIRequest.watch(.services, namespace: ns.name, from: .initialEvents, seconds: 30)
                guard cluster.serves(.streamingLists) else {
                    let error = await refusal { () async throws(APIError) in
                        _ = try await ns.client.watch(request)
                    }
                    #expect(error.refusesInitialEvents)
                    return
                }
                var watch = WatchProbe(try await ns.client.watch(request))
                var seen: [String] = []
                while let event = try await watch.nextOfAny() {
                    if event.endsInitialEvents { break }
                    seen.append(event.told)
                }
                #expect(Set(seen) == ["ADDED a", "ADDED b"])
            }
        }
    }
}
