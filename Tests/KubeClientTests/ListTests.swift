import KubeCore
import Testing

@testable import KubeClient

/// Pages, and what the server says when it no longer has the state of the first one.
@Suite(.timeLimit(.minutes(1)))
struct ListTests {
    static func page(_ names: String, version: Int, next: String? = nil) -> Answer {
        let items = names.map { #"{"metadata":{"name":"\#($0)"}}"# }.joined(separator: ",")
        let token = next.map { #","continue":"\#($0)""# } ?? ""
        return .ok(#"{"metadata":{"resourceVersion":"\#(version)"\#(token)},"items":[\#(items)]}"#)
    }

    /// As kube-apiserver answers a token whose state etcd has compacted.
    static let expired = Answer.json(
        410,
        #"{"kind":"Status","metadata":{"continue":"rest"},"code":410,"reason":"Expired","message":"too old"}"#)

    static let script: LocalServer.Script = { request, _ in
        if request.uri.contains("continue=old") { return expired }
        if request.uri.contains("continue=rest") { return page("c", version: 9) }
        if request.uri.contains("limit=2") { return page("ab", version: 5, next: "old") }
        return page("xyz", version: 9)
    }

    @Test func `a list whose token has expired begins again without pages, so that it is of one moment`() async throws {
        try await withClient(Self.script) { client, server in
            let list = try await client.list(.pods, pageSize: 2)
            #expect(list.items.map(\.name) == ["x", "y", "z"] && list.resourceVersion == "9")
            #expect(
                server.seen.map(\.line) == [
                    "GET /api/v1/pods?limit=2", "GET /api/v1/pods?continue=old&limit=2", "GET /api/v1/pods",
                ])
        }
    }

    @Test func `a list for eyes goes on with the rest as it is now`() async throws {
        try await withClient(Self.script) { client, _ in
            let list = try await client.list(.pods, pageSize: 2, consistency: .goOn)
            #expect(list.items.map(\.name) == ["a", "b", "c"])
        }
    }

    @Test func `a first page that is refused as expired is the caller's, and nothing loops`() async throws {
        try await withClient { _, _ in
            Self.expired
        } during: { client, server in
            for consistency in [ListConsistency.oneMoment, .goOn] {
                let error = try await failure {
                    _ = try await client.list(.pods, resourceVersion: "3", consistency: consistency)
                }
                #expect(error.isExpired && error.continueToken == "rest")
            }
            #expect(server.seen.count == 2)
        }
    }

    @Test func `a version goes with the first page only`() async throws {
        try await withClient { request, _ in
            request.uri.contains("continue") ? Self.page("b", version: 5) : Self.page("a", version: 5, next: "t")
        } during: { client, server in
            let list = try await client.list(.pods, namespace: "shop", fields: "spec.nodeName=n", resourceVersion: "0")
            #expect(list.items.map(\.name) == ["a", "b"])
            #expect(
                server.seen.map(\.line) == [
                    "GET /api/v1/namespaces/shop/pods?fieldSelector=spec.nodeName%3Dn&limit=500&resourceVersion=0",
                    "GET /api/v1/namespaces/shop/pods?continue=t&fieldSelector=spec.nodeName%3Dn&limit=500",
                ])
        }
    }

    @Test func `a watch may begin with all objects, and a server without that says so`() async throws {
        try await withClient { _, _ in
            .status(422, "Invalid")
        } during: { client, server in
            let request = APIRequest.watch(.pods, from: .initialEvents, seconds: 60)
            let error = try await failure { _ = try await client.watch(request) }
            #expect(error.refusesInitialEvents)
            #expect(
                server.seen.first?.line
                    == "GET /api/v1/pods?allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
                    + "&sendInitialEvents=true&timeoutSeconds=60&watch=true")
        }
        let oldStorage = APIError(
            code: 500, reason: "InternalError", message: "the required storage feature RequestWatchProgress is disabled"
        )
        #expect(oldStorage.refusesInitialEvents)
        #expect(!APIError(code: 500, reason: "InternalError", message: "other").refusesInitialEvents)
        let mark: JSONValue = ["metadata": ["annotations": ["k8s.io/initial-events-end": "true"]]]
        #expect(WatchEvent(.bookmark, KubeObject(json: mark)).endsInitialEvents)
        #expect(!WatchEvent(.bookmark, KubeObject(json: [:])).endsInitialEvents)
        #expect(!WatchEvent(.added, KubeObject(json: mark)).endsInitialEvents)
    }

    @Test func `of a list, a get and a watch only what is asked for is kept`() async throws {
        let pod =
            #"{"metadata":{"name":"a","managedFields":[{}]},"spec":{"nodeName":"n","volumes":[1]},"status":{"phase":"x"}}"#
        try await withClient { request, _ in
            if request.uri.contains("watch=true") { return .ok(#"{"type":"ADDED","object":\#(pod)}"# + "\n") }
            return .ok(request.uri.hasSuffix("/a") ? pod : #"{"items":[\#(pod)],"metadata":{"resourceVersion":"5"}}"#)
        } during: { client, _ in
            let kept: JSONValue = ["metadata": ["name": "a"], "spec": ["nodeName": "n"]]
            let selection = FieldSelection.only(["spec.nodeName"])
            var request = APIRequest(.list, .pods)
            request.keeping = selection
            #expect(try await client.perform(request) == ["items": [kept], "metadata": ["resourceVersion": "5"]])
            request = APIRequest(.get, .pods, namespace: "shop", name: "a")
            request.keeping = selection
            #expect(try await client.perform(request) == kept)
            request = APIRequest(.watch, .pods)
            request.keeping = selection
            var events: [WatchEvent] = []
            for try await event in try await client.watch(request) { events.append(event) }
            #expect(events == [WatchEvent(.added, KubeObject(json: kept))])
            #expect(try await client.list(.pods).items.first?.status == ["phase": "x"])
        }
    }

    @Test func `a list with a broken item names the place in it`() async throws {
        try await withClient { _, _ in
            .ok(#"{"metadata":{},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b","generation":1x}}]}"#)
        } during: { client, server in
            let error = try await failure { _ = try await client.list(.pods) }
            #expect(error.reason == "InvalidAnswer")
            #expect(error.message.contains("$.items[1].metadata.generation"))
            #expect(server.seen.count == 1)
        }
    }
}
