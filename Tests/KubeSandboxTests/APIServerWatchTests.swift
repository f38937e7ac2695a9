import KubeCore
import Testing

@testable import KubeSandbox

struct APIServerWatchTests {
    let api = APIServer()

    private func request(_ query: [String: String], _ resource: GroupVersionResource = .configMaps) -> APIRequest {
        APIRequest(.watch, resource, namespace: "default", query: query)
    }

    /// The next events of a watch, as `KIND name`.
    private func next(_ count: Int, _ stream: AsyncThrowingStream<WatchEvent, any Error>) async throws -> [String] {
        var seen: [String] = []
        for try await event in stream {
            seen.append("\(event.kind.rawValue) \(event.object.name)")
            if seen.count == count { break }
        }
        return seen
    }

    @Test func `a watch continues a list without a gap`() async throws {
        _ = try await api.create(.configMaps, configMap("a"))
        let list = try await api.list(.configMaps, namespace: "default")
        var b = try await api.create(.configMaps, configMap("b"))
        b.labels = ["x": "y"]
        _ = try await api.update(.configMaps, b)
        let stream = try await api.watch(request(["resourceVersion": list.resourceVersion]))
        try await api.delete(.configMaps, namespace: "default", name: "a")
        #expect(try await next(3, stream) == ["ADDED b", "MODIFIED b", "DELETED a"])
    }

    @Test func `without a version the present objects come first`() async throws {
        _ = try await api.create(.configMaps, configMap("b"))
        _ = try await api.create(.configMaps, configMap("a"))
        let stream = try await api.watch(request([:]))
        _ = try await api.create(.configMaps, configMap("c"))
        #expect(try await next(3, stream) == ["ADDED a", "ADDED b", "ADDED c"])
    }

    @Test func `a streaming list marks the end of the present state`() async throws {
        _ = try await api.create(.configMaps, configMap("a"))
        let stream = try await api.watch(
            request([
                "sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan",
            ]))
        var events: [WatchEvent] = []
        for try await event in stream {
            events.append(event)
            if event.kind == .bookmark { break }
        }
        #expect(events.map(\.kind) == [.added, .bookmark])
        #expect(events.last?.object.annotations == ["k8s.io/initial-events-end": "true"])
    }

    @Test func `an object that stops to match the selector is deleted for the watcher`() async throws {
        var object = try await api.create(.configMaps, configMap("a", labels: ["app": "web"]))
        let stream = try await api.watch(request(["labelSelector": "app=web"]))
        _ = try await api.create(.configMaps, configMap("other"))
        object.labels = ["app": "db"]
        object = try await api.update(.configMaps, object)
        object.labels = ["app": "web"]
        _ = try await api.update(.configMaps, object)
        #expect(try await next(3, stream) == ["ADDED a", "DELETED a", "ADDED a"])
    }

    @Test func `a version older than the history is expired`() async throws {
        var configuration = APIServer.Configuration()
        configuration.historyLimit = 4
        let api = APIServer(configuration: configuration)
        let start = try await api.list(.configMaps, namespace: "default").resourceVersion
        for index in 0..<20 { _ = try await api.create(.configMaps, configMap("c\(index)")) }
        let error = await refusal { () async throws(APIError) in
            try await api.watch(
                APIRequest(.watch, .configMaps, namespace: "default", query: ["resourceVersion": start]))
        }
        #expect(error.isExpired)
    }

    @Test func `after a compaction open watches go on, and older versions have to be listed anew`() async throws {
        let old = try await api.create(.configMaps, configMap("a")).resourceVersion
        let open = try await api.watch(request(["resourceVersion": old]))
        _ = try await api.create(.configMaps, configMap("b"))
        let before = api.watches
        api.compactHistory()
        let error = await refusal { () async throws(APIError) in
            try await self.api.watch(self.request(["resourceVersion": old]))
        }
        #expect(error.isExpired)
        let list = try await api.list(.configMaps, namespace: "default")
        #expect(list.items.count == 2, "what is stored stays")
        let resumed = try await api.watch(request(["resourceVersion": list.resourceVersion]))
        _ = try await api.create(.configMaps, configMap("c"))
        #expect(try await next(2, open) == ["ADDED b", "ADDED c"])
        #expect(try await next(1, resumed) == ["ADDED c"])
        #expect(api.watches.expired == before.expired + 1 && api.watches.resumed == before.resumed + 1)
    }

    @Test func `a watch ends at its timeout with a last bookmark`() async throws {
        let stream = try await api.watch(request(["timeoutSeconds": "0", "allowWatchBookmarks": "true"]))
        api.store.tick(now: .now + .seconds(1), bookmarks: false)
        var kinds: [WatchEvent.Kind] = []
        for try await event in stream { kinds.append(event.kind) }
        #expect(kinds == [.bookmark])
    }

    @Test func `a watcher that does not read is told to list again`() async throws {
        let stream = try api.openWatch(
            request([:]), type: try api.type(of: request([:])), bufferSize: 2, transform: { $0.kind })
        for index in 0..<4 { _ = try await api.create(.configMaps, configMap("c\(index)")) }
        await #expect(throws: APIError.self) { for try await _ in stream {} }
    }

    @Test func `field selectors pick pods by node and refuse unknown fields`() async throws {
        _ = try await api.create(.pods, pod("a", node: "n1"))
        _ = try await api.create(.pods, pod("b", node: "n2"))
        let found = try await api.list(.pods, fields: "spec.nodeName=n1,status.phase!=Running")
        #expect(found.items.map(\.name) == ["a"])
        let error = await refusal { () async throws(APIError) in try await api.list(.pods, fields: "spec.color=red") }
        #expect(error.code == 400 && error.message.contains("field label not supported: spec.color"))
    }

    @Test func `pages join to the whole list`() async throws {
        for index in 0..<7 { _ = try await api.create(.configMaps, configMap("c\(index)")) }
        var names: [String] = []
        var query = ["limit": "3"]
        repeat {
            let page = try await api.perform(APIRequest(.list, .configMaps, namespace: "default", query: query))
            names += (page["items"]?.array ?? []).compactMap { $0[path: "metadata", "name"]?.string }
            query["continue"] = page[path: "metadata", "continue"]?.string
        } while query["continue"] != nil
        #expect(names == (0..<7).map { "c\($0)" })
    }
}
