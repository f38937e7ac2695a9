package import FoundationEssentials

/// A service account's token, as the API server issued it.
package struct IssuedToken: Sendable, CustomStringConvertible {
    package var token: String
    package var expires: Date

    package var description: String { "token [redacted], expires \(KubeTime.format(expires))" }
}

/// Who a token is, as the API server sees it.
package struct ReviewedIdentity: Sendable, Hashable {
    package var username: String
    package var uid: String
    package var groups: [String]
    package var extra: [String: [String]]
    /// Those of the asked audiences that the token is meant for.
    package var audiences: [String]

    init(user: JSONValue, audiences: JSONValue? = nil) {
        username = user["username"]?.string ?? ""
        uid = user["uid"]?.string ?? ""
        groups = (user["groups"]?.array ?? []).compactMap(\.string)
        extra = (user["extra"]?.object ?? [:]).compactMapValues { ($0.array ?? []).compactMap(\.string) }
        self.audiences = (audiences?.array ?? []).compactMap(\.string)
    }
}

package enum TokenVerdict: Sendable, Hashable {
    case authenticated(ReviewedIdentity)
    /// With the server's reason, empty when it gives none.
    case rejected(reason: String)
}

/// What somebody may want to do.
package enum AccessQuestion: Sendable, Hashable {
    /// - Parameters:
    ///   - verb: as in RBAC; `*` asks for all.
    ///   - namespace: empty asks for all namespaces, or of a cluster-scoped resource.
    ///   - name: empty asks for all names.
    case resource(
        verb: String, GroupVersionResource, subresource: String = "", namespace: String = "", name: String = "")
    case path(verb: String, String)

    var attributes: (name: String, value: JSONValue) {
        switch self {
        case .resource(let verb, let resource, let subresource, let namespace, let name):
            var value: JSONValue = [
                "verb": .string(verb), "group": .string(resource.group), "version": .string(resource.version),
                "resource": .string(resource.resource),
            ]
            if !subresource.isEmpty { value["subresource"] = .string(subresource) }
            if !namespace.isEmpty { value["namespace"] = .string(namespace) }
            if !name.isEmpty { value["name"] = .string(name) }
            return ("resourceAttributes", value)
        case .path(let verb, let path):
            return ("nonResourceAttributes", ["verb": .string(verb), "path": .string(path)])
        }
    }
}

package struct AccessAnswer: Sendable, Hashable {
    package var isAllowed: Bool
    /// Why, e.g. the binding that grants it; often empty for a refusal.
    package var reason: String
    /// What kept the authorizer from a full answer, e.g. a missing role.
    package var evaluationError: String

    init(_ json: JSONValue) {
        isAllowed = json[path: "status", "allowed"]?.bool ?? false
        reason = json[path: "status", "reason"]?.string ?? ""
        evaluationError = json[path: "status", "evaluationError"]?.string ?? ""
    }
}

extension ClusterAPI {
    /// Asks for a service account's token (TokenRequest).
    /// - Parameters:
    ///   - audiences: empty asks for the API server's own.
    ///   - expirationSeconds: at least 600; the server may shorten or lengthen it, so `expires` counts.
    ///   - pod: the token lapses with this pod, name and uid.
    package func requestToken(
        namespace: String, serviceAccount: String, audiences: [String] = [], expirationSeconds: Int = 3600,
        pod: (name: String, uid: String)? = nil
    ) async throws(APIError) -> IssuedToken {
        var spec: JSONValue = ["expirationSeconds": .int(expirationSeconds), "audiences": JSONValue(audiences)]
        if let pod {
            spec["boundObjectRef"] = [
                "apiVersion": "v1", "kind": "Pod", "name": .string(pod.name), "uid": .string(pod.uid),
            ]
        }
        let request = APIRequest(
            .create, .serviceAccounts, namespace: namespace, name: serviceAccount, subresource: "token",
            body: ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec])
        let status = try await perform(request)["status"]
        guard let token = status?["token"]?.string, !token.isEmpty,
            let expires = status?["expirationTimestamp"]?.string.flatMap(KubeTime.parse)
        else {
            throw APIError(
                code: 0, reason: "InvalidAnswer",
                message: "create \(request.path): the answer lacks a token or its expirationTimestamp")
        }
        return IssuedToken(token: token, expires: expires)
    }

    /// Asks the API server whose token this is (TokenReview).
    /// - Parameter audiences: the token must be meant for one of them; empty means for the API server.
    package func review(token: String, audiences: [String] = []) async throws(APIError) -> TokenVerdict {
        var spec: JSONValue = ["token": .string(token)]
        if !audiences.isEmpty { spec["audiences"] = JSONValue(audiences) }
        let answer = try await perform(
            APIRequest(
                .create, .tokenReviews,
                body: ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec]))
        guard answer[path: "status", "authenticated"]?.bool == true, let user = answer[path: "status", "user"] else {
            return .rejected(reason: answer[path: "status", "error"]?.string ?? "")
        }
        let identity = ReviewedIdentity(user: user, audiences: answer[path: "status", "audiences"])
        // An authenticator that knows no audiences says none: its yes is not for ours (as the API's documentation
        // warns).
        if !audiences.isEmpty, Set(identity.audiences).isDisjoint(with: audiences) {
            return .rejected(reason: "the token is not meant for \(audiences.joined(separator: ", "))")
        }
        return .authenticated(identity)
    }

    /// Whether this client itself may do something (SelfSubjectAccessReview).
    package func reviewAccess(_ question: AccessQuestion) async throws(APIError) -> AccessAnswer {
        let (name, value) = question.attributes
        return AccessAnswer(
            try await perform(
                APIRequest(
                    .create, .selfSubjectAccessReviews,
                    body: [
                        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                        "spec": .object([name: value]),
                    ])))
    }

    /// Whether a user may do something (SubjectAccessReview).
    package func reviewAccess(
        user: String, groups: [String] = [], extra: [String: [String]] = [:], _ question: AccessQuestion
    ) async throws(APIError) -> AccessAnswer {
        let (name, value) = question.attributes
        var spec: JSONValue = [
            "user": .string(user), "groups": JSONValue(groups),
            "extra": .object(extra.mapValues { JSONValue($0) }),
        ]
        spec[name] = value
        return AccessAnswer(
            try await perform(
                APIRequest(
                    .create, .subjectAccessReviews,
                    body: [
                        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec,
                    ])))
    }
}
