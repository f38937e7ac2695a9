import KubeCore

extension APIServer {
    func get(_ request: APIRequest, type: ResourceType) throws(APIError) -> Answer {
        let object = try existing(request, type)
        return Answer(body: .stored(object), type: type)
    }

    func list(_ request: APIRequest, type: ResourceType) throws(APIError) -> Answer {
        let filter = try filter(of: request, type)
        let limit = request.query["limit"].flatMap(Int.init) ?? 0
        var after: ObjectKey?
        if let token = request.query["continue"], !token.isEmpty {
            guard let key = Self.key(continueToken: token) else {
                throw .badRequest("invalid continue token: it is not one that this server gave")
            }
            after = key
        }
        let page = store.list(type.collection, matching: filter, limit: limit, after: after)
        return Answer(body: .list(page, continueToken: page.last.map(Self.continueToken)), type: type)
    }

    /// Opens a watch whose events are turned into what the caller wants as they happen.
    func openWatch<Element: Sendable>(
        _ request: APIRequest, type: ResourceType, bufferSize: Int,
        transform: @escaping @Sendable (StoreEvent) -> Element
    ) throws(APIError) -> AsyncThrowingStream<Element, any Error> {
        if type.isVirtual { throw .methodNotAllowed("\(type.qualifiedName) cannot be watched") }
        let filter = try filter(of: request, type)
        var since: Int?
        if let text = request.query["resourceVersion"], !text.isEmpty {
            guard let revision = Int(text), revision >= 0 else {
                throw .badRequest("invalid resource version: \"\(text)\"")
            }
            if revision > store.revision {
                throw APIError(
                    code: 504, reason: "Timeout",
                    message: "Too large resource version: \(revision), current: \(store.revision)",
                    retryAfterSeconds: 1)
            }
            since = revision
        }
        // A streaming list starts with the present state whatever revision it names.
        let isStreamingList = request.query["sendInitialEvents"].isTrue
        let timeout = request.query["timeoutSeconds"].flatMap(Double.init)
        let (stream, continuation) = AsyncThrowingStream<Element, any Error>.makeStream(
            bufferingPolicy: .bufferingOldest(bufferSize))
        let store = store
        let id = try store.watch(
            type.collection, since: isStreamingList ? nil : since, initialEventsEnd: isStreamingList
        ) { id in
            Watcher(
                filter: filter, wantsBookmarks: request.query["allowWatchBookmarks"].isTrue,
                deadline: timeout.map { .now + .seconds($0) },
                send: { event in
                    if case .enqueued = continuation.yield(transform(event)) { true } else { false }
                },
                end: { error in error.map { continuation.finish(throwing: $0) } ?? continuation.finish() })
        }
        continuation.onTermination = { _ in store.stop(type.collection, watcher: id) }
        return stream
    }

    func existing(_ request: APIRequest, _ type: ResourceType) throws(APIError) -> StoredObject {
        let key = try key(of: request, type)
        guard let object = store.get(type.collection, key) else { throw .missing(type, key.name) }
        return object
    }

    func key(of request: APIRequest, _ type: ResourceType) throws(APIError) -> ObjectKey {
        guard let name = request.name, !name.isEmpty else { throw .badRequest("name is required") }
        let namespace = type.isNamespaced ? request.namespace ?? "" : ""
        if type.isNamespaced, namespace.isEmpty {
            throw .badRequest("an empty namespace may not be set when a resource name is provided")
        }
        return ObjectKey(namespace: namespace, name: name)
    }

    func filter(of request: APIRequest, _ type: ResourceType) throws(APIError) -> WatchFilter {
        var filter = WatchFilter(namespace: type.isNamespaced ? request.namespace : nil)
        if let query = request.query["labelSelector"], !query.isEmpty {
            do {
                filter.labels = try LabelSelector(query: query)
            } catch {
                throw .badRequest("unable to parse requirement: \(error.message)")
            }
        }
        if let query = request.query["fieldSelector"], !query.isEmpty {
            filter.fields = try FieldSelector(query: query, supported: type.supportedFields)
        }
        if let name = request.name, !name.isEmpty {
            let fields = try FieldSelector(query: "metadata.name=\(name)", supported: ["metadata.name"])
            filter.fields = FieldSelector(requirements: (filter.fields?.requirements ?? []) + fields.requirements)
        }
        return filter
    }

    /// The object that a watch event carries; for a bookmark, an object with nothing but its revision.
    static func json(of event: StoreEvent, _ type: ResourceType) -> JSONValue {
        if let object = event.object { return type.present(object.json) }
        var metadata: JSONValue = ["resourceVersion": .string(String(event.revision)), "creationTimestamp": .null]
        if event.initialEventsEnd { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
        return ["kind": .string(type.kind), "apiVersion": .string(type.apiVersion), "metadata": metadata]
    }

    // MARK: - Pages

    private static func continueToken(_ key: ObjectKey) -> String {
        Base64.encodeURL(JSONValue.array([.string(key.namespace), .string(key.name)]).serializedBytes())
    }

    private static func key(continueToken: String) -> ObjectKey? {
        guard let bytes = Base64.decodeURL(continueToken), let mark = try? JSONValue.parse(bytes),
            let namespace = mark[0]?.string, let name = mark[1]?.string
        else { return nil }
        return ObjectKey(namespace: namespace, name: name)
    }
}

extension String? {
    /// As a query parameter that is a flag.
    var isTrue: Bool { self == "true" || self == "1" }
}
