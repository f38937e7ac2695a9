/// One page of a list, or a whole one.
package struct KubeList: Sendable {
    package var items: [KubeObject]
    /// Where a watch goes on from. All pages of a list have the same, except after an inconsistent continuation.
    package var resourceVersion: String
    package var continueToken: String?

    package init(items: [KubeObject], resourceVersion: String, continueToken: String? = nil) {
        self.items = items
        self.resourceVersion = resourceVersion
        self.continueToken = continueToken
    }

    /// Reads a list as the API answers it, whose items lack their kind.
    package init(json: JSONValue, of resource: GroupVersionResource) {
        resourceVersion = json[path: "metadata", "resourceVersion"]?.string ?? ""
        continueToken = json[path: "metadata", "continue"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        items = (json["items"]?.array ?? []).map { item in
            var item = item
            if item["kind"] == nil { item["kind"] = .string(resource.kind) }
            if item["apiVersion"] == nil { item["apiVersion"] = .string(resource.apiVersion) }
            return KubeObject(json: item)
        }
    }
}

/// What a list does when the server no longer has the state of its first page (`Expired`), which takes some minutes.
package enum ListConsistency: Sendable {
    /// Begins again, without pages: all objects are of one moment. For what a watch goes on from.
    case oneMoment
    /// Goes on with the rest as it is now, where the server offers that: cheaper; an object that was renamed, or made
    /// and deleted in between, may be missed. For a person's eyes.
    case goOn
}

extension ClusterAPI {
    /// Lists a whole collection, following the pages.
    /// - Parameters:
    ///   - pageSize: objects a request; the server may give fewer.
    ///   - resourceVersion: nil reads the newest state; `"0"` takes any that the server has in memory, in one page.
    ///   - keeping: what of each object is kept.
    package func list(
        _ resource: GroupVersionResource, namespace: String? = nil, labels: LabelSelector? = nil, fields: String? = nil,
        pageSize: Int = 500, resourceVersion: String? = nil, consistency: ListConsistency = .oneMoment,
        keeping: FieldSelection = .everything
    ) async throws(APIError) -> KubeList {
        var request = APIRequest(.list, resource, namespace: namespace)
        if pageSize > 0 { request.query["limit"] = String(pageSize) }
        if let labels, !labels.isEmpty { request.query["labelSelector"] = labels.query }
        request.query["fieldSelector"] = fields
        request.query["resourceVersion"] = resourceVersion
        request.keeping = keeping
        var whole = KubeList(items: [], resourceVersion: "")
        while true {
            do {
                let page = KubeList(json: try await perform(request), of: resource)
                whole.items += page.items
                whole.resourceVersion = page.resourceVersion
                guard let token = page.continueToken else { return whole }
                request.query["continue"] = token
                // The token says where from; both together are refused.
                request.query["resourceVersion"] = nil
            } catch {
                guard error.isExpired, request.query["continue"] != nil else { throw error }
                if consistency == .goOn, let token = error.continueToken, token != request.query["continue"] {
                    request.query["continue"] = token
                } else {
                    // Unpaged, a second expiry cannot come.
                    request.query["continue"] = nil
                    request.query["limit"] = nil
                    whole.items = []
                }
            }
        }
    }
}

extension APIRequest {
    /// Where a watch begins.
    package enum WatchStart: Sendable, Hashable {
        /// After a list of this version, or an event or bookmark of it.
        case version(String)
        /// With all objects as `ADDED` events, then a bookmark whose `endsInitialEvents` is true, then the changes: a
        /// list and a watch in one, which the server streams without holding the list in memory (Kubernetes 1.32 and
        /// newer by default). A server without it answers `APIError.refusesInitialEvents`: list and watch then.
        case initialEvents
    }

    /// A watch with bookmarks.
    /// - Parameter seconds: after which the server ends it; nil takes the client's.
    package static func watch(
        _ resource: GroupVersionResource, namespace: String? = nil, labels: LabelSelector? = nil, fields: String? = nil,
        from start: WatchStart, seconds: Int? = nil
    ) -> APIRequest {
        var query = ["allowWatchBookmarks": "true"]
        switch start {
        case .version(let version): query["resourceVersion"] = version
        case .initialEvents:
            query["sendInitialEvents"] = "true"
            query["resourceVersionMatch"] = "NotOlderThan"
        }
        if let labels, !labels.isEmpty { query["labelSelector"] = labels.query }
        query["fieldSelector"] = fields
        query["timeoutSeconds"] = seconds.map(String.init)
        return APIRequest(.watch, resource, namespace: namespace, query: query)
    }
}

extension WatchEvent {
    /// The bookmark after the last object of a watch from `.initialEvents`: what was seen until now is the whole list.
    package var endsInitialEvents: Bool {
        kind == .bookmark && object.json[path: "metadata", "annotations", "k8s.io/initial-events-end"] == "true"
    }
}

extension APIError {
    /// The answer of a server that has no streaming lists to a watch from `.initialEvents`: `Invalid` since
    /// `resourceVersionMatch` exists (1.19), by name of the feature since 1.27; and an internal error where the server
    /// is new but its etcd too old (seen: 1.36 on etcd 3.4).
    package var refusesInitialEvents: Bool {
        code == 422 || code == 400 || code == 500 && message.contains("RequestWatchProgress")
    }
}
