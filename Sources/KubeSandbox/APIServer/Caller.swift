import KubeCore

/// Who sends a request.
struct Caller: Sendable, Hashable {
    var name: String
    var uid = ""
    var groups: [String]
    var extra: [String: [String]] = [:]
    /// `User-Agent`; names the field manager when the request does not.
    var userAgent = ""

    /// The cluster's own components, in process.
    static let system = Caller(
        name: "system:admin", groups: ["system:masters", "system:authenticated"], userAgent: "heddle-sandbox")

    /// As in reviews.
    var userInfo: JSONValue {
        var info: JSONValue = ["username": .string(name), "groups": JSONValue(groups)]
        if !uid.isEmpty { info["uid"] = .string(uid) }
        if !extra.isEmpty { info["extra"] = .object(extra.mapValues { JSONValue($0) }) }
        return info
    }
}

/// What the server answers.
struct Answer: Sendable {
    enum Body: Sendable {
        case json(JSONValue)
        case stored(StoredObject)
        case list(Store.Page, continueToken: String?)
    }

    var code = 200
    var body: Body
    var type: ResourceType
    /// For the `Warning` header.
    var warnings: [String] = []

    var json: JSONValue {
        switch body {
        case .json(let value): value
        case .stored(let object): type.present(object.json)
        case .list(let page, let token): list(page, token) { type.present($0.json) }
        }
    }

    private func list(_ page: Store.Page, _ token: String?, item: (StoredObject) -> JSONValue) -> JSONValue {
        [
            "kind": .string(type.listKind), "apiVersion": .string(type.apiVersion),
            "metadata": Self.listMetadata(page, token), "items": .array(page.items.map(item)),
        ]
    }

    static func listMetadata(_ page: Store.Page, _ token: String?) -> JSONValue {
        var metadata: JSONValue = ["resourceVersion": .string(String(page.revision))]
        if let token {
            metadata["continue"] = .string(token)
            if page.remaining > 0 { metadata["remainingItemCount"] = .int(page.remaining) }
        }
        return metadata
    }
}

extension ResourceType {
    /// Whether a stored object already looks as this type shows it.
    func isStoredForm(_ json: JSONValue) -> Bool { json["apiVersion"]?.string == apiVersion }

    /// A stored object in this type's version.
    func present(_ json: JSONValue) -> JSONValue {
        if isStoredForm(json) { return json }
        var json = json
        if collection == "events" { json = group.isEmpty ? EventForms.core(json) : EventForms.modern(json) }
        json["apiVersion"] = .string(apiVersion)
        return json
    }
}

/// The two forms of one event: `v1` and `events.k8s.io/v1` name the same facts differently.
enum EventForms {
    private static let names = [
        ("involvedObject", "regarding"), ("message", "note"), ("reportingComponent", "reportingController"),
        ("source", "deprecatedSource"), ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp"), ("count", "deprecatedCount"),
    ]

    static func modern(_ event: JSONValue) -> JSONValue { rename(event, names) }
    static func core(_ event: JSONValue) -> JSONValue { rename(event, names.map { ($0.1, $0.0) }) }

    private static func rename(_ event: JSONValue, _ names: [(String, String)]) -> JSONValue {
        var members = event.object ?? [:]
        for (old, new) in names {
            if let value = members.removeValue(forKey: old) { members[new] = value }
        }
        return .object(members)
    }
}
