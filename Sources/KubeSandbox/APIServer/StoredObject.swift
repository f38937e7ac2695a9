import KubeCore
import Synchronization

/// One version of one object, as the store keeps it and hands it out: immutable, so it is shared, never copied.
final class StoredObject: Sendable {
    let json: JSONValue
    let key: ObjectKey
    let labels: [String: String]
    /// The store's revision at which this version came to be; also in `metadata.resourceVersion`.
    let revision: Int
    private let text = Mutex<[UInt8]?>(nil)
    private let itemText = Mutex<[UInt8]?>(nil)

    /// - Parameter json: gets `revision` as its `metadata.resourceVersion`.
    init(json: JSONValue, key: ObjectKey, revision: Int) {
        var json = json
        json.change("metadata") { $0["resourceVersion"] = .string(String(revision)) }
        self.json = json
        self.key = key
        self.labels = json["metadata"]?["labels"]?.stringMap ?? [:]
        self.revision = revision
    }

    var uid: String { json["metadata"]?["uid"]?.string ?? "" }
    var isBeingDeleted: Bool { json["metadata"]?["deletionTimestamp"]?.string != nil }
    var object: KubeObject { KubeObject(json: json) }

    /// The object as an item of a list of a built-in kind, which says the kind once for all.
    var serializedItem: [UInt8] {
        if let known = itemText.withLock({ $0 }) { return known }
        var item = json
        item["apiVersion"] = nil
        item["kind"] = nil
        let bytes = item.serializedBytes()
        itemText.withLock { $0 = bytes }
        return bytes
    }

    /// The object as JSON text; written once, however many watchers and lists send it.
    var serialized: [UInt8] {
        if let known = text.withLock({ $0 }) { return known }
        let bytes = json.serializedBytes()
        text.withLock { $0 = bytes }
        return bytes
    }
}

extension JSONValue {
    /// Changes a member in place; a missing one starts as an empty object.
    mutating func change(_ key: String, _ body: (inout JSONValue) -> Void) {
        var members = object ?? [:]
        var member = members.removeValue(forKey: key) ?? .object([:])
        self = .null
        body(&member)
        members[key] = member
        self = .object(members)
    }

    /// Changes a member in place if it is there.
    mutating func changeIfPresent(_ key: String, _ body: (inout JSONValue) -> Void) {
        guard let member = self[key], !member.isNull else { return }
        change(key, body)
    }

    /// Changes each element of a list member in place, if it is there.
    mutating func changeEach(_ key: String, _ body: (inout JSONValue) -> Void) {
        guard var elements = self[key]?.array else { return }
        for index in elements.indices { body(&elements[index]) }
        self[key] = .array(elements)
    }

    /// Sets a member that is missing or null.
    mutating func setDefault(_ key: String, _ value: JSONValue) {
        if self[key]?.isNull ?? true { self[key] = value }
    }
}
