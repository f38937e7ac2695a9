import KubeCore

extension APIServer {
    /// Update and patch: read, change, admit, and store if nobody else did meanwhile; else again from the start.
    /// - Parameter subresource: the one that the object is changed in the name of.
    func change(
        _ request: APIRequest, type: ResourceType, caller: Caller, actingAs subresource: String? = nil
    ) async throws(APIError) -> Answer {
        var options = try WriteOptions(request, caller: caller)
        options.actingSubresource = subresource
        let key = try key(of: request, type)
        for _ in 0..<20 {
            guard let current = store.get(type.collection, key) else {
                if case .patch(.apply) = request.verb, request.subresource == nil {
                    do {
                        return try await applyNew(request, key: key, type: type, caller: caller, options: options)
                    } catch  where error.isAlreadyExists {
                        continue
                    }
                }
                throw .missing(type, key.name)
            }
            let proposal = try propose(request, on: current, type: type, options: options)
            if let answer = try await store(proposal, over: current, request.subresource, type, caller, options) {
                return answer
            }
            // The client relied on the version that it named; only unconditional changes are tried again.
            if proposal.isConditional { throw .modified(type, key.name) }
        }
        throw .modified(type, key.name)
    }

    /// A change of an object, computed and not yet admitted.
    struct Proposal: Sendable {
        var object: JSONValue
        var managed: ManagedFields
        var warnings: [String] = []
        /// Whether the client named the version that it changes.
        var isConditional = false
    }

    /// Computes what an update or a patch makes of the present object.
    func propose(
        _ request: APIRequest, on current: StoredObject, type: ResourceType, options: WriteOptions
    ) throws(APIError) -> Proposal {
        let old = type.present(current.json)
        let subresource = request.subresource
        if case .patch(.apply) = request.verb {
            return try proposeApply(request, old: old, type: type, options: options)
        }
        var body: JSONValue
        var warnings: [String] = []
        switch request.verb {
        case .update: body = try checkedBody(request, type)
        case .patch(let kind): body = try patched(old, kind, request.body, type)
        default: throw .methodNotAllowed("not a change")
        }
        warnings = try pruneUnknown(&body, type, options)
        let isConditional = try checkIdentity(body, current, type, isUpdate: request.verb == .update)
        let time = KubeTime.format(now())
        let strategy = WriteStrategy(type: type, subresource: subresource, now: time)
        let object = strategy.update(body, old: old)
        // A client may edit the bookkeeping itself (kubectl moves ownership that way).
        let sent = ManagedFields(json: body[path: "metadata", "managedFields"])
        if body[path: "metadata", "managedFields"] == [[:]] {
            // The agreed way to say: forget who owns what.
            return Proposal(
                object: object, managed: ManagedFields(), warnings: warnings, isConditional: isConditional)
        }
        var managed = sent.entries.isEmpty ? ManagedFields(json: old[path: "metadata", "managedFields"]) : sent
        managed.recordUpdate(
            difference(from: old, to: object, type),
            by: manager(.update, type, options.actingSubresource ?? subresource, options), at: time)
        return Proposal(object: object, managed: managed, warnings: warnings, isConditional: isConditional)
    }

    private func patched(_ old: JSONValue, _ kind: APIRequest.PatchType, _ patch: JSONValue?, _ type: ResourceType)
        throws(APIError) -> JSONValue
    {
        guard let patch else { throw .badRequest("the patch is empty") }
        switch kind {
        case .json where !Self.isOperations(patch):
            throw .badRequest("the patch is not a list of operations, each with op and path")
        case .merge where patch.object == nil, .strategic where patch.object == nil:
            throw .badRequest("the patch is not an object")
        default: break
        }
        do {
            switch kind {
            case .merge: return old.merging(patch)
            case .json: return try JSONPatch.apply(patch, to: old)
            case .strategic:
                guard type.custom == nil else {
                    throw APIError.unsupportedMediaType(
                        "the body of the request was in an unknown format - accepted media types include:"
                            + " application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
                    )
                }
                return try StrategicMerge.apply(patch, to: old, schema: MergeSchema(type))
            case .apply: return old
            }
        } catch let error as APIError {
            throw error
        } catch let error as FieldError {
            let name = old[path: "metadata", "name"]?.string ?? ""
            throw APIError(
                code: 422, reason: "Invalid",
                message: "the patch of \(type.qualifiedName) \"\(name)\" cannot be applied: \(error)",
                causes: [error])
        } catch {
            throw .internalError("\(error)")
        }
    }

    private static func isOperations(_ patch: JSONValue) -> Bool {
        patch.array?.allSatisfy { $0["op"]?.string != nil && $0["path"]?.string != nil } ?? false
    }

    /// Compares what the body says of name, uid and version with the stored object.
    /// - Returns: whether the body names a version.
    private func checkIdentity(_ body: JSONValue, _ current: StoredObject, _ type: ResourceType, isUpdate: Bool)
        throws(APIError) -> Bool
    {
        let metadata = body["metadata"] ?? [:]
        if let name = metadata["name"]?.string, name != current.key.name {
            throw .badRequest(
                "the name of the object (\(name)) does not match the name on the URL (\(current.key.name))")
        }
        if let uid = metadata["uid"]?.string, !uid.isEmpty, uid != current.uid {
            throw .conflict(
                type, current.key.name,
                "Precondition failed: UID in precondition: \(uid), UID in object meta: \(current.uid)")
        }
        guard let version = metadata["resourceVersion"]?.string, !version.isEmpty else {
            guard isUpdate, !type.allowsUnconditionalUpdate else { return false }
            throw .invalid(
                type, current.key.name,
                [
                    FieldError(
                        path: "metadata.resourceVersion",
                        message: "Invalid value: 0x0: must be specified for an update")
                ])
        }
        if version != String(current.revision) { throw .modified(type, current.key.name) }
        // A patch that says nothing of the version is computed from the present one and carries its number.
        return isUpdate
    }

    /// Admits and stores a proposal.
    /// - Returns: nil when the object changed meanwhile.
    func store(
        _ proposal: Proposal, over current: StoredObject, _ subresource: String?, _ type: ResourceType,
        _ caller: Caller,
        _ options: WriteOptions
    ) async throws(APIError) -> Answer? {
        let old = type.present(current.json)
        let time = KubeTime.format(now())
        let strategy = WriteStrategy(type: type, subresource: subresource, now: time)
        var object = proposal.object
        object.change("metadata") { $0["managedFields"] = proposal.managed.json }
        if WriteStrategy.isSame(object, old) {
            return Answer(body: .stored(current), type: type, warnings: proposal.warnings)
        }
        let admission = Admission(server: self, type: type, caller: caller, options: options)
        let attributes = Admission.Attributes(
            operation: .update, key: current.key, subresource: subresource, old: old)
        object = try await admission.mutate(object, attributes) { object in
            if subresource == nil || type.custom != nil { strategy.complete(&object, isNew: false) }
        }
        if type.collection == "services", subresource == nil { try assignAddress(&object, type, current.key) }
        object = strategy.withGeneration(object, old: old)
        try validate(object, old: old, type: type, name: current.key.name)
        if type.collection == "customresourcedefinitions.apiextensions.k8s.io" {
            object = CustomResources.established(object, time: time)
        }
        try await admission.validate(object, attributes)
        let warnings = proposal.warnings + admission.warnings
        if options.isDryRun { return Answer(body: .json(object), type: type, warnings: warnings) }
        if WriteStrategy.isSame(object, old) { return Answer(body: .stored(current), type: type, warnings: warnings) }
        let isGone = Self.isFinished(object)
        switch store.commit(
            type.collection, current.key, expected: current.revision, json: isGone ? .none : stored(object, type))
        {
        case .stale: return nil
        case .done(let result):
            if isGone { afterRemoval(result, type) } else { afterWrite(result, type) }
            return Answer(body: isGone ? .json(object) : .stored(result), type: type, warnings: warnings)
        }
    }

    /// Whether an object that is being deleted has nothing left to wait for.
    static func isFinished(_ object: JSONValue) -> Bool {
        let metadata = object["metadata"] ?? [:]
        return metadata["deletionTimestamp"]?.string != nil && (metadata["finalizers"]?.array ?? []).isEmpty
            && (metadata["deletionGracePeriodSeconds"]?.int ?? 0) == 0
            && !(object["kind"] == "Namespace" && !(object[path: "spec", "finalizers"]?.array ?? []).isEmpty)
    }

    // MARK: - Ownership

    func manager(
        _ operation: ManagedFields.Manager.Operation, _ type: ResourceType, _ subresource: String?,
        _ options: WriteOptions
    ) -> ManagedFields.Manager {
        ManagedFields.Manager(
            name: options.fieldManager, operation: operation, apiVersion: type.apiVersion,
            subresource: subresource ?? "")
    }

    func difference(from old: JSONValue?, to new: JSONValue, _ type: ResourceType) -> (set: FieldSet, gone: FieldSet) {
        // Bookkeeping is nobody's; leaving it out here spares a walk through it.
        func body(_ object: JSONValue) -> JSONValue {
            var object = object
            object.change("metadata") { $0["managedFields"] = nil }
            return object
        }
        let change = FieldSet.difference(from: old.map(body), to: body(new), MergeSchema(type))
        return (change.set.subtracting(ManagedFields.unowned), change.gone.subtracting(ManagedFields.unowned))
    }
}
