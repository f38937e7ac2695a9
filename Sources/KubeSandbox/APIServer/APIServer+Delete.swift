import KubeCore

extension APIServer {
    func delete(_ request: APIRequest, type: ResourceType, caller: Caller) async throws(APIError) -> Answer {
        let options = try WriteOptions(request, caller: caller)
        let deletion = Deletion(request)
        if let policy = deletion.propagation, !["Background", "Foreground", "Orphan"].contains(policy) {
            throw .invalidOptions(request, "propagationPolicy", [policy])
        }
        let key = try key(of: request, type)
        for _ in 0..<20 {
            guard let current = store.get(type.collection, key) else { throw .missing(type, key.name) }
            try deletion.check(current, type)
            let admission = Admission(server: self, type: type, caller: caller, options: options)
            try await admission.validate(
                nil,
                Admission.Attributes(operation: .delete, key: key, subresource: nil, old: type.present(current.json)))
            let next = deletion.outcome(for: current.json, type, now: now())
            if options.isDryRun || next == .nothing {
                return Answer(body: .stored(current), type: type, warnings: admission.warnings)
            }
            var json: JSONValue?
            if case .mark(let marked) = next { json = marked }
            if next == .remove, type.collection == "pods", !current.isBeingDeleted {
                // A kind that may end gracefully is marked even when it has no time for that.
                _ = store.commit(
                    type.collection, key, expected: current.revision, json: deletion.mark(current.json, now: now()))
                continue
            }
            switch store.commit(type.collection, key, expected: current.revision, json: json) {
            case .stale: continue
            case .done(let result):
                if json == nil { afterRemoval(result, type) }
                return Answer(
                    body: json == nil ? .json(Self.success(result, type)) : .stored(result), type: type,
                    warnings: admission.warnings)
            }
        }
        throw .modified(type, key.name)
    }

    func deleteCollection(_ request: APIRequest, type: ResourceType, caller: Caller) async throws(APIError) -> Answer {
        let page = store.list(type.collection, matching: try filter(of: request, type))
        for object in page.items {
            var single = request
            single.verb = .delete
            single.namespace = object.key.namespace
            single.name = object.key.name
            do {
                _ = try await delete(single, type: type, caller: caller)
            } catch  where error.isNotFound {}
        }
        return Answer(body: .list(page, continueToken: nil), type: type)
    }

    /// What follows from an object's leaving.
    func afterRemoval(_ object: StoredObject, _ type: ResourceType) {
        guard type.collection == "customresourcedefinitions.apiextensions.k8s.io" else { return }
        // The definition's objects leave with it, whatever finalizers they have: nobody could remove those any more.
        for custom in store.list(object.key.name).items {
            _ = store.commit(object.key.name, custom.key, expected: custom.revision, json: nil)
        }
        registry.remove(definition: object.key.name)
    }

    private static func success(_ object: StoredObject, _ type: ResourceType) -> JSONValue {
        var details: JSONValue = [
            "name": .string(object.key.name), "kind": .string(type.resource), "uid": .string(object.uid),
        ]
        if !type.group.isEmpty { details["group"] = .string(type.group) }
        return ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "details": details]
    }
}
