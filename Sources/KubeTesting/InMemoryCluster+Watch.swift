import KubeCore

/// One stored change, as watches see it.
struct Change {
    var resource: GroupVersionResource
    var version: Int
    var old: KubeObject?
    var new: KubeObject?
    /// The object at its end, with the version of the deletion.
    var last: KubeObject
}

struct Watcher {
    var resource: GroupVersionResource
    var filter: ObjectFilter
    var wantsBookmarks: Bool
    var continuation: AsyncThrowingStream<WatchEvent, any Error>.Continuation

    /// The event that this watch sees of a change: an object that leaves the selection is deleted for it.
    func event(of change: Change) -> WatchEvent? {
        guard InMemoryCluster.CollectionKey(change.resource) == InMemoryCluster.CollectionKey(resource) else {
            return nil
        }
        let before = change.old.map(filter.matches) ?? false
        let after = change.new.map(filter.matches) ?? false
        return switch (before, after) {
        case (false, false): nil
        case (false, true): WatchEvent(.added, change.last)
        case (true, true): WatchEvent(.modified, change.last)
        case (true, false): WatchEvent(.deleted, change.last)
        }
    }
}

/// The part of a collection that a request asks for.
struct ObjectFilter {
    var namespace: String
    var labels: LabelSelector?
    /// Pairs of dotted path and value; `false` for `!=`.
    var fields: [(path: [String], value: String, equal: Bool)]

    init(_ request: APIRequest) throws(APIError) {
        namespace = request.namespace ?? ""
        do throws(FieldError) {
            labels = try request.query["labelSelector"].map { text throws(FieldError) in try LabelSelector(query: text)
            }
        } catch {
            throw APIError(code: 400, reason: "BadRequest", message: error.description)
        }
        fields = (request.query["fieldSelector"] ?? "").split(separator: ",").compactMap { part in
            let equal = !part.contains("!=")
            let sides = part.split(separator: equal ? "=" : "!=", maxSplits: 1).map(String.init)
            guard let path = sides.first else { return nil }
            let value = (sides.count > 1 ? sides[1] : "").drop { $0 == "=" }
            return (path.split(separator: ".").map(String.init), String(value), equal)
        }
        if let name = request.name { fields.append((["metadata", "name"], name, true)) }
    }

    func matches(_ object: KubeObject) -> Bool {
        (namespace.isEmpty || object.namespace == namespace) && (labels?.matches(object.labels) ?? true)
            && fields.allSatisfy {
                (object.json.value(at: $0.path[...])?.string ?? "") == $0.value ? $0.equal : !$0.equal
            }
    }
}

extension InMemoryCluster.State {
    mutating func openWatch(
        _ request: APIRequest, _ continuation: AsyncThrowingStream<WatchEvent, any Error>.Continuation
    ) throws(APIError) -> Int {
        let watcher = Watcher(
            resource: request.resource, filter: try ObjectFilter(request),
            wantsBookmarks: request.query["allowWatchBookmarks"] == "true", continuation: continuation)
        if try wantsInitialEvents(request) {
            for stored in sorted(.init(request.resource)) where watcher.filter.matches(stored.object) {
                continuation.yield(WatchEvent(.added, stored.object))
            }
            var end = bookmark(of: request.resource)
            end.object.annotations = ["k8s.io/initial-events-end": "true"]
            continuation.yield(end)
        } else if let text = request.query["resourceVersion"], !text.isEmpty, text != "0" {
            guard let from = Int(text) else {
                throw APIError(code: 400, reason: "BadRequest", message: "invalid resourceVersion '\(text)'")
            }
            guard from >= horizon else {
                throw APIError(code: 410, reason: "Expired", message: "too old resource version: \(from) (\(horizon))")
            }
            for change in changes where change.version > from {
                if let event = watcher.event(of: change) { continuation.yield(event) }
            }
        } else {
            for stored in sorted(.init(request.resource)) where watcher.filter.matches(stored.object) {
                continuation.yield(WatchEvent(.added, stored.object))
            }
        }
        nextWatcher += 1
        watchers[nextWatcher] = watcher
        return nextWatcher
    }

    /// True when the watch begins with a list that it streams.
    private func wantsInitialEvents(_ request: APIRequest) throws(APIError) -> Bool {
        let asked = request.query["sendInitialEvents"] == "true"
        switch streamingLists {
        case .ignored: return false
        case .served where asked && request.query["resourceVersionMatch"] == "NotOlderThan": return true
        case .served, .refused:
            guard asked || request.query["resourceVersionMatch"] != nil else { return false }
            throw APIError(
                code: 422, reason: "Invalid",
                message: "ListOptions.meta.k8s.io is invalid: resourceVersionMatch: Forbidden: is forbidden for watch")
        }
    }

    func bookmark(of resource: GroupVersionResource) -> WatchEvent {
        var object = KubeObject(json: ["metadata": [:]])
        object.json["kind"] = .string(resource.kind)
        object.json["apiVersion"] = .string(resource.apiVersion)
        object.resourceVersion = String(version)
        return WatchEvent(.bookmark, object)
    }

    mutating func publish(_ change: Change) {
        changes.append(change)
        for watcher in watchers.values {
            if let event = watcher.event(of: change) { watcher.continuation.yield(event) }
        }
    }

    func sorted(_ collection: InMemoryCluster.CollectionKey) -> [StoredObject] {
        (objects[collection] ?? [:]).sorted { $0.key < $1.key }.map(\.value)
    }
}
