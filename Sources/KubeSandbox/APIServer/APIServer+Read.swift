import KubeCore

extension APIServer {
    func get(_ request: APIRequest, type: ResourceType) throws(APIError) -> Answer {
        let object = try existing(request, type)
        return Answer(body: .stored(object), type: type)
    }

    func list(_ request: APIRequest, type: ResourceType) throws(APIError) -> Answer {
        let filter = try filter(of: request, type)
        let limit = request.query["limit"].flatMap(Int.init) ?? 0
        let start = try ListStart(request, type, now: store.revision)
        do throws(Store.Forgotten) {
            var page = try store.list(
                type.collection, matching: filter, limit: limit, after: start.after, at: start.revision)
            // How many more there are is told only where it costs nothing to know.
            if filter.isSelective { page.remaining = 0 }
            let next = page.last.map { ListStart(revision: page.revision, after: $0).token }
            return Answer(body: .list(page, continueToken: next), type: type)
        } catch {
            guard let after = start.after else {
                throw .expired("The resourceVersion for the provided list is too old.")
            }
            var expired = APIError.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new list"
                    + " without the continue parameter, or use the continue token in this response to retrieve the"
                    + " remainder of the results.")
            expired.continueToken = ListStart(revision: nil, after: after).token
            throw expired
        }
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
            do throws(FieldError) {
                let labels = try LabelSelector(query: query)
                for requirement in labels.matchExpressions ?? [] {
                    guard NameRules.isQualifiedName(requirement.key),
                        (requirement.values ?? []).allSatisfy(NameRules.isLabelValue)
                    else { throw FieldError(path: "", message: "invalid label key or value in \"\(query)\"") }
                }
                filter.labels = labels
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
}

extension String? {
    /// As a query parameter that is a flag.
    var isTrue: Bool { self == "true" || self == "1" }
}
