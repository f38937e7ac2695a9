import FoundationEssentials
import KubeCore

extension APIServer {
    /// `serviceaccounts/token`: a token for a service account, bound to a pod if asked.
    func issueToken(_ request: APIRequest, type: ResourceType) throws(APIError) -> Answer {
        let account = try existing(request, type)
        var review = request.body ?? [:]
        let spec = review["spec"] ?? [:]
        let asked = spec["audiences"]?.array?.compactMap(\.string) ?? []
        let audiences = asked.isEmpty ? [configuration.tokenIssuer] : asked
        let seconds = spec["expirationSeconds"]?.int ?? 3600
        if seconds < 600 {
            throw .invalid(
                type, account.key.name,
                [
                    FieldError(
                        path: "spec.expirationSeconds",
                        message: "Invalid value: \(seconds): may not specify a duration less than 10 minutes")
                ])
        }
        var bound: JSONValue = [
            "namespace": .string(account.key.namespace),
            "serviceaccount": ["name": .string(account.key.name), "uid": .string(account.uid)],
        ]
        if let reference = spec["boundObjectRef"], !reference.isNull {
            guard reference["kind"] == "Pod" else {
                throw .badRequest(
                    "cannot bind token to object of type \(reference["kind"]?.string ?? ""): only pods are bound to")
            }
            let name = reference["name"]?.string ?? ""
            guard let pod = store.get("pods", ObjectKey(namespace: account.key.namespace, name: name)) else {
                throw .notFound(.pods, name)
            }
            if let uid = reference["uid"]?.string, !uid.isEmpty, uid != pod.uid {
                throw .conflict(
                    type, name, "the UID in the bound object reference (\(uid)) does not match the UID in record")
            }
            guard pod.json[path: "spec", "serviceAccountName"]?.string == account.key.name else {
                throw .badRequest(
                    "cannot bind token for serviceaccount \"\(account.key.name)\" to pod running with different serviceaccount name."
                )
            }
            bound["pod"] = ["name": .string(name), "uid": .string(pod.uid)]
            if let node = pod.json[path: "spec", "nodeName"] { bound["node"] = ["name": node] }
        }
        let time = Int(now().timeIntervalSince1970)
        let token = tokens.issue([
            "iss": .string(configuration.tokenIssuer), "aud": JSONValue(audiences), "iat": .int(time),
            "nbf": .int(time),
            "exp": .int(time + seconds), "jti": .string(Self.newUID()), "kubernetes.io": bound,
            "sub": .string("system:serviceaccount:\(account.key.namespace):\(account.key.name)"),
        ])
        review["apiVersion"] = "authentication.k8s.io/v1"
        review["kind"] = "TokenRequest"
        review["metadata"] = ["name": .string(account.key.name), "namespace": .string(account.key.namespace)]
        review[path: "spec", "audiences"] = JSONValue(audiences)
        review[path: "spec", "expirationSeconds"] = .int(seconds)
        review["status"] = [
            "token": .string(token),
            "expirationTimestamp": .string(KubeTime.format(Date(timeIntervalSince1970: Double(time + seconds)))),
        ]
        return Answer(code: 201, body: .json(review), type: type)
    }

    /// Whose token it is.
    /// - Parameter audiences: one of them must be the token's.
    func authenticate(token: String, audiences: [String]) -> Result<(caller: Caller, audiences: [String]), TokenFailure>
    {
        let claims: JSONValue
        switch tokens.verify(token, now: now()) {
        case .failure(let failure): return .failure(failure)
        case .success(let found): claims = found
        }
        let own = claims["aud"]?.array?.compactMap(\.string) ?? []
        let common = audiences.filter(own.contains)
        guard !common.isEmpty else {
            return .failure(TokenFailure("token audiences \(own) is invalid for the target audiences \(audiences)"))
        }
        let bound = claims["kubernetes.io"] ?? [:]
        let namespace = bound["namespace"]?.string ?? ""
        let name = bound[path: "serviceaccount", "name"]?.string ?? ""
        let uid = bound[path: "serviceaccount", "uid"]?.string ?? ""
        guard let account = store.get("serviceaccounts", ObjectKey(namespace: namespace, name: name)),
            account.uid == uid
        else {
            return .failure(TokenFailure("service account \(namespace)/\(name) has been deleted"))
        }
        var caller = Caller(
            name: "system:serviceaccount:\(namespace):\(name)", uid: uid,
            groups: ["system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated"])
        if let id = claims["jti"]?.string { caller.extra["authentication.kubernetes.io/credential-id"] = ["JTI=\(id)"] }
        if let pod = bound["pod"], let podName = pod["name"]?.string, let podUID = pod["uid"]?.string {
            guard store.get("pods", ObjectKey(namespace: namespace, name: podName))?.uid == podUID else {
                return .failure(TokenFailure("pod \(namespace)/\(podName) that the token is bound to has been deleted"))
            }
            caller.extra["authentication.kubernetes.io/pod-name"] = [podName]
            caller.extra["authentication.kubernetes.io/pod-uid"] = [podUID]
        }
        if let node = bound[path: "node", "name"]?.string {
            caller.extra["authentication.kubernetes.io/node-name"] = [node]
        }
        return .success((caller, common))
    }

    /// Reviews: nothing is stored, the answer is computed.
    func review(_ request: APIRequest, type: ResourceType, caller: Caller) throws(APIError) -> Answer {
        guard request.verb == .create else { throw .methodNotAllowed("\(type.qualifiedName) can only be created") }
        var review = request.body ?? [:]
        review["apiVersion"] = .string(type.apiVersion)
        review["kind"] = .string(type.kind)
        review.change("metadata") { _ in }
        switch type.kind {
        case "TokenReview":
            guard review[path: "spec", "token"]?.string?.isEmpty == false else {
                throw .badRequest("token is required for TokenReview in authentication")
            }
            let asked = review[path: "spec", "audiences"]?.array?.compactMap(\.string) ?? []
            let audiences = asked.isEmpty ? [configuration.tokenIssuer] : asked
            switch authenticate(token: review[path: "spec", "token"]?.string ?? "", audiences: audiences) {
            case .success(let found):
                review["status"] = [
                    "authenticated": true, "user": found.caller.userInfo, "audiences": JSONValue(found.audiences),
                ]
            case .failure(let failure): review["status"] = ["user": [:], "error": .string(failure.description)]
            }
        case "SelfSubjectReview": review["status"] = ["userInfo": caller.userInfo]
        case "SelfSubjectRulesReview":
            review["status"] = rulesStatus(caller, namespace: review[path: "spec", "namespace"]?.string ?? "default")
        case "SelfSubjectAccessReview": review["status"] = accessStatus(caller, review["spec"] ?? [:])
        default:
            let spec = review["spec"] ?? [:]
            let user = Caller(
                name: spec["user"]?.string ?? "", groups: spec["groups"]?.array?.compactMap(\.string) ?? [])
            review["status"] = accessStatus(user, spec)
        }
        return Answer(code: 201, body: .json(review), type: type)
    }
}
