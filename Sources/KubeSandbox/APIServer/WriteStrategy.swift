import KubeCore

/// What a write may change, and what the server sets itself: pure, for one type and subresource.
struct WriteStrategy: Sendable {
    let type: ResourceType
    /// `status`, or nil for the object itself.
    var subresource: String?
    /// RFC 3339.
    let now: String

    // MARK: - Creation

    /// A new object from what a client sent: system fields set, status dropped, defaults filled in.
    func create(_ body: JSONValue, key: ObjectKey, uid: String) -> JSONValue {
        var object = body
        object["apiVersion"] = .string(type.apiVersion)
        object["kind"] = .string(type.kind)
        object.change("metadata") { metadata in
            for name in [
                "resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields",
            ] {
                metadata[name] = nil
            }
            metadata["name"] = .string(key.name)
            metadata["namespace"] = key.namespace.isEmpty ? .none : .string(key.namespace)
            metadata["uid"] = .string(uid)
            metadata["creationTimestamp"] = .string(now)
            metadata["generation"] = type.hasGeneration ? 1 : .none
            Self.dropEmpty(&metadata)
        }
        // Nodes register with their status; of everything else it is observed, later.
        if type.hasStatus, type.qualifiedName != "nodes" { object["status"] = nil }
        complete(&object, isNew: true)
        return object
    }

    /// Fills in what is not set. Idempotent; also run on what webhooks changed.
    func complete(_ object: inout JSONValue, isNew: Bool) {
        if let custom = type.custom {
            // What webhooks add is pruned like what clients send.
            object = custom.schema.withDefaults(custom.schema.prune(object).object)
            return
        }
        Defaulting.apply(to: &object, type)
        guard isNew else { return }
        switch type.qualifiedName {
        case "pods": Defaulting.newPod(&object)
        case "services": object.setDefault("status", ["loadBalancer": [:]])
        case "deployments.apps", "daemonsets.apps", "jobs.batch", "poddisruptionbudgets.policy":
            object.setDefault("status", [:])
        case "replicasets.apps", "statefulsets.apps": object.setDefault("status", ["replicas": 0])
        default: break
        }
    }

    // MARK: - Update

    /// The stored object with what `body` may change of it.
    func update(_ body: JSONValue, old: JSONValue) -> JSONValue {
        var object: JSONValue
        if subresource == "status" {
            object = old
            object["status"] = body["status"]
        } else {
            object = body
            object["apiVersion"] = .string(type.apiVersion)
            object["kind"] = .string(type.kind)
            object.change("metadata") { metadata in
                for name in [
                    "name", "namespace", "uid", "creationTimestamp", "generateName", "deletionTimestamp",
                    "deletionGracePeriodSeconds", "generation", "resourceVersion",
                ] { metadata[name] = old["metadata"]?[name] }
                for name in ["selfLink", "managedFields"] { metadata[name] = nil }
                Self.dropEmpty(&metadata)
            }
            if type.hasStatus { object["status"] = old["status"] }
            if type.collection == "services" { keepAddress(&object, old) }
        }
        if type.custom != nil || subresource == nil { complete(&object, isNew: false) }
        return object
    }

    /// Empty lists and maps of metadata are as if they were not there.
    private static func dropEmpty(_ metadata: inout JSONValue) {
        for name in ["labels", "annotations", "finalizers", "ownerReferences"] {
            if let value = metadata[name], value.isNull || value == [:] || value == [] { metadata[name] = nil }
        }
    }

    /// Clients that replace a Service need not repeat the address that it was given.
    private func keepAddress(_ object: inout JSONValue, _ old: JSONValue) {
        object.change("spec") { spec in
            guard spec["type"]?.string != "ExternalName" else { return }
            for name in ["clusterIP", "clusterIPs"] where (spec[name]?.string ?? "").isEmpty && spec[name]?.array == nil
            {
                spec[name] = old["spec"]?[name]
            }
        }
    }

    /// Raises the generation when something other than metadata and an observed status differs.
    func withGeneration(_ object: JSONValue, old: JSONValue) -> JSONValue {
        guard type.hasGeneration, intent(object) != intent(old) else { return object }
        var object = object
        object.change("metadata") { $0["generation"] = .int((old[path: "metadata", "generation"]?.int ?? 0) + 1) }
        return object
    }

    private func intent(_ object: JSONValue) -> JSONValue {
        var intent = object
        for name in ["metadata", "apiVersion", "kind"] { intent[name] = nil }
        // Without a door of its own a custom resource's status is a field like any other.
        if type.hasStatus || type.custom == nil { intent["status"] = nil }
        return intent
    }

    /// Whether two versions differ in anything but the server's bookkeeping.
    static func isSame(_ a: JSONValue, _ b: JSONValue) -> Bool {
        func stripped(_ object: JSONValue) -> JSONValue {
            var object = object
            object.change("metadata") { metadata in
                metadata["resourceVersion"] = nil
                metadata["managedFields"] = .array(
                    (metadata["managedFields"]?.array ?? []).map { entry in
                        var entry = entry
                        entry["time"] = nil
                        return entry
                    })
            }
            return object
        }
        return stripped(a) == stripped(b)
    }
}
