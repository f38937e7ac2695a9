import KubeClient
import KubeCore

/// Reads a watch step by step.
struct WatchProbe: ~Copyable {
    private var events: AsyncThrowingStream<WatchEvent, any Error>.Iterator

    init(_ events: AsyncThrowingStream<WatchEvent, any Error>) { self.events = events.makeAsyncIterator() }

    /// The next event but bookmarks; nil when the watch has ended.
    mutating func next() async throws -> WatchEvent? {
        while let event = try await events.next(isolation: nil) {
            if event.kind != .bookmark { return event }
        }
        return nil
    }

    /// The next event of any kind.
    mutating func nextOfAny() async throws -> WatchEvent? { try await events.next(isolation: nil) }

    /// The next events as `ADDED a`, at most this many.
    mutating func take(_ count: Int) async throws -> [String] {
        var seen: [String] = []
        while seen.count < count, let event = try await next() { seen.append(event.told) }
        return seen
    }

    /// All events until the server ends the watch.
    mutating func rest() async throws -> [String] { try await take(.max) }
}

extension WatchEvent {
    /// As `MODIFIED name`.
    var told: String { "\(kind.rawValue) \(object.name)" }
}

extension TestNamespace {
    /// Opens a watch of this namespace; the server ends it after some seconds, so that no test can wait for ever.
    func watch(_ resource: GroupVersionResource, since version: String? = nil, _ query: [String: String] = [:])
        async throws(APIError) -> WatchProbe
    {
        var query = query
        query["resourceVersion"] = version
        query["timeoutSeconds"] = query["timeoutSeconds"] ?? "30"
        return WatchProbe(try await client.watch(APIRequest(.watch, resource, namespace: name, query: query)))
    }

    /// The version of the collection now.
    func version(_ resource: GroupVersionResource) async throws(APIError) -> String {
        try await list(resource)[path: "metadata", "resourceVersion"]?.string ?? ""
    }
}
