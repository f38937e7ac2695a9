import KubeCore

extension APIServer {
    /// Subresources other than `status` (and `log`, which is a stream: see `openLog`).
    func action(_ name: String, _ request: APIRequest, type: ResourceType, caller: Caller) async throws(APIError)
        -> Answer
    {
        switch (type.collection, name) {
        case (_, "scale"):
            guard let scale = type.scale else { throw .noSuchResource() }
            return try await self.scale(scale, request, type, caller)
        case ("pods", "eviction") where request.verb == .create:
            return try await evict(request, type, caller)
        case ("pods", "binding") where request.verb == .create:
            return try await bind(request, type, caller)
        case ("serviceaccounts", "token") where request.verb == .create: return try issueToken(request, type: type)
        case ("namespaces", "finalize"): return try finalize(request, type)
        case ("pods", "log"): throw .methodNotAllowed("a log is read as a stream, over HTTP")
        default: throw .noSuchResource()
        }
    }

    // MARK: - Scale

    private func scale(_ scale: ResourceType.Scale, _ request: APIRequest, _ type: ResourceType, _ caller: Caller)
        async throws(APIError) -> Answer
    {
        let current = try existing(request, type)
        let view = Self.view(current.json, scale)
        var wanted: JSONValue
        switch request.verb {
        case .get: return Answer(body: .json(view), type: type)
        case .update: wanted = request.body ?? [:]
        case .patch(.merge), .patch(.strategic): wanted = view.merging(request.body ?? [:])
        case .patch(.json):
            do {
                wanted = try JSONPatch.apply(request.body ?? [], to: view)
            } catch {
                throw .badRequest("the patch cannot be applied: \(error)")
            }
        case .patch(.apply): wanted = view.merging(request.body ?? [:])
        default: throw .methodNotAllowed("scale is read, updated and patched")
        }
        guard let replicas = wanted[path: "spec", "replicas"]?.int, replicas >= 0 else {
            throw .invalid(
                type, current.key.name,
                [FieldError(path: "spec.replicas", message: "Invalid value: must be greater than or equal to 0")])
        }
        let sentVersion = request.body?[path: "metadata", "resourceVersion"]?.string ?? ""
        if !sentVersion.isEmpty, sentVersion != String(current.revision) { throw .modified(type, current.key.name) }
        let (admitted, warnings) = try await admitScale(wanted, old: view, current.key, type, request, caller)
        var body: JSONValue = [:]
        body.set(.int(admitted[path: "spec", "replicas"]?.int ?? replicas), at: scale.specReplicas[...])
        if !sentVersion.isEmpty { body[path: "metadata", "resourceVersion"] = .string(sentVersion) }
        let patch = APIRequest(
            .patch(.merge), type.gvr, namespace: current.key.namespace, name: current.key.name, query: request.query,
            body: body)
        var agent = caller
        if request.query["fieldManager"] == nil, agent.userAgent.isEmpty { agent.userAgent = "scale" }
        let answer = try await change(patch, type: type, caller: agent, actingAs: "scale")
        return Answer(body: .json(Self.view(answer.json, scale)), type: type, warnings: warnings + answer.warnings)
    }

    /// Webhooks are asked about the Scale, not about the object behind it.
    private func admitScale(
        _ wanted: JSONValue, old: JSONValue, _ key: ObjectKey, _ type: ResourceType, _ request: APIRequest,
        _ caller: Caller
    ) async throws(APIError) -> (scale: JSONValue, warnings: [String]) {
        let admission = Admission(
            server: self, type: type, caller: caller, options: try WriteOptions(request, caller: caller))
        let attributes = Admission.Attributes(operation: .update, key: key, subresource: "scale", old: old)
        let admitted = try await admission.mutate(wanted, attributes) { _ in }
        try await admission.validate(admitted, attributes)
        return (admitted, admission.warnings)
    }

    /// The object as `autoscaling/v1 Scale`.
    private static func view(_ object: JSONValue, _ scale: ResourceType.Scale) -> JSONValue {
        let metadata = object["metadata"] ?? [:]
        var own: JSONValue = [:]
        for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] { own[name] = metadata[name] }
        var status: JSONValue = ["replicas": .int(object.value(at: scale.statusReplicas[...])?.int ?? 0)]
        if let path = scale.selector {
            status["selector"] = path.isEmpty ? .none : object.value(at: path[...])
        } else if let selector = try? object[path: "spec", "selector"]?.decode(LabelSelector.self) {
            status["selector"] = .string(selector.query)
        }
        return [
            "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": own,
            "spec": ["replicas": .int(object.value(at: scale.specReplicas[...])?.int ?? 0)], "status": status,
        ]
    }

    // MARK: - Pods

    /// Deletes a pod unless a disruption budget that selects it allows none now.
    private func evict(_ request: APIRequest, _ type: ResourceType, _ caller: Caller) async throws(APIError) -> Answer {
        let pod = try existing(request, type)
        for budget in store.list("poddisruptionbudgets.policy", matching: WatchFilter(namespace: pod.key.namespace))
            .items
        {
            guard let selector = try? budget.json[path: "spec", "selector"]?.decode(LabelSelector.self),
                selector.matches(pod.labels), let allowed = budget.json[path: "status", "disruptionsAllowed"]?.int,
                allowed <= 0
            else { continue }
            throw APIError(
                code: 429, reason: "TooManyRequests",
                message: "Cannot evict pod as it would violate the pod's disruption budget.",
                causes: [
                    FieldError(path: "", message: "The disruption budget \(budget.key.name) allows no disruption now.")
                ],
                retryAfterSeconds: 10)
        }
        var deletion = APIRequest(.delete, type.gvr, namespace: pod.key.namespace, name: pod.key.name)
        deletion.body = request.body?["deleteOptions"]
        deletion.query["dryRun"] = request.query["dryRun"]
        _ = try await delete(deletion, type: type, caller: caller)
        return Answer(code: 201, body: .json(Self.plainSuccess), type: type)
    }

    /// Puts a pod on a node.
    private func bind(_ request: APIRequest, _ type: ResourceType, _ caller: Caller) async throws(APIError) -> Answer {
        guard let node = request.body?[path: "target", "name"]?.string, !node.isEmpty else {
            throw .badRequest("a binding must name its target")
        }
        for _ in 0..<20 {
            let pod = try existing(request, type)
            if let present = pod.json[path: "spec", "nodeName"]?.string, !present.isEmpty {
                throw .conflict(type, pod.key.name, "pod \(pod.key.name) is already assigned to node \"\(present)\"")
            }
            if pod.isBeingDeleted {
                throw .conflict(
                    type, pod.key.name, "pod \(pod.key.name) is being deleted, cannot be assigned to a host")
            }
            var json = pod.json
            json[path: "spec", "nodeName"] = .string(node)
            json.change("status") { status in
                let others = (status["conditions"]?.array ?? []).filter { $0["type"] != "PodScheduled" }
                status["conditions"] = .array(
                    others + [
                        [
                            "type": "PodScheduled", "status": "True",
                            "lastTransitionTime": .string(KubeTime.format(now())),
                        ]
                    ])
            }
            if case .done = store.commit("pods", pod.key, expected: pod.revision, json: json) {
                return Answer(code: 201, body: .json(Self.plainSuccess), type: type)
            }
        }
        throw .modified(type, request.name ?? "")
    }

    // MARK: - Namespaces

    /// Sets a namespace's `spec.finalizers`; one that is being deleted leaves with the last of them.
    private func finalize(_ request: APIRequest, _ type: ResourceType) throws(APIError) -> Answer {
        for _ in 0..<20 {
            let current = try existing(request, type)
            if let version = request.body?[path: "metadata", "resourceVersion"]?.string, !version.isEmpty,
                version != String(current.revision)
            {
                throw .modified(type, current.key.name)
            }
            var json = current.json
            json[path: "spec", "finalizers"] = request.body?[path: "spec", "finalizers"] ?? []
            let isGone = Self.isFinished(json)
            switch store.commit(type.collection, current.key, expected: current.revision, json: isGone ? .none : json) {
            case .stale: continue
            case .done(let stored): return Answer(body: .stored(stored), type: type)
            }
        }
        throw .modified(type, request.name ?? "")
    }

    private static let plainSuccess: JSONValue = [
        "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201,
    ]
}
