import KubeCore

/// The rest of a paged list, as it was when the list began.
struct ListPages {
    var items: [KubeObject]
    var version: Int
    var isExpired = false
}

extension InMemoryCluster.State {
    /// A list, whole or in pages (`limit`, `continue`) of one moment.
    mutating func list(_ request: APIRequest) throws(APIError) -> JSONValue {
        let filter = try ObjectFilter(request)
        var rest: ListPages
        if let token = request.query["continue"] {
            rest = try page(token, filter, request)
        } else {
            let items = sorted(CollectionKey(request.resource)).map(\.object).filter(filter.matches)
            rest = ListPages(items: items, version: version)
        }
        var metadata: JSONValue = ["resourceVersion": .string(String(rest.version))]
        var items = rest.items
        if let limit = request.query["limit"].flatMap({ Int($0) }), limit > 0, items.count > limit {
            items = Array(rest.items.prefix(limit))
            rest.items.removeFirst(limit)
            metadata["continue"] = .string(token(for: rest))
            metadata["remainingItemCount"] = .int(rest.items.count)
        }
        return [
            "apiVersion": .string(request.resource.apiVersion), "kind": .string(request.resource.kind + "List"),
            "metadata": metadata, "items": .array(items.map(\.json)),
        ]
    }

    private mutating func token(for rest: ListPages) -> String {
        nextPage += 1
        pages["page-\(nextPage)"] = rest
        return "page-\(nextPage)"
    }

    private mutating func page(_ token: String, _ filter: ObjectFilter, _ request: APIRequest) throws(APIError)
        -> ListPages
    {
        guard let rest = pages[token] else {
            throw APIError(code: 400, reason: "BadRequest", message: "continue key is not valid")
        }
        guard rest.isExpired else { return rest }
        let from = rest.items.first?.key
        let now = sorted(CollectionKey(request.resource)).map(\.object)
            .filter { object in filter.matches(object) && (from.map { object.key >= $0 } ?? true) }
        var error = APIError(
            code: 410, reason: "Expired",
            message: "The provided continue parameter is too old to display a consistent list result.")
        error.continueToken = self.token(for: ListPages(items: now, version: version))
        throw error
    }
}
