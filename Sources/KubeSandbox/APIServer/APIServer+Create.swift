import KubeCore

extension APIServer {
    func create(_ request: APIRequest, type: ResourceType, caller: Caller) async throws(APIError) -> Answer {
        let options = try WriteOptions(request, caller: caller)
        guard request.name == nil else { throw .methodNotAllowed("create is done on the collection, without a name") }
        var body = try checkedBody(request, type)
        let generated = (body[path: "metadata", "name"]?.string ?? "").isEmpty
        let prefix = body[path: "metadata", "generateName"]?.string ?? ""
        let warnings = try pruneUnknown(&body, type, options)
        // A generated name may be taken; a given one is tried once.
        for attempt in 0..<8 {
            if generated {
                if prefix.isEmpty { break }
                body[path: "metadata", "name"] = .string(prefix + Self.nameSuffix())
            }
            let key = ObjectKey(
                namespace: type.isNamespaced ? body[path: "metadata", "namespace"]?.string ?? "" : "",
                name: body[path: "metadata", "name"]?.string ?? "")
            do {
                var answer = try await insert(
                    body, key: key, managed: nil, type: type, caller: caller, options: options)
                answer.warnings += warnings
                return answer
            } catch  where generated && error.isAlreadyExists && attempt < 7 {
                continue
            }
        }
        throw .invalid(
            type, "", [FieldError(path: "metadata.name", message: "Required value: name or generateName is required")])
    }

    /// Makes one new object.
    /// - Parameter managed: its owners, when server-side apply makes it; nil: all that the caller sent is the caller's.
    func insert(
        _ body: JSONValue, key: ObjectKey, managed: ManagedFields?, type: ResourceType, caller: Caller,
        options: WriteOptions
    ) async throws(APIError) -> Answer {
        if type.isNamespaced { try requireNamespace(key, type) }
        if store.get(type.collection, key) != nil { throw .alreadyExists(type, key.name) }
        let time = KubeTime.format(now())
        let strategy = WriteStrategy(type: type, now: time)
        var object = strategy.create(body, key: key, uid: Self.newUID())
        var owners = managed ?? ManagedFields()
        if managed == nil {
            owners.recordUpdate(
                difference(from: nil, to: object, type), by: manager(.update, type, nil, options), at: time)
        }
        object.change("metadata") { $0["managedFields"] = owners.json }

        let admission = Admission(server: self, type: type, caller: caller, options: options)
        let attributes = Admission.Attributes(operation: .create, key: key, subresource: nil, old: nil)
        object = try await admission.mutate(object, attributes) { object in
            strategy.complete(&object, isNew: false)
        }
        if type.collection == "services" { try assignAddress(&object, type, key) }
        if type.collection == "pods" { try requireServiceAccount(object, key) }
        try validate(object, old: nil, type: type, name: key.name)
        if type.qualifiedName == GroupVersionResource.customResourceDefinitions.description {
            object = CustomResources.established(object, time: time)
        }
        try await admission.validate(object, attributes)
        if options.isDryRun { return Answer(code: 201, body: .json(object), type: type, warnings: admission.warnings) }
        switch store.commit(type.collection, key, expected: nil, json: stored(object, type)) {
        case .stale: throw .alreadyExists(type, key.name)
        case .done(let stored):
            afterWrite(stored, type)
            return Answer(code: 201, body: .stored(stored), type: type, warnings: admission.warnings)
        }
    }

    /// The form in which a type's objects are kept.
    func stored(_ object: JSONValue, _ type: ResourceType) -> JSONValue {
        guard type.collection == "events", !type.group.isEmpty else { return object }
        var event = EventForms.core(object)
        event["apiVersion"] = "v1"
        return event
    }

    func afterWrite(_ object: StoredObject, _ type: ResourceType) {
        switch type.collection {
        case "customresourcedefinitions.apiextensions.k8s.io":
            registry.install(CustomResources.types(of: object.json), definition: object.key.name)
        case "namespaces" where !object.isBeingDeleted: ensureServiceAccount(in: object.key.name)
        default: break
        }
    }

    // MARK: - Checks

    /// The request's body as an object of the type, in the namespace of the path.
    func checkedBody(_ request: APIRequest, _ type: ResourceType) throws(APIError) -> JSONValue {
        guard var body = request.body, body.object != nil else {
            throw .badRequest("the request has no object as its body")
        }
        let kind = body["kind"]?.string ?? type.kind
        let version = body["apiVersion"]?.string ?? type.apiVersion
        guard kind == type.kind, version == type.apiVersion else {
            throw .badRequest(
                "\(kind) in version \"\(version)\" does not fit the path: it takes \(type.kind) in \"\(type.apiVersion)\""
            )
        }
        if let metadata = body["metadata"], metadata.object == nil, !metadata.isNull {
            throw .badRequest("metadata must be an object")
        }
        guard type.isNamespaced else { return body }
        let namespace = request.namespace ?? ""
        let own = body[path: "metadata", "namespace"]?.string ?? ""
        if own.isEmpty {
            guard !namespace.isEmpty else { throw .badRequest("an empty namespace may not be set during creation") }
            body[path: "metadata", "namespace"] = .string(namespace)
        } else if !namespace.isEmpty, own != namespace {
            throw .badRequest("the namespace of the provided object does not match the namespace sent on the request")
        }
        return body
    }

    /// Drops fields that a custom resource's schema does not know, and complains as the client wants.
    func pruneUnknown(_ body: inout JSONValue, _ type: ResourceType, _ options: WriteOptions) throws(APIError)
        -> [String]
    {
        guard let schema = type.custom?.schema else { return [] }
        let (pruned, unknown) = schema.prune(body)
        body = pruned
        let complaints = unknown.map { "unknown field \"\($0)\"" }
        switch options.fieldValidation {
        case .ignore: return []
        case .warn: return complaints
        case .strict:
            guard !complaints.isEmpty else { return [] }
            throw .badRequest(
                "\(type.kind) in version \"\(type.version)\" cannot be handled as a \(type.kind): strict decoding error: "
                    + complaints.joined(separator: ", "))
        }
    }

    func validate(_ object: JSONValue, old: JSONValue?, type: ResourceType, name: String) throws(APIError) {
        var errors = Validation.check(object, old: old, type)
        if let schema = type.custom?.schema { errors += schema.errors(in: object) }
        if !errors.isEmpty { throw .invalid(type, name, errors) }
    }

    private func requireNamespace(_ key: ObjectKey, _ type: ResourceType) throws(APIError) {
        guard let namespace = store.get("namespaces", ObjectKey(namespace: "", name: key.namespace)) else {
            throw .notFound(.namespaces, key.namespace)
        }
        if namespace.isBeingDeleted {
            throw .forbidden(
                "\(type.qualifiedName) \"\(key.name)\" is forbidden: unable to create new content in namespace"
                    + " \(key.namespace) because it is being terminated")
        }
    }

    private func requireServiceAccount(_ pod: JSONValue, _ key: ObjectKey) throws(APIError) {
        let name = pod[path: "spec", "serviceAccountName"]?.string ?? "default"
        guard store.get("serviceaccounts", ObjectKey(namespace: key.namespace, name: name)) == nil else { return }
        throw .forbidden(
            "pods \"\(key.name)\" is forbidden: error looking up service account \(key.namespace)/\(name): serviceaccount"
                + " \"\(name)\" not found")
    }

    /// Gives a Service its cluster address, unless it has one, wants none or is an alias.
    func assignAddress(_ object: inout JSONValue, _ type: ResourceType, _ key: ObjectKey) throws(APIError) {
        guard object[path: "spec", "type"]?.string != "ExternalName" else { return }
        func isUsed(_ address: String) -> Bool {
            store.list("services").items.contains {
                $0.key != key && $0.json[path: "spec", "clusterIP"]?.string == address
            }
        }
        var address = object[path: "spec", "clusterIP"]?.string ?? ""
        if address.isEmpty {
            guard let free = addresses.allocate(isUsed: isUsed) else {
                throw .internalError("failed to allocate a serviceIP: range is full")
            }
            address = free
        } else if address != "None" {
            var why: String?
            if !addresses.contains(address) {
                why = "failed to allocate IP \(address): the provided IP is not in the valid range"
            } else if isUsed(address) {
                why = "failed to allocate IP \(address): provided IP is already allocated"
            }
            if let why {
                throw .invalid(
                    type, key.name,
                    [FieldError(path: "spec.clusterIPs", message: "Invalid value: [\"\(address)\"]: \(why)")])
            }
        }
        object.change("spec") { spec in
            spec["clusterIP"] = .string(address)
            spec["clusterIPs"] = [.string(address)]
        }
    }

    /// Five letters and digits that spell no words, as Kubernetes appends to generated names.
    static func nameSuffix() -> String {
        let alphabet = Array("bcdfghjklmnpqrstvwxz2456789")
        return String((0..<5).compactMap { _ in alphabet.randomElement() })
    }
}
