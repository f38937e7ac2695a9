import FoundationEssentials
import KubeCore

/// An object with the owners of its fields.
struct StoredObject {
    var object: KubeObject
    /// Leaf paths by `<operation>:<manager>`.
    var owners: [String: Set<FieldPath>] = [:]
}

extension InMemoryCluster.State {
    typealias CollectionKey = InMemoryCluster.CollectionKey

    /// Logs a request and asks the rule about it.
    mutating func admit(_ request: APIRequest) -> (fault: InMemoryCluster.Fault?, served: Bool) {
        requests.append(request)
        if request.isWrite { writeNumber += 1 }
        return (
            faultRule?(request, request.isWrite ? writeNumber : 0),
            servedResources?.contains(CollectionKey(request.resource)) ?? true
        )
    }

    mutating func perform(_ request: APIRequest) throws(APIError) -> JSONValue {
        switch request.verb {
        case .get: return view(try existing(request).object, request).json
        case .list, .watch: return try list(request)
        case .create: return try create(request)
        case .update: return try update(request, body: try body(request))
        case .patch(.apply): return try apply(request)
        case .patch(let type): return try patch(request, type)
        case .delete: return try delete(request)
        case .deleteCollection:
            let filter = try ObjectFilter(request)
            let doomed = sorted(CollectionKey(request.resource)).filter { filter.matches($0.object) }
            for stored in doomed { startDeletion(request.resource, stored) }
            note(request, changed: !doomed.isEmpty)
            return ["kind": "Status", "apiVersion": "v1", "status": "Success"]
        }
    }

    mutating func note(_ request: APIRequest, changed: Bool) {
        writes.append(InMemoryCluster.Write(request: request, changed: changed))
    }

    private func body(_ request: APIRequest) throws(APIError) -> KubeObject {
        guard let body = request.body, body.object != nil else {
            throw APIError(code: 400, reason: "BadRequest", message: "the body of \(request.path) is not an object")
        }
        return KubeObject(json: body)
    }

    private func existing(_ request: APIRequest) throws(APIError) -> StoredObject {
        let key = ObjectKey(
            namespace: request.resource.isNamespaced ? request.namespace ?? "" : "", name: request.name ?? "")
        guard let stored = objects[CollectionKey(request.resource)]?[key] else {
            throw .notFound(request.resource, key.name)
        }
        return stored
    }

    // MARK: Verbs

    private mutating func create(_ request: APIRequest) throws(APIError) -> JSONValue {
        var object = try body(request)
        if request.subresource == "eviction" { return try delete(request) }
        if request.resource.isNamespaced { object.namespace = request.namespace ?? object.namespace }
        if object.name.isEmpty, let prefix = object.json[path: "metadata", "generateName"]?.string {
            object.name = prefix + String(nextUID)
        }
        guard !object.name.isEmpty else {
            throw APIError(
                code: 422, reason: "Invalid", message: "metadata.name is required",
                causes: [.init(path: "metadata.name", message: "is required")])
        }
        if objects[CollectionKey(request.resource)]?[object.key] != nil {
            throw APIError(
                code: 409, reason: "AlreadyExists", message: "\(request.resource) \"\(object.name)\" already exists")
        }
        object.json["kind"] = .string(request.resource.kind)
        object.json["apiVersion"] = .string(request.resource.apiVersion)
        object.json["status"] = nil
        for field in ["uid", "generation", "creationTimestamp", "deletionTimestamp"] {
            object.json[path: "metadata", field] = nil
        }
        complete(&object)
        let owner = "Update:" + (request.query["fieldManager"] ?? "test")
        note(request, changed: true)
        return store(
            request.resource, StoredObject(object: object, owners: [owner: FieldPath.leaves(of: object.json)]),
            replacing: nil
        ).json
    }

    private mutating func update(_ request: APIRequest, body: KubeObject) throws(APIError) -> JSONValue {
        let old = try existing(request)
        if !body.resourceVersion.isEmpty, body.resourceVersion != old.object.resourceVersion {
            throw APIError(
                code: 409, reason: "Conflict",
                message:
                    "\(request.resource) \"\(old.object.name)\": the object has been modified; please apply your changes to the latest version"
            )
        }
        if let uid = body.json[path: "metadata", "uid"]?.string, uid != old.object.uid {
            throw APIError(code: 409, reason: "Conflict", message: "the UID in the precondition is not the object's")
        }
        return commit(request, body, over: old, owner: "Update:" + (request.query["fieldManager"] ?? "test"))
    }

    private mutating func patch(_ request: APIRequest, _ type: APIRequest.PatchType) throws(APIError) -> JSONValue {
        let old = try existing(request)
        let base = view(old.object, request).json
        let changes = request.body ?? [:]
        let target: JSONValue
        if type == .json {
            do {
                target = try JSONPatch.apply(changes, to: base)
            } catch {
                throw APIError(code: 422, reason: "Invalid", message: error.description)
            }
        } else {
            target = base.merging(changes)
        }
        return try update(request, body: KubeObject(json: target))
    }

    private mutating func delete(_ request: APIRequest) throws(APIError) -> JSONValue {
        let old = try existing(request)
        for (field, live) in [("uid", old.object.uid), ("resourceVersion", old.object.resourceVersion)] {
            if let wanted = request.body?[path: "preconditions", field]?.string, wanted != live {
                throw APIError(
                    code: 409, reason: "Conflict", message: "the \(field) in the precondition is not the object's")
            }
        }
        note(request, changed: startDeletion(request.resource, old))
        return old.object.json
    }

    // MARK: What a write comes to

    /// Writes what `body` may change: all but the status, or only what the subresource is.
    mutating func commit(_ request: APIRequest, _ body: KubeObject, over old: StoredObject, owner: String) -> JSONValue
    {
        var new = StoredObject(object: merged(body, over: old.object, request), owners: old.owners)
        let changed = FieldPath.changedLeaves(from: old.object.json, to: new.object.json)
        if !changed.isEmpty {
            for manager in new.owners.keys { new.owners[manager]?.subtract(changed) }
            let live = FieldPath.leaves(of: new.object.json)
            new.owners[owner, default: []].formUnion(changed.intersection(live))
        }
        return finish(request, new, over: old)
    }

    /// Stores `new` when it differs, and completes a deletion whose last finalizer went.
    mutating func finish(_ request: APIRequest, _ new: StoredObject, over old: StoredObject) -> JSONValue {
        var new = new
        guard new.object != old.object else {
            note(request, changed: false)
            objects[CollectionKey(request.resource)]?[old.object.key]?.owners = new.owners
            return view(old.object, request).json
        }
        note(request, changed: true)
        if desired(new.object) != desired(old.object) {
            new.object.json[path: "metadata", "generation"] = .int(old.object.generation + 1)
        }
        if new.object.isBeingDeleted, new.object.finalizers.isEmpty {
            remove(request.resource, StoredObject(object: new.object, owners: [:]), old: old.object)
            return new.object.json
        }
        return view(store(request.resource, new, replacing: old), request).json
    }

    /// What `generation` counts changes of.
    private func desired(_ object: KubeObject) -> JSONValue {
        var desired = object.json
        desired["metadata"] = nil
        desired["status"] = nil
        return desired
    }

    private func merged(_ body: KubeObject, over old: KubeObject, _ request: APIRequest) -> KubeObject {
        var result: KubeObject
        switch request.subresource {
        case "status":
            result = old
            result.json["status"] = body.json["status"]
        case "scale":
            result = old
            result.json[path: "spec", "replicas"] = body.json[path: "spec", "replicas"]
        default:
            result = body
            result.json["status"] = old.json["status"]
            for field in [
                "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion",
                "deletionGracePeriodSeconds",
            ] {
                result.json[path: "metadata", field] = old.json[path: "metadata", field]
            }
            result.json["kind"] = old.json["kind"]
            result.json["apiVersion"] = old.json["apiVersion"]
        }
        for map in ["labels", "annotations", "finalizers"]
        where result.json[path: "metadata", map]?.isEmptyContainer == true {
            result.json[path: "metadata", map] = nil
        }
        return result
    }

    /// The object as the addressed (sub)resource shows it.
    func view(_ object: KubeObject, _ request: APIRequest) -> KubeObject {
        guard request.subresource == "scale" else { return object }
        var scale = KubeObject(
            .init(group: "autoscaling", resource: "scales", kind: "Scale"), namespace: object.namespace,
            name: object.name)
        scale.json[path: "metadata", "uid"] = .string(object.uid)
        scale.resourceVersion = object.resourceVersion
        scale.json[path: "spec", "replicas"] = object.spec["replicas"] ?? 1
        scale.json[path: "status", "replicas"] = object.status["replicas"] ?? 0
        return scale
    }

    /// Gives a new object its identity.
    mutating func complete(_ object: inout KubeObject) {
        if object.uid.isEmpty {
            object.json[path: "metadata", "uid"] = .string("uid-\(nextUID)")
            nextUID += 1
        }
        if object.generation == 0 { object.json[path: "metadata", "generation"] = 1 }
        if object.creationTimestamp == nil {
            object.json[path: "metadata", "creationTimestamp"] = .string(KubeTime.format(now))
        }
    }

    @discardableResult
    mutating func store(_ resource: GroupVersionResource, _ stored: StoredObject, replacing old: StoredObject?)
        -> KubeObject
    {
        version += 1
        var stored = stored
        stored.object.resourceVersion = String(version)
        objects[CollectionKey(resource), default: [:]][stored.object.key] = stored
        publish(Change(resource: resource, version: version, old: old?.object, new: stored.object, last: stored.object))
        return stored.object
    }

    /// Deletes, or marks for deletion what has finalizers. False when it was marked already.
    @discardableResult
    private mutating func startDeletion(_ resource: GroupVersionResource, _ stored: StoredObject) -> Bool {
        if stored.object.finalizers.isEmpty {
            remove(resource, stored)
            return true
        }
        if stored.object.isBeingDeleted { return false }
        var marked = stored
        marked.object.json[path: "metadata", "deletionTimestamp"] = .string(KubeTime.format(now))
        marked.object.json[path: "metadata", "generation"] = .int(stored.object.generation + 1)
        store(resource, marked, replacing: stored)
        return true
    }

    /// Takes an object out, and whatever was owned by it alone.
    mutating func remove(_ resource: GroupVersionResource, _ stored: StoredObject, old: KubeObject? = nil) {
        version += 1
        var last = stored.object
        last.resourceVersion = String(version)
        objects[CollectionKey(resource)]?[stored.object.key] = nil
        publish(Change(resource: resource, version: version, old: old ?? stored.object, new: nil, last: last))
        guard !last.uid.isEmpty else { return }
        let living = Set(objects.values.flatMap(\.values).map(\.object.uid))
        for (collection, members) in objects {
            for dependent in members.values {
                let owners = dependent.object.ownerReferences
                guard owners.contains(where: { $0.uid == last.uid }),
                    !owners.contains(where: { living.contains($0.uid) })
                else { continue }
                startDeletion(
                    GroupVersionResource(
                        group: collection.group, resource: collection.resource, kind: dependent.object.kind), dependent)
            }
        }
    }
}

extension APIRequest {
    var isWrite: Bool {
        switch verb {
        case .get, .list, .watch: false
        case .create, .update, .patch, .delete, .deleteCollection: true
        }
    }
}

extension JSONValue {
    var isEmptyContainer: Bool { self == .object([:]) || self == .array([]) }
}
