import KubeCore

/// A path to a leaf: member names, and list elements by their key (`[name=app]`).
struct FieldPath: Hashable, Sendable {
    enum Part: Hashable, Sendable {
        case member(String)
        case element(key: String, value: String)
    }
    var parts: [Part] = []

    func appending(_ part: Part) -> FieldPath { FieldPath(parts: parts + [part]) }

    var text: String {
        parts.reduce(into: "") { text, part in
            switch part {
            case .member(let name): text += (text.isEmpty ? "" : ".") + name
            case .element(let key, let value): text += "[\(key)=\(value)]"
            }
        }
    }

    /// The key member of lists that merge by element; other lists are one leaf, as in resources without a schema for it.
    static func listKey(_ name: String) -> String? {
        switch name {
        case "containers", "initContainers", "ephemeralContainers", "env", "volumes", "imagePullSecrets": "name"
        case "volumeMounts": "mountPath"
        case "conditions": "type"
        case "ownerReferences": "uid"
        default: nil
        }
    }

    /// Every leaf of an object but its identity and what the server sets.
    static func leaves(of object: JSONValue) -> Set<FieldPath> {
        var found: Set<FieldPath> = []
        var object = object
        for field in ["apiVersion", "kind"] { object[field] = nil }
        for field in [
            "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
            "managedFields",
        ] {
            object[path: "metadata", field] = nil
        }
        if object["metadata"] == [:] { object["metadata"] = nil }
        collect(object, FieldPath(), listKey: nil, &found)
        return found
    }

    private static func collect(_ value: JSONValue, _ path: FieldPath, listKey: String?, _ found: inout Set<FieldPath>)
    {
        switch value {
        case .object(let members) where !members.isEmpty:
            for (name, child) in members {
                collect(child, path.appending(.member(name)), listKey: Self.listKey(name), &found)
            }
        case .object where path.parts.isEmpty: break
        case .array(let elements):
            guard let listKey, elements.allSatisfy({ $0[listKey]?.string != nil }), !elements.isEmpty else {
                found.insert(path)
                return
            }
            for element in elements {
                let key = element[listKey]?.string ?? ""
                collect(element, path.appending(.element(key: listKey, value: key)), listKey: nil, &found)
            }
        default: found.insert(path)
        }
    }

    var isElementKey: Bool {
        guard case .element(let key, _)? = parts.dropLast().last else { return false }
        return parts.last == .member(key)
    }

    static func changedLeaves(from old: JSONValue, to new: JSONValue) -> Set<FieldPath> {
        leaves(of: old).union(leaves(of: new)).filter { old.at($0) != new.at($0) }
    }
}

extension JSONValue {
    func at(_ path: FieldPath) -> JSONValue? {
        path.parts.reduce(Optional(self)) { value, part in
            switch part {
            case .member(let name): value?[name]
            case .element(let key, let id): value?.array?.first { $0[key]?.string == id }
            }
        }
    }

    /// Sets a leaf, or removes it with what becomes empty by that.
    mutating func set(_ value: JSONValue?, at parts: ArraySlice<FieldPath.Part>) {
        guard let first = parts.first else {
            self = value ?? .null
            return
        }
        let rest = parts.dropFirst()
        switch first {
        case .member(let name):
            if rest.isEmpty {
                self[name] = value
            } else if value != nil || self[name] != nil {
                var child = self[name] ?? (rest.first?.isElement == true ? .array([]) : .object([:]))
                child.set(value, at: rest)
                self[name] = value == nil && child.isEmptyContainer ? .none : child
            }
        case .element(let key, let id):
            var elements = array ?? []
            let index = elements.firstIndex { $0[key]?.string == id }
            if index == nil, value == nil { return }
            var child = index.map { elements[$0] } ?? .object([key: .string(id)])
            child.set(value, at: rest)
            if let index { elements[index] = child } else { elements.append(child) }
            if value == nil, child == .object([:]) { elements.removeAll { $0 == child } }
            self = .array(elements)
        }
    }
}

extension FieldPath.Part {
    var isElement: Bool {
        if case .element = self { true } else { false }
    }
}

extension InMemoryCluster.State {
    /// Server-side apply: sets the leaves given, conflicts with other owners of different values, and removes the
    /// manager's former leaves that nobody else owns.
    mutating func apply(_ request: APIRequest) throws(APIError) -> JSONValue {
        guard let manager = request.query["fieldManager"], !manager.isEmpty else {
            throw APIError(code: 400, reason: "BadRequest", message: "fieldManager is required for apply patch")
        }
        guard let configuration = request.body, configuration["kind"]?.string != nil,
            configuration["apiVersion"]?.string != nil
        else {
            throw APIError(code: 400, reason: "BadRequest", message: "an applied object needs apiVersion and kind")
        }
        let key = ObjectKey(
            namespace: request.resource.isNamespaced ? request.namespace ?? "" : "", name: request.name ?? "")
        let found = objects[CollectionKey(request.resource)]?[key]
        if found == nil, request.subresource != nil { throw .notFound(request.resource, key.name) }
        var created = KubeObject(request.resource, namespace: key.namespace, name: key.name)
        if let found {
            if let wanted = configuration[path: "metadata", "resourceVersion"]?.string,
                wanted != found.object.resourceVersion
            {
                throw APIError(code: 409, reason: "Conflict", message: "the object has been modified")
            }
        } else {
            complete(&created)
        }
        let old = found ?? StoredObject(object: created)
        let owner = "Apply:" + manager + (request.subresource.map { "/" + $0 } ?? "")
        var new = old

        let wanted = FieldPath.leaves(of: configuration).filter { path in
            // An empty object asks only that there be an object.
            if configuration.at(path) == [:], old.object.json.at(path)?.object != nil { return false }
            let isStatus = path.parts.first == .member("status")
            return request.subresource == "status" ? isStatus : !isStatus
        }
        try refuseConflicts(request, wanted, configuration, old, owner: owner)
        for path in wanted.sorted(by: { $0.text < $1.text }) {
            let value = configuration.at(path)
            if old.object.json.at(path) != value {
                for other in new.owners.keys where other != owner { new.owners[other]?.remove(path) }
            }
            new.object.json.set(value, at: path.parts[...])
        }
        // An element's key goes last: the other leaves of the element are found by it.
        let dropped = (old.owners[owner] ?? []).subtracting(wanted).sorted { !$0.isElementKey && $1.isElementKey }
        for path in dropped where !new.owners.contains(where: { $0.key != owner && $0.value.contains(path) }) {
            new.object.json.set(nil, at: path.parts[...])
        }
        new.owners[owner] = wanted
        if found == nil {
            note(request, changed: true)
            return store(request.resource, new, replacing: nil).json
        }
        return finish(request, new, over: old)
    }

    private func refuseConflicts(
        _ request: APIRequest, _ wanted: Set<FieldPath>, _ configuration: JSONValue, _ old: StoredObject, owner: String
    ) throws(APIError) {
        guard request.query["force"] != "true" else { return }
        let conflicts = wanted.filter {
            old.object.json.at($0) != nil && old.object.json.at($0) != configuration.at($0)
        }
        .compactMap { path in
            old.owners.first { $0.key != owner && $0.value.contains(path) }.map {
                FieldError(path: "." + path.text, message: "conflict with \"\($0.key)\"")
            }
        }
        guard conflicts.isEmpty else {
            throw APIError(
                code: 409, reason: "Conflict", message: "Apply failed with \(conflicts.count) conflict(s)",
                causes: conflicts.sorted { $0.path < $1.path })
        }
    }
}
