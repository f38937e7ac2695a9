import KubeCore

/// Who owns which fields of an object: `metadata.managedFields` as values.
struct ManagedFields: Sendable, Equatable {
    struct Manager: Sendable, Hashable {
        enum Operation: String, Sendable {
            case apply = "Apply"
            case update = "Update"
        }
        var name: String
        var operation: Operation
        var apiVersion: String
        var subresource: String

        /// As conflict messages name it.
        func description(time: String) -> String {
            var text = "\"\(name)\""
            if !subresource.isEmpty { text += " with subresource \"\(subresource)\"" }
            if operation == .update {
                text += " using \(apiVersion)"
                if !time.isEmpty { text += " at \(time)" }
            }
            return text
        }
    }

    struct Entry: Sendable, Equatable {
        var fields: FieldSet
        /// RFC 3339; when the entry last changed.
        var time: String
    }

    var entries: [Manager: Entry] = [:]

    init() {}

    /// Reads the list; entries that make no sense are left out.
    init(json: JSONValue?) {
        for item in json?.array ?? [] {
            guard let name = item["manager"]?.string,
                let operation = item["operation"]?.string.flatMap(Manager.Operation.init(rawValue:)),
                let fields = item["fieldsV1"]
            else { continue }
            let manager = Manager(
                name: name, operation: operation, apiVersion: item["apiVersion"]?.string ?? "",
                subresource: item["subresource"]?.string ?? "")
            entries[manager] = Entry(fields: FieldSet(root: fields), time: item["time"]?.string ?? "")
        }
    }

    /// Appliers first, then by time and name, as a real server sorts them.
    var json: JSONValue? {
        guard !entries.isEmpty else { return nil }
        let sorted = entries.sorted { a, b in
            if a.key.operation != b.key.operation { return a.key.operation == .apply }
            return (a.value.time, a.key.name, a.key.subresource) < (b.value.time, b.key.name, b.key.subresource)
        }
        return .array(
            sorted.map { manager, entry in
                var item: JSONValue = [
                    "manager": .string(manager.name), "operation": .string(manager.operation.rawValue),
                    "apiVersion": .string(manager.apiVersion), "fieldsType": "FieldsV1",
                    "fieldsV1": entry.fields.fieldsV1,
                ]
                if !entry.time.isEmpty { item["time"] = .string(entry.time) }
                if !manager.subresource.isEmpty { item["subresource"] = .string(manager.subresource) }
                return item
            })
    }

    /// A manager changed some fields by create, update or patch: they are now its own, and nobody else's.
    mutating func recordUpdate(_ change: (set: FieldSet, gone: FieldSet), by manager: Manager, at time: String) {
        let touched = change.set.union(change.gone)
        guard !touched.isEmpty else { return }
        for (other, entry) in entries where other != manager {
            // One name may update through several subresources; each keeps its own entry.
            keep(entry.fields.subtracting(touched), of: other, time: entry.time, before: entry)
        }
        let before = entries[manager]
        let fields = (before?.fields ?? FieldSet()).subtracting(change.gone).union(change.set)
        keep(fields, of: manager, time: time, before: before)
    }

    mutating func keep(_ fields: FieldSet, of manager: Manager, time: String, before: Entry?) {
        if fields.isEmpty {
            entries[manager] = nil
        } else if before?.fields != fields {
            entries[manager] = Entry(fields: fields, time: time)
        }
    }

    /// What is written on every object by the server and belongs to nobody.
    static let unowned: FieldSet = {
        var set = FieldSet.member
        for name in ["apiVersion", "kind"] { set.insert(["f:" + name]) }
        set.insert(["f:metadata"])
        for name in [
            "name", "namespace", "generateName", "uid", "resourceVersion", "generation", "creationTimestamp",
            "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields",
        ] { set.insert(["f:metadata", "f:" + name]) }
        set.insert(["f:spec"])
        set.insert(["f:status"])
        return set
    }()
}
