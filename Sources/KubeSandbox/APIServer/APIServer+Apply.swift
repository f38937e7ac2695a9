import KubeCore

extension APIServer {
    /// Apply on an object that is there.
    func proposeApply(_ request: APIRequest, old: JSONValue, type: ResourceType, options: WriteOptions)
        throws(APIError) -> Proposal
    {
        var (intent, warnings) = try appliedIntent(request, type, options)
        if let version = intent[path: "metadata", "resourceVersion"]?.string, !version.isEmpty {
            if version != old[path: "metadata", "resourceVersion"]?.string {
                throw .modified(type, request.name ?? "")
            }
            intent[path: "metadata", "resourceVersion"] = nil
        }
        // Each door takes only its own part of the object.
        if request.subresource == "status" {
            intent = [
                "apiVersion": intent["apiVersion"] ?? .null, "kind": intent["kind"] ?? .null,
                "status": intent["status"] ?? [:],
            ]
        } else if type.hasStatus {
            intent["status"] = nil
        }
        let time = KubeTime.format(now())
        var live = old
        live.change("metadata") { $0["managedFields"] = nil }
        let apply = ServerSideApply(
            schema: MergeSchema(type), manager: manager(.apply, type, request.subresource, options),
            force: options.isForced,
            time: time)
        var managed = ManagedFields(json: old[path: "metadata", "managedFields"])
        if managed.entries.isEmpty {
            // Whatever is there was there before anybody kept book.
            let before = ManagedFields.Manager(
                name: "before-first-apply", operation: .update, apiVersion: type.apiVersion, subresource: "")
            managed.recordUpdate(difference(from: nil, to: live, type), by: before, at: time)
        }
        let result = try apply.apply(intent, to: live, managed: managed)
        let strategy = WriteStrategy(type: type, subresource: request.subresource, now: time)
        return Proposal(
            object: strategy.update(result.object, old: old), managed: result.managed, warnings: warnings)
    }

    /// Apply where no object is: makes it, owned by the applier as far as it was sent.
    func applyNew(_ request: APIRequest, key: ObjectKey, type: ResourceType, caller: Caller, options: WriteOptions)
        async throws(APIError) -> Answer
    {
        var (intent, warnings) = try appliedIntent(request, type, options)
        if let version = intent[path: "metadata", "resourceVersion"]?.string, !version.isEmpty {
            throw .modified(type, key.name)
        }
        if type.hasStatus { intent["status"] = nil }
        if intent[path: "metadata", "uid"]?.string != nil {
            throw .conflict(type, key.name, "uid mismatch: the provided object specified a uid, and no object exists")
        }
        let apply = ServerSideApply(
            schema: MergeSchema(type), manager: manager(.apply, type, nil, options), force: options.isForced,
            time: KubeTime.format(now()))
        let result = try apply.apply(intent, to: nil, managed: ManagedFields())
        var answer = try await insert(
            result.object, key: key, managed: result.managed, type: type, caller: caller, options: options)
        answer.warnings += warnings
        return answer
    }

    private func appliedIntent(_ request: APIRequest, _ type: ResourceType, _ options: WriteOptions)
        throws(APIError) -> (JSONValue, [String])
    {
        guard request.query["fieldManager"].map({ !$0.isEmpty }) ?? false else {
            let why = "Required value: is required for apply patch"
            throw APIError(
                code: 422, reason: "Invalid",
                message: "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: \(why)",
                causes: [FieldError(path: "fieldManager", message: why)])
        }
        guard let sent = request.body, sent["apiVersion"]?.string != nil, sent["kind"]?.string != nil else {
            throw .badRequest("an applied object must name its apiVersion and kind")
        }
        var body = try checkedBody(request, type)
        if !(body[path: "metadata", "managedFields"]?.array ?? []).isEmpty {
            throw .badRequest("metadata.managedFields must be nil")
        }
        if let name = body[path: "metadata", "name"]?.string, name != request.name {
            throw .badRequest(
                "the name of the object (\(name)) does not match the name on the URL (\(request.name ?? ""))")
        }
        body[path: "metadata", "name"] = request.name.map(JSONValue.string)
        let warnings = try pruneUnknown(&body, type, options)
        return (body, warnings)
    }
}
